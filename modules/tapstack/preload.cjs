// Loaded into the jsii kernel's Node with --require (see bindings.py).
//
// The entry file of the prebuilt AWS bindings requires about 2,200 modules, which
// takes five seconds; a deployment uses a dozen. This turns every top-level
//   exports.name = require("./path");            (cdktf)
//   exports.name = __importStar(require("./path"));  (cdktn)
// into a getter that requires on first use. A file that looks different is
// loaded exactly as it is.
"use strict";

const fs = require("fs");
const Module = require("module");
const path = require("path");

const ENTRY = path.join("provider-aws", "lib", "index.js");
const EAGER = /^exports\.(\w+) = (?:(__importStar)\()?require\((["'])(\.[\w./-]+)\3\)\)?;$/gm;
const HELPER =
  "const __lazy = (name, load) => { let value; Object.defineProperty(exports, name, { enumerable: true," +
  " configurable: true, get() { return value === undefined ? (value = load()) : value; } }); };";

// cdktf calls this alias, and Node 22 prints a deprecation warning into the user's terminal.
require("util").isArray = Array.isArray;

const ordinaryLoad = Module._extensions[".js"];

Module._extensions[".js"] = function load(module, filename) {
  if (!filename.endsWith(ENTRY)) return ordinaryLoad(module, filename);
  const source = fs.readFileSync(filename, "utf8");
  let replaced = 0;
  const lazy = source.replace(EAGER, (_line, name, star, _quote, target) => {
    replaced += 1;
    const loaded = `require(${JSON.stringify(target)})`;
    return `__lazy("${name}", () => ${star ? `${star}(${loaded})` : loaded});`;
  });
  // Anything still required at the top level means the file is not what we know.
  if (replaced === 0 || /^exports\.\w+ = .*\brequire\(/m.test(lazy)) return ordinaryLoad(module, filename);
  // The helper goes on the first line, so that line numbers in stack traces stay true.
  module._compile(HELPER + lazy.replace(/^\/\/# sourceMappingURL=.*$/m, ""), filename);
};

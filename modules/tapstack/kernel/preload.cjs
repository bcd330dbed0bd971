// Loaded into the jsii kernel's Node with --require (see importing.py and node.py).
//
// The entry file of the prebuilt AWS bindings requires about 2,200 modules, which
// takes five seconds; a deployment uses some dozen. This turns every top-level
//   exports.name = require("./path");            (cdktf)
//   exports.name = __importStar(require("./path"));  (cdktn)
// into a getter that requires on first use. cdktf requires a library that makes
// zip files, in 200 modules, for archives that few programs have: it is required
// when one is made. jsii's kernel composes, for each value that it is given, the
// message of an error that never comes: it gets a shorter one. A file that looks
// different is loaded exactly as it is.
//
// What V8 compiles is kept for the next time, in a directory of the user's own; there too
// the digests of packages, for as long as their files are the same.
"use strict";

const crypto = require("crypto");
const fs = require("fs");
const Module = require("module");
const os = require("os");
const path = require("path");
const { isMainThread } = require("worker_threads");

const ENTRY = path.join("provider-aws", "lib", "index.js");
const EAGER = /^exports\.(\w+) = (?:(__importStar)\()?require\((["'])(\.[\w./-]+)\3\)\)?;$/gm;
const HELPER =
  "const __lazy = (name, load) => { let value; Object.defineProperty(exports, name, { enumerable: true," +
  " configurable: true, get() { return value === undefined ? (value = load()) : value; } }); };";
const ZIPPING = path.join("lib", "private", "fs.js");
const KERNEL = path.join("lib", "program.js");
const COSTLY_MESSAGE = /(`Kernel error: expected type information, got )\$\{\(0,\w+\.inspect\)\((\w+)\)\}`/g;
const DIGEST = /\(0,\w+\.digestFile\)\((\w+),\.\.\.(\w+)\)/g;
const ARCHIVER = 'const archiver = require("archiver");\n';
const DIGEST_BYTES = 32;
// jsii installs what it loads into a new directory each time, as links into a cache of its own.
const INSTALLED = /^(.*[\\/]jsii-kernel-[^\\/]+[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+)([\\/].*)$/;

// cdktf calls this alias, and Node 22 prints a deprecation warning into the user's terminal.
require("util").isArray = Array.isArray;

const kernel = isMainThread && process.argv[1]?.endsWith(KERNEL) ? fs.realpathSync(process.argv[1]) : null;
const realRoots = new Map();
const ordinaryLoad = Module._extensions[".js"];

Module._extensions[".js"] = function load(module, filename) {
  const installed = INSTALLED.exec(filename);
  if (installed === null) return filename === kernel ? loadKernel(module) : ordinaryLoad(module, filename);
  const [, root, rest] = installed;
  if (!realRoots.has(root)) realRoots.set(root, fs.realpathSync(root));
  const source = fs.readFileSync(filename, "utf8");
  const ours = filename.endsWith(ENTRY) ? lazyIndex(source) : filename.endsWith(ZIPPING) ? lazyZip(source) : source;
  // Compiled under the name of what the link leads to, a file is found again in V8's cache.
  module._compile(ours, realRoots.get(root) + rest);
};

function loadKernel(module) {
  const source = fs.readFileSync(kernel, "utf8").replace(COSTLY_MESSAGE, "$1${$2}`");
  const own = `require(${JSON.stringify(__filename)})`;
  module._compile(source.replace(DIGEST, `${own}.keptDigest($1, $2, () => $&)`), kernel);
}

function lazyIndex(source) {
  let replaced = 0;
  const lazy = source.replace(EAGER, (_line, name, star, _quote, target) => {
    replaced += 1;
    const loaded = `require(${JSON.stringify(target)})`;
    return `__lazy("${name}", () => ${star ? `${star}(${loaded})` : loaded});`;
  });
  // Anything still required at the top level means the file is not what we know.
  if (replaced === 0 || /^exports\.\w+ = .*\brequire\(/m.test(lazy)) return source;
  // The helper goes on the first line, so that line numbers in stack traces stay true.
  return HELPER + lazy.replace(/^\/\/# sourceMappingURL=.*$/m, "");
}

function lazyZip(source) {
  const rest = source.replace(ARCHIVER, "").replace(/^\/\/# sourceMappingURL=.*$/m, "");
  // Called only, never otherwise used: then a function that requires it does the same.
  if (rest.length === source.length || /\barchiver\b(?!\()/.test(rest)) return source;
  return source.replace(ARCHIVER, 'const archiver = (...given) => require("archiver")(...given);\n');
}

// Ended early, the kernel must delete its directory; it checks this between two requests.
if (kernel !== null) {
  process.once("SIGTERM", () => process.exit(143));
}

function cacheDirectory() {
  const home = os.homedir();
  if (process.platform === "win32") return path.join(process.env.LOCALAPPDATA ?? home, "tapstack", "node");
  if (process.platform === "darwin") return path.join(home, "Library", "Caches", "tapstack", "node");
  return path.join(process.env.XDG_CACHE_HOME || path.join(home, ".cache"), "tapstack", "node");
}

// Whoever can write there could have us run what they like: it must be ours alone.
function isOurs(directory) {
  const { uid, mode } = fs.statSync(directory);
  return process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
}

function openCache() {
  try {
    const directory = cacheDirectory();
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return isOurs(directory) ? directory : null;
  } catch {
    // Without it everything works as well, only slower.
    return null;
  }
}

const cache = openCache();
if (cache !== null && process.env.NODE_COMPILE_CACHE === undefined) Module.enableCompileCache?.(cache);

// jsii reads each package whole, to find by its digest where it was unpacked before. A file that
// is replaced or written to has another inode or change time, which no program can set.
exports.keptDigest = function keptDigest(file, salts, digest) {
  if (cache === null) return digest();
  let kept;
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(file, { bigint: true });
    const key = [path.resolve(file), dev, ino, size, mtimeNs, ctimeNs, ...salts].join("\0");
    kept = path.join(cache, `digest-${crypto.createHash("sha256").update(key).digest("hex")}`);
    const found = fs.readFileSync(kept);
    if (found.length === DIGEST_BYTES) return found;
  } catch {
    // Not kept yet.
  }
  const found = digest();
  try {
    const written = `${kept}.${process.pid}`;
    fs.writeFileSync(written, found, { mode: 0o600 });
    fs.renameSync(written, kept);
  } catch {
    // It is computed again the next time.
  }
  return found;
};

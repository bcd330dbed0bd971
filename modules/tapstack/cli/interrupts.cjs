// Loaded into the cdktf CLI: Ctrl-C ends it, once, with what it started, and all that Terraform prints is shown.
//
// The CLI itself does not hear Ctrl-C while it asks for approval (the terminal then sends a character, no signal), and
// otherwise dies at once, with which Terraform loses its terminal, in the middle of what it does, and leaves its lock.
// Here Terraform gets the signal, and the CLI waits for its end.
"use strict";

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const net = require("node:net");
const tty = require("node:tty");

const CTRL_C = 3;
const CODE = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const PAUSE_MILLISECONDS = 50;

let code = 0;

// Processes below this one, without what lists them.
function descendants() {
  const children = new Map();
  const list = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" });
  for (const line of list.split("\n")) {
    const [pid, parent, name] = line.trim().split(/\s+/);
    if (name !== "ps") children.set(Number(parent), [...(children.get(Number(parent)) ?? []), { pid: Number(pid), name }]);
  }
  const below = (pid) => (children.get(pid) ?? []).flatMap((child) => [child, ...below(child.pid)]);
  return below(process.pid);
}

// Terraform ends its providers itself; what it can save it saves.
function terraforms() {
  return descendants().filter(({ name }) => name.split("/").pop() === "terraform");
}

function interrupted(signal, asking) {
  const first = code === 0;
  code = CODE[signal];
  const running = terraforms();
  for (const { pid } of running) {
    try {
      process.kill(pid, "SIGINT");
    } catch {
      // It has ended meanwhile.
    }
  }
  if (!first) return;
  // A terminal may be gone.
  for (const stream of [process.stdin, process.stdout, process.stderr]) stream.on("error", () => {});
  const wait = running.length > 0 && !asking ? ": Terraform finishes what it has begun; Ctrl-C again ends it at once" : "";
  process.stderr.write(`\ninterrupted${wait}\n`);
  // The CLI would go on to report that Terraform was ended.
  if (asking || running.length === 0) process.stdout.write = process.stderr.write = () => true;
  const end = () => (terraforms().length > 0 ? setTimeout(end, PAUSE_MILLISECONDS) : process.exit());
  end();
}

for (const signal of Object.keys(CODE)) process.on(signal, () => interrupted(signal, false));
process.on("exit", () => {
  if (code) process.reallyExit(code);
});

const push = tty.ReadStream.prototype.push;
tty.ReadStream.prototype.push = function (chunk, ...rest) {
  if (this.isRaw && chunk && Buffer.from(chunk).includes(CTRL_C)) {
    this.setRawMode(false);
    interrupted("SIGINT", true);
    return true;
  }
  return push.call(this, chunk, ...rest);
};

// Terraform's terminal is a socket of node-pty. Where Terraform ends before all of its output is read, the socket ends
// with what was read so far: libuv takes the hangup after a read that did not fill its buffer for the end, and a
// terminal gives 4 KiB at a time. What is lost is the last, the reason of a failure. So the rest is read here.
const READ = 65536;

function* rest(fd) {
  const buffer = Buffer.alloc(READ);
  for (;;) {
    let size = 0;
    try {
      size = fs.readSync(fd, buffer, 0, READ, null);
    } catch {
      // EIO: all is read, and nothing writes any more; EAGAIN: something else holds the terminal open.
    }
    if (size <= 0) return;
    yield Buffer.from(buffer.subarray(0, size));
  }
}

const pushed = net.Socket.prototype.push;
net.Socket.prototype.push = function (chunk, ...others) {
  if (chunk === null && this.constructor.name === "PipeSocket" && this._handle?.fd >= 0) {
    for (const more of rest(this._handle.fd)) pushed.call(this, more);
  }
  return pushed.call(this, chunk, ...others);
};

"""Install exactly what the lock files name: Python packages into .venv, the cdktf CLI into node_modules.

Plain Python, because it runs before anything is installed. Every make target that needs packages
calls it; when nothing changed since, it returns at once. uv, locked like everything else,
installs the Python packages in seconds; where it cannot be had, or cannot install them, pip does.
Both use the package indexes, certificates and proxy that pip is configured with, and the hashes of
Pipfile.lock.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

ROOT: Final = Path(__file__).resolve().parent.parent
HEARTBEAT: Final = 5.0
"""Seconds after which a line says that an installer is still at work."""
BEST_VERSION: Final = "unsafe-best-match"
"""As pip does: the version decides, not the index that names it first; the hashes make that safe."""

# What a person sets uv's behaviour with that does not change what is installed.
_KEPT_UV_VARIABLES: Final = ("UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_HTTP_TIMEOUT", "UV_SYSTEM_CERTS")
# Where Linux distributions keep the certificates that the machine trusts, in one file.
_BUNDLES: Final = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem")
_TRUE: Final = ("1", "true", "yes", "on", "y", "t")


class SetUpError(Exception):
    """Something could not be installed; the message ends with the installer's own words."""


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"set-up: {line}", flush=True)


# What is locked


def requirements(lock: Mapping[str, Any], *sections: str) -> dict[str, str]:
    """Return a line of a requirements file, hashes included, for each package; the first section that has it counts.

    Args:
        lock: the content of Pipfile.lock.
        sections: of it, such as "default".
    """
    lines: dict[str, str] = {}
    for section in sections:
        for name, entry in lock[section].items():
            extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
            marker = f" ; {entry['markers']}" if entry.get("markers") else ""
            hashes = "".join(f" --hash={value}" for value in entry["hashes"])
            lines.setdefault(name, f"{name}{extras}{entry['version']}{marker}{hashes}")
    return lines


def fingerprint(lock: Mapping[str, Any], project: Mapping[str, Any]) -> str:
    """Return a hash of all that decides what is in .venv: the locked packages, and how tapstack is built.

    Args:
        lock: the content of Pipfile.lock.
        project: the content of pyproject.toml.
    """
    packages = {section: entries for section, entries in lock.items() if section != "_meta"}
    build = [project["build-system"], project["project"], project["tool"]["hatch"]]
    return hashlib.sha256(json.dumps([packages, build], sort_keys=True).encode()).hexdigest()


# What pip is configured with


def parse_pip_configuration(listed: str) -> dict[str, str]:
    """Return the options that apply to `pip install`, from what `pip config list` prints.

    As for pip, [install] comes before [global], and variables of the environment before both.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, separator, value = line.partition("=")
        section, dot, option = name.rpartition(".")
        if separator and dot and section in found:
            try:
                found[section][option] = str(ast.literal_eval(value))
            except (ValueError, SyntaxError):
                continue
    options: dict[str, str] = {}
    for options_of_section in found.values():
        # An empty value is no value to pip.
        options |= {option: value.strip() for option, value in options_of_section.items() if value.strip()}
    return options


def reach_of_uv(pip: Mapping[str, str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the environment with which uv reaches what pip is configured to reach.

    Args:
        pip: pip's options.
        environment: the variables to start from.
    """
    env = {
        name: value for name, value in environment.items() if not name.startswith("UV_") or name in _KEPT_UV_VARIABLES
    }
    arguments: list[str] = []
    # In variables, not in arguments: addresses can hold passwords, and every user can list arguments.
    if url := pip.get("index-url") or pip.get("pypi-url"):
        env["UV_INDEX_URL"] = url
    if urls := pip.get("extra-index-url", "").split():
        env["UV_EXTRA_INDEX_URL"] = " ".join(urls)
    # pip leaves out what is not there, with a warning; uv would fail.
    links = [os.path.expanduser(link) for link in pip.get("find-links", "").split()]
    if links := [link for link in links if _may_exist(link)]:
        env["UV_FIND_LINKS"] = ",".join(links)
    if hosts := pip.get("trusted-host", "").split():
        env["UV_INSECURE_HOST"] = " ".join(hosts)
    env["UV_INDEX_STRATEGY"] = BEST_VERSION
    if pip.get("no-index", "").lower() in _TRUE:
        arguments.append("--no-index")
    if pip.get("no-cache-dir", "").lower() in _TRUE or pip.get("cache-dir", "").lower() in ("0", "false", "no", "off"):
        arguments.append("--no-cache")
    for option in ("no-binary", "only-binary"):
        for packages in re.split(r"[\s,]+", pip.get(option, "")):
            arguments += [f"--{option}", packages] if packages else []
    if pip.get("keyring-provider") == "subprocess":
        env["UV_KEYRING_PROVIDER"] = "subprocess"
    if (timeout := pip.get("timeout") or pip.get("default-timeout", "")).isdigit():
        env.setdefault("UV_HTTP_TIMEOUT", timeout)
    _certificates(pip, env)
    if proxy := pip.get("proxy"):
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        env |= dict.fromkeys(
            ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"), proxy
        )
    return arguments, env


def _may_exist(link: str) -> bool:
    """Return whether a place to find packages is remote, or there."""
    parts = urlsplit(link)
    if parts.scheme == "file":
        return os.path.exists(unquote(parts.path))
    return bool(parts.scheme) or os.path.exists(link)


def _certificates(pip: Mapping[str, str], env: dict[str, str]) -> None:
    if bundle := pip.get("cert") or env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE"):
        bundle = os.path.expanduser(bundle)
        env["SSL_CERT_DIR" if os.path.isdir(bundle) else "SSL_CERT_FILE"] = bundle
    elif "SSL_CERT_FILE" not in env:
        # As newer pips do, so that a certificate which a company installs on its machines counts.
        env.setdefault("UV_SYSTEM_CERTS", "true")
    if client := pip.get("client-cert"):
        env["SSL_CLIENT_CERT"] = os.path.expanduser(client)


def certificate_of_pip(pip: Mapping[str, str], environment: Mapping[str, str]) -> str:
    """Return the bundle to give to pip, or nothing where it has one already.

    Only pip 24.2 and newer trust what the machine trusts; the one that comes with Python is often older.

    Args:
        pip: pip's options.
        environment: in which pip runs.
    """
    if "cert" in pip or environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE"):
        return ""
    # On macOS the file lacks what a company adds to the keychain.
    machine = _BUNDLES if sys.platform == "linux" else ()
    return next(filter(os.path.isfile, (environment.get("SSL_CERT_FILE", ""), *machine)), "")


# Running installers


def run(command: Sequence[str | Path], env: Mapping[str, str], cwd: Path = ROOT, heartbeat: float = HEARTBEAT) -> str:
    """Run an installer, say every few seconds what it does, and return all that it printed.

    Raises:
        SetUpError: it failed; the message is what it printed.
    """
    began = time.monotonic()
    try:
        child = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,  # a question would not be visible
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise SetUpError(f"{command[0]}: {error.strerror}") from None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child, lines), daemon=True).start()
    printed: list[str] = []
    due = began + heartbeat
    try:
        while True:
            try:
                line = lines.get(timeout=max(0.0, due - time.monotonic()))
                if line is None:
                    break
                printed.append(line)
            except queue.Empty:
                pass
            if time.monotonic() >= due:
                last = next((text.strip() for text in reversed(printed) if text.strip()), "")
                say(f"{time.monotonic() - began:5.0f} s  {last[:100] or 'still at work'}")
                due = time.monotonic() + heartbeat
    except BaseException:
        child.terminate()
        child.wait()
        raise
    if child.wait():
        raise SetUpError("".join(printed).rstrip() or f"{command[0]} ended with {child.returncode}")
    return "".join(printed)


def _read(child: subprocess.Popen[str], lines: queue.SimpleQueue[str | None]) -> None:
    assert child.stdout is not None
    with child.stdout as output:
        for line in output:
            lines.put(line)
    lines.put(None)


def reason_in(words: str) -> str:
    """Return the line of an installer's output that says best why it failed."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "caused by", "fatal", "failed"))]
    # pip goes on after this one, and ends with "no matching distribution".
    unreached = [line for line in lines if line.startswith("Could not fetch URL")]
    return (unreached[:1] or errors[-1:] or lines[-1:] or [""])[0][:300]


# The Python packages


@dataclass(frozen=True)
class _Uv:
    """How to call `uv pip`."""

    command: Sequence[str | Path]
    arguments: Sequence[str]
    env: Mapping[str, str]


class Packages:
    """The environment in .venv, and what belongs in it.

    Args:
        root: of the repository.
        base: the Python to make it with.
        chosen: whether a person named that Python, so that another one in .venv gives way.
    """

    def __init__(self, root: Path, base: str, chosen: bool) -> None:
        self._root = root
        self._base = base
        self._chosen = chosen
        self._venv = root / ".venv"
        self._python = self._venv / "bin" / "python"
        self._stamp = self._venv / "stamp"
        lock = json.loads((root / "Pipfile.lock").read_text(encoding="utf-8"))
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        self._locked = requirements(lock, "default", "develop")
        self._installer = requirements(lock, "installer")
        self._fingerprint = fingerprint(lock, project)
        self._pip_options: dict[str, str] = {}
        self._uv: _Uv | None = None
        self._refusal = ""
        # What configures pip for other work, and would change what is installed here, or where.
        self._env = {**os.environ, "PIP_CONSTRAINT": os.devnull, "PIP_USER": "0", "PIP_NO_INPUT": "1"}
        self._env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_PROGRESS_BAR": "off", "PYTHONUNBUFFERED": "1"}
        for name in ("VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PIP_REQUIRE_VIRTUALENV"):
            self._env.pop(name, None)

    def current(self) -> bool:
        """Return whether .venv holds what is locked now."""
        return self._usable() and self._noted().get("packages") == self._fingerprint

    def install(self) -> None:
        """Make .venv hold exactly what is locked, and tapstack.

        Raises:
            SetUpError: it cannot; the message ends with the installers' own words.
        """
        usable = self._usable()
        # Without it .venv is half made, and is made anew: an installer that was stopped can leave anything behind.
        self._stamp.unlink(missing_ok=True)
        if not usable:
            self._make_environment()
        with tempfile.TemporaryDirectory(prefix="tapstack-set-up-") as directory:
            self._install_packages(Path(directory))
        if wrong := self._differences():
            raise SetUpError(f"this is not what Pipfile.lock names: {wrong}")
        noted = {"root": str(self._root), "python": self._version(), "packages": self._fingerprint}
        self._stamp.write_text(json.dumps(noted), encoding="utf-8")

    def _noted(self) -> dict[str, str]:
        """Return what the last complete set-up wrote down."""
        try:
            noted = json.loads(self._stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _usable(self) -> bool:
        """Return whether .venv was completed, here, with a Python that still runs and is the wanted one."""
        noted = self._noted()
        if noted.get("root") != str(self._root):
            return False
        version = self._version()
        return version == noted.get("python") and (not self._chosen or version == sys.version.split()[0])

    def _version(self) -> str:
        """Return the version of the Python in .venv, or nothing where it does not run."""
        program = "import platform; print(platform.python_version())"
        try:
            done = subprocess.run([self._python, "-I", "-c", program], capture_output=True, text=True, check=False)
        except OSError:
            return ""
        return done.stdout.strip()

    def _make_environment(self) -> None:
        say(f".venv, with Python {sys.version.split()[0]}")
        run([self._base, "-m", "venv", "--clear", self._venv], self._env, self._root)

    def _pip(self, *arguments: str | Path) -> str:
        return run([self._python, "-m", "pip", *arguments], self._env, self._root)

    def _install_packages(self, scratch: Path) -> None:
        wanted = scratch / "requirements.txt"
        wanted.write_text("\n".join(self._locked.values()) + "\n", encoding="utf-8")
        self._configure()
        self._get_uv(scratch)
        # Before anything is installed: two packages, the old one and its successor, can own the same file.
        if foreign := self._inspect()["foreign"]:
            say(f"removing what is not locked: {' '.join(foreign)}")
            self._manage("uninstall", "--yes", *foreign)
        say(f"{len(self._locked)} Python packages, by {'uv' if self._uv else 'pip, which takes minutes'}")
        # Python compiles what it imports, when it does; to compile all takes longer than to install it.
        self._manage("install", "--no-compile", "--no-deps", "--require-hashes", "--requirement", wanted)
        # Editable, by the locked hatchling: nothing is fetched, and edits count at once.
        say("tapstack itself")
        self._manage("install", "--no-index", "--no-deps", "--no-build-isolation", "--editable", self._root)

    def _configure(self) -> None:
        """Find out what pip is configured with, and let it trust what this machine trusts."""
        self._pip_options = parse_pip_configuration(self._pip("config", "list"))
        if bundle := certificate_of_pip(self._pip_options, self._env):
            self._env["PIP_CERT"] = bundle

    def _get_uv(self, scratch: Path) -> None:
        """Install the locked uv; where that fails, pip stands in for it."""
        wanted = scratch / "installer.txt"
        wanted.write_text("\n".join(self._installer.values()) + "\n", encoding="utf-8")
        say("uv, which installs the packages")
        try:
            # Never built from source, which takes a Rust compiler and half an hour.
            self._pip("install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", wanted)
            arguments, env = reach_of_uv(self._pip_options, self._env)
            uv = self._venv / "bin" / "uv"
            run([uv, "--version"], env, self._root)
            self._uv = _Uv([uv, "pip"], ["--no-config", "--color=never", f"--python={self._python}", *arguments], env)
        except SetUpError as error:
            self._give_up_uv(error)

    def _give_up_uv(self, error: SetUpError) -> None:
        self._uv = None
        self._refusal = str(error)
        say(f"pip takes over, because uv failed: {reason_in(self._refusal)}")

    def _manage(self, verb: str, *arguments: str | Path) -> None:
        """Run one command of `pip` by uv, or else by pip."""
        if self._uv is not None:
            try:
                run([*self._uv.command, verb, *self._uv.arguments, *arguments], self._uv.env, self._root)
                return
            except SetUpError as error:
                self._give_up_uv(error)
        try:
            self._pip(verb, *arguments)
        except SetUpError as error:
            before = f"\n\nBefore that, uv failed:\n{self._refusal}" if self._refusal else ""
            raise SetUpError(f"{error}{before}") from None

    def _differences(self) -> str:
        found = self._inspect()
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in found.items() if names)

    def _inspect(self) -> dict[str, list[str]]:
        """Return what is in .venv and not locked ("foreign"), and what is locked and not in .venv ("missing")."""
        lines = [line.partition(" --hash=")[0] for line in (self._locked | self._installer).values()]
        done = subprocess.run(
            [self._python, "-I", "-c", _INSPECTION],
            input=json.dumps({"locked": lines, "optional": [*self._installer, "pip", "tapstack"]}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SetUpError(done.stderr)
        found: dict[str, list[str]] = json.loads(done.stdout)
        return found


# Runs in .venv, whose pip knows how to read markers.
_INSPECTION: Final = """
import importlib.metadata, json, sys
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name as name
given = json.load(sys.stdin)
locked = [Requirement(line) for line in given["locked"]]
locked = {name(r.name): r.specifier for r in locked if r.marker is None or r.marker.evaluate()}
there = {name(d.metadata["Name"]): d.version for d in importlib.metadata.distributions()}
fits = lambda n: n in there and locked[n].contains(there[n], prereleases=True)
print(json.dumps({
    "missing": sorted(n for n in locked if n not in given["optional"] and not fits(n)),
    "foreign": sorted(n for n in there if n not in locked and n not in given["optional"]),
}))
"""


# The cdktf CLI


class CdktfCli:
    """The cdktf CLI in node_modules, installed by the locked Node's npm.

    Args:
        root: of the repository.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stamp = root / "node_modules" / ".stamp"
        files = ("package.json", "package-lock.json", ".npmrc")
        content = b"\0".join((root / name).read_bytes() for name in files)
        self._fingerprint = hashlib.sha256(content).hexdigest()

    def current(self) -> bool:
        """Return whether node_modules holds what is locked now."""
        try:
            return self._stamp.read_text(encoding="utf-8") == self._fingerprint
        except OSError:
            return False

    def install(self) -> None:
        """Make node_modules hold exactly what is locked.

        Raises:
            SetUpError: it cannot; the message is npm's own words.
        """
        say("the cdktf CLI, by npm")
        self._stamp.unlink(missing_ok=True)
        own = self._root / ".venv" / "bin"
        others = [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part and Path(part) != own]
        env = {**os.environ, "PATH": os.pathsep.join([str(own), *others])}
        if configuration := self._global_configuration(os.pathsep.join(others)):
            env.setdefault("npm_config_globalconfig", configuration)
        env.setdefault("NODE_USE_SYSTEM_CA", "1")  # as pip and uv do
        run([own / "npm", "ci"], env, self._root)
        self._stamp.write_text(self._fingerprint, encoding="utf-8")

    def _global_configuration(self, path: str) -> str:
        """Return where this machine's own npm, if there is one, keeps the configuration of all users."""
        npm = shutil.which("npm", path=path)
        if npm is None:
            return ""
        command = [npm, "config", "get", "globalconfig"]
        env = {**os.environ, "PATH": path}
        try:
            done = subprocess.run(
                command,
                cwd=tempfile.gettempdir(),
                env=env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        found = done.stdout.strip()
        return found if os.path.isfile(found) else ""


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Let one process at a time install into this directory; others wait, and find it done."""
    handle = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up in this directory")
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Install what is asked for, where it is not there already; return 0, 2 when that fails, 130 when stopped."""
    parser = argparse.ArgumentParser(prog="set_up.py", description="Install what the lock files name.")
    parser.add_argument("what", choices=["python", "cdktf"], help="the Python packages, or the cdktf CLI")
    parser.add_argument("--chosen", action="store_true", help="replace a .venv of another Python than this one")
    options = parser.parse_args(arguments)
    base = str(getattr(sys, "_base_executable", None) or sys.executable)
    wanted = Packages(root, base, options.chosen) if options.what == "python" else CdktfCli(root)
    if wanted.current():
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    try:
        with alone(root):
            if not wanted.current():
                wanted.install()
                say(f"done after {time.monotonic() - began:.0f} s")
    except KeyboardInterrupt:
        say("stopped; the same command starts it again")
        return 130
    except SetUpError as error:
        print(error, file=sys.stderr)
        say("failed: what the installer printed is above")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

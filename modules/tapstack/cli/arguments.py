"""Types of command-line arguments, which argparse checks before a command starts."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from tapstack.domain.suggestions import about_quotes, did_you_mean
from tapstack.workspace.writable import obstacle

_INVALID_CHOICE: Final = re.compile(
    r"argument (?P<argument>[^:]+): invalid choice: '(?P<given>[^']*)' \(choose from (?P<choices>[^)]*)\)"
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest the command or choice that was probably meant."""

    _given: Sequence[str] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and keep what was given for the messages."""
        self._given = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        if found := _INVALID_CHOICE.search(message):
            hint = self._hint(found["argument"], found["given"], re.findall(r"[\w-]+", found["choices"]))
            message += f"; {hint}" if hint else ""
        super().error(message + about_quotes(message))

    def _hint(self, argument: str, given: str, choices: Sequence[str]) -> str:
        below = _subparsers(self)
        if below is not None and argument == below.metavar:
            inner = {name: _subparsers(parser) for name, parser in below.choices.items()}
            elsewhere = [name for name, commands in inner.items() if commands and given in commands.choices]
            if elsewhere:
                return f"did you mean {self.prog} {elsewhere[0]} {given}?"
            before = self._given[: self._given.index(given)] if given in self._given else ()
            if any(one.startswith("-") for one in before):
                return f"options go behind the {argument}"
        return did_you_mean(given, choices).strip()


def _subparsers(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[Any] | None:
    return next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)


def file_name(text: str) -> Path:
    """Return the path of a file; for argparse."""
    return Path(given_file(text))


def given_file(text: str) -> str:
    """Return the name of a file as it was given, which may be `-` for standard input; for argparse."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a file, got ''")
    return text


def count(text: str) -> str:
    """Return a whole number of 1 or more, as it was given; for argparse."""
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return text
    raise argparse.ArgumentTypeError(f"expected a whole number of 1 or more, got {text!r}")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return the type of a whole number for argparse; the command itself refuses one that is out of the range."""

    def read(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            message = f"expected a whole number from {low} to {high}, got {text!r}"
            raise argparse.ArgumentTypeError(message) from None

    return read


def directory(text: str) -> str:
    """Return the path of a directory that will be written to, as it was given; for argparse."""
    if not text:
        raise argparse.ArgumentTypeError("expected the name of a directory, got ''")
    return text


def new_file(text: str) -> str:
    """Return the path of a file that will be written, as it was given; for argparse."""
    if problem := unwritable(Path(text)) if text else "expected the name of a file, got ''":
        raise argparse.ArgumentTypeError(problem)
    return text


def outputs_file(text: str) -> str:
    """Return the path of a file that the outputs are written to, as it was given; for argparse.

    An existing file is replaced: it must be empty, or a file of outputs.
    """
    new_file(text)
    path = Path(text)
    if path.exists() and not _holds_outputs(path):
        raise argparse.ArgumentTypeError(
            f"{path} exists and is not a file of outputs: name another file, or remove this one"
        )
    return text


def _holds_outputs(path: Path) -> bool:
    """Return whether a file holds what the cdktf CLI writes: the outputs of each stack by name."""
    try:
        text = path.read_text(encoding="utf-8")
        stacks = json.loads(text or "{}")
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(stacks, dict) and all(isinstance(outputs, dict) for outputs in stacks.values())


def unwritable(path: Path) -> str | None:
    """Return why a file cannot be written at a path, as far as that can be known beforehand; None where it can."""
    if path.is_dir():
        return f"{path} is a directory: expected the name of a file"
    if not path.parent.is_dir():
        return f"{path.parent} is not an existing directory"
    if path.exists() and not path.is_file():
        return f"{path} is no regular file"
    return obstacle(path.parent)


def unrecognized(parser: argparse.ArgumentParser, chosen: argparse.Namespace, unknown: list[str]) -> str:
    """Return the message about unknown arguments, with those that were probably meant.

    Where there are options, the message has their names only, because the value of one may be a secret.

    Args:
        parser: of the program.
        chosen: what was parsed; it has the command, and that command's own.
        unknown: the arguments that are left.
    """
    command = parser
    while (below := _subparsers(command)) is not None:
        command = below.choices[getattr(chosen, below.dest)]
    options = [argument.partition("=")[0] for argument in unknown if argument.startswith("-")]
    hints = [_about(option, command, parser) for option in options]
    shown = f"unrecognized arguments: {' '.join(options or unknown)}"
    message = "; ".join([shown, *dict.fromkeys(filter(None, hints))])
    return message + about_quotes(" ".join(f"'{argument}'" for argument in unknown))


def _about(option: str, command: argparse.ArgumentParser, program: argparse.ArgumentParser) -> str:
    known = _options(command)
    if option in known:
        return f"{option} goes behind {command.prog}"
    if option in _options(program, below=True):
        return f"{command.prog} has no {option}"
    return did_you_mean(option, known).strip()


def _options(parser: argparse.ArgumentParser, *, below: bool = False) -> list[str]:
    names = [name for action in parser._actions if action.help != argparse.SUPPRESS for name in action.option_strings]
    subparsers = _subparsers(parser) if below else None
    for other in subparsers.choices.values() if subparsers is not None else ():
        names += _options(other, below=True)
    return sorted(set(names))

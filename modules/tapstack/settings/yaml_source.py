"""Read YAML into plain data, remembering the line of every key and item."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_literal, check_literal_key
from tapstack.domain.tokens import is_token
from tapstack.settings.problems import DeploymentError, Path, Problem, printable
from tapstack.settings.unknown import UNKNOWN

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads ten times faster
_STRING: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"
_TEXT_TAGS: Final = frozenset({_STRING, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
_SEQUENCE: Final = "tag:yaml.org,2002:seq"
_MAPPING: Final = "tag:yaml.org,2002:map"
_NO_SCALAR: Final = frozenset(
    {_SEQUENCE, _MAPPING, *(f"tag:yaml.org,2002:{name}" for name in ("set", "omap", "pairs"))}
)
"""What PyYAML makes an empty list or mapping of a text of."""
_INVISIBLE: Final = re.compile(r"[\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]")
"""Spaces that YAML takes for letters, and marks that no editor shows: pages are copied with them."""
_MOST_NODES: Final = 1_000_000
"""Aliases let a small file stand for an endless one ("billion laughs")."""
_DEEPEST: Final = 100
"""And one that contains itself. The deployment file is about ten levels deep; a parser that recurses
has an end somewhere beyond, and it is a crash."""
_LONGEST_NUMBER: Final = 100
"""Characters. Python refuses to print whole numbers of more than a few thousand digits."""
_NUMBER_TAGS: Final = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
"""How numbers are written here. YAML 1.1 has others, which stand for something else than they seem to: `0443` is
octal, `22:22` of base 60."""
_BEGINNING: Final = re.compile(r"( *)(?:- +)*(?=[^\s#-])")
"""Of a line that is no comment: its indentation, and the dashes of list items."""
_PAIR: Final = re.compile(r"([0-9]+):([0-9]+)")


class Written(str):
    """A value as the file has it, which messages show without quotes: `012`, not 10."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text itself."""
        return str(self)


class YamlSource:
    """A parsed YAML document.

    Attributes:
        data: what it says; `UNKNOWN` where a value cannot be used.
        problems: a duplicate key, text that is none (see `check_literal`), and the like.
        unusable: the places of those values.
        empty: the places without a value, which YAML reads as null.
    """

    def __init__(self, text: str, file: str) -> None:
        """Parse `text`.

        Raises:
            DeploymentError: not YAML, not one mapping, or larger than anything that is meant.
        """
        self._lines: dict[Path, int] = {}
        self._written: dict[Path, str] = {}
        self._values: dict[Path, Any] = {}
        self.problems: list[Problem] = []
        self.unusable: set[Path] = set()
        self.empty: set[Path] = set()
        self._constructor = SafeConstructor()
        try:
            if problem := _too_large(text):
                raise DeploymentError(file, [problem])
            root = yaml.compose(text, Loader=_Loader)
        except (yaml.YAMLError, UnicodeError) as error:
            raise DeploymentError(file, [_syntax_problem(error, text)]) from None
        if root is None:
            raise DeploymentError(file, [Problem((), "the file is empty: expected a mapping with `sites`")])
        if not isinstance(root, yaml.MappingNode):
            is_one = isinstance(root, yaml.ScalarNode)
            found = self.as_written((), self._build(root, ())) if is_one else Written("a list")
            message = "expected a mapping with `sites` at the top"
            raise DeploymentError(file, self.problems or [Problem((), message, found, 1)])
        self.data: dict[str, Any] = self._build(root, ())

    def line(self, path: Path) -> int | None:
        """Return the line of `path`, or of the nearest thing above it that the file has."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1

    def as_written(self, path: Path, value: Any) -> Any:
        """Return what stands at `path` as messages show it: numbers, truth values and the like as the file has them."""
        if isinstance(value, list):
            items = (repr(self.as_written((*path, position), item)) for position, item in enumerate(value))
            return Written(f"[{', '.join(items)}]")
        if isinstance(value, dict):
            entries = (f"{key!r}: {self.as_written((*path, key), item)!r}" for key, item in value.items())
            return Written(f"{{{', '.join(entries)}}}")
        if value is None:
            return Written(self._written.get(path, "") or "nothing")
        if isinstance(value, bool | int | float) and path in self._written:
            return Written(self._written[path])
        return value

    def explain(self, path: Path, message: str) -> str:
        """Return a message about what stands at `path` with the number or truth value as the file has it."""
        if path not in self._values:
            return message
        written, value = self._written[path] or "nothing", self._values[path]
        shown = {repr(value)} | ({repr(float(value))} if isinstance(value, int) else set())
        return re.sub(rf"\bgot (?:{'|'.join(map(re.escape, shown))})(?![\w.])", lambda _: f"got {written}", message)

    def _build(self, node: yaml.Node, path: Path) -> Any:
        if not _fits(node):
            message = f"has the YAML tag {_short(node.tag)}, which has no use here: leave it out"
            self.problems.append(Problem(path, message, line=node.start_mark.line + 1))
            self.unusable.add(path)
            return UNKNOWN
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if isinstance(node, yaml.SequenceNode):
            items = []
            for position, item in enumerate(node.value):
                here = (*path, position)
                self._lines[here] = item.start_mark.line + 1
                items.append(self._build(item, here))
            return items
        assert isinstance(node, yaml.MappingNode)
        return self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        # What is merged comes first: the mapping's own keys then win, with their values and lines.
        for key_node, value_node in sorted(node.value, key=lambda pair: pair[0].tag != _MERGE):
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                sources = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for source in reversed(sources):
                    if not isinstance(source, yaml.MappingNode):
                        self.problems.append(Problem(path, "`<<` merges mappings only", line=line))
                        continue
                    if (built := self._build(source, path)) is not UNKNOWN:
                        merged.update(built)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(Problem(path, "a key must be plain text", line=line))
                continue
            name = str(key_node.value)
            here = (*path, name)
            if not self._is_literal(name, path, line, check_literal_key):
                continue
            if name in mapping:
                self.problems.append(
                    Problem(here, f"given twice, first in line {self._lines[here]}: keep one", line=line)
                )
                continue
            if name in merged:
                self._forget(here)
            self._lines[here] = line
            mapping[name] = self._build(value_node, here)
        return {**merged, **mapping}

    def _forget(self, path: Path) -> None:
        """Forget what was merged below a path, and a key of the mapping's own replaces."""
        for known in (self._written, self._values):
            for there in [one for one in known if one[: len(path)] == path]:
                del known[there]
        self.empty = {one for one in self.empty if one[: len(path)] != path}

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        line = node.start_mark.line + 1
        if node.tag in _TEXT_TAGS:
            text = str(node.value)
            if self._is_literal(text, path, line):
                return text
            self.unusable.add(path)
            return UNKNOWN
        written = self._written[path] = shown = str(node.value)
        message = f"cannot be read as {_short(node.tag)}"
        try:
            if len(written) > _LONGEST_NUMBER:
                if node.tag in _NUMBER_TAGS:
                    message = (
                        f"is longer than any number here: expected at most {_LONGEST_NUMBER} characters, or quotes"
                    )
                raise ValueError
            value = self._constructor.construct_object(node)
            # cdktf encodes its numbers to come as huge negative ones.
            if is_token(value):
                raise ValueError
            if node.tag in _NUMBER_TAGS and not _DECIMAL.fullmatch(written):
                message, shown = _no_decimal(written, value, path), Written(written)
                raise ValueError
            if isinstance(value, bytes):
                message = "binary data has no use here: expected text, without !!binary"
                raise ValueError
            self._values[path] = value
            if not written:
                self.empty.add(path)
            return value
        except (yaml.YAMLError, ValueError, LookupError):
            self.problems.append(Problem(path, message, shown, line))
            self.unusable.add(path)
            return UNKNOWN

    def _is_literal(self, text: str, path: Path, line: int, check: Callable[[str], str] = check_literal) -> bool:
        try:
            check(text)
        except RuleViolation as violation:
            self.problems.append(Problem(path, str(violation), text, line))
            return False
        return True


def _short(tag: str) -> str:
    """Return a tag as files have it, with what a terminal would not show escaped."""
    return printable(tag.replace("tag:yaml.org,2002:", "!!", 1))


def _fits(node: yaml.Node) -> bool:
    """Return whether a node has a tag of its own kind; another one turns it into something else."""
    if isinstance(node, yaml.ScalarNode):
        return node.tag not in _NO_SCALAR
    return bool(node.tag == (_SEQUENCE if isinstance(node, yaml.SequenceNode) else _MAPPING))


_ACCOUNT_ID: Final = re.compile(r"0\d{11}")


def _no_decimal(written: str, value: float, path: Path) -> str:
    """Say what YAML makes of a number that is not written as a decimal one, and what would be right."""
    read = f"YAML reads this as the number {value}"
    pair = _PAIR.fullmatch(written)
    if pair is not None and str(path[-1] if path else "").endswith("_ports"):
        return f'{read}: a range is written "{pair[1]}-{pair[2]}"'
    meant = written.lstrip("+").replace("_", "")
    if _ACCOUNT_ID.fullmatch(written):
        return f"{read}: expected the id of an account in quotes, '{written}'"
    meant = meant.lstrip("0") if meant.isdecimal() else meant
    example = f", such as {meant}" if _DECIMAL.fullmatch(meant) else ""
    return f"{read}: expected a plain decimal number{example}, or quotes around text"


@dataclass(slots=True)
class _Extent:
    """How much a part of the file stands for: values, and levels below it."""

    anchor: str | None
    values: int = 1
    levels: int = 0

    def hold(self, values: int, levels: int) -> None:
        """Count a value that it holds."""
        self.values += values
        self.levels = max(self.levels, levels + 1)


def _too_large(text: str) -> Problem | None:
    """Say what would take too long or too deep a recursion to build; it is counted, not built.

    The parser's events come one by one, so nothing behind the place of the problem is read.
    """
    open_: list[_Extent] = [_Extent(None)]
    anchored: dict[str, _Extent] = {}
    values = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1  # type: ignore[union-attr]
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(_Extent(event.anchor))
            values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            done = open_.pop()
            if done.anchor is not None:
                anchored[done.anchor] = done
            open_[-1].hold(done.values, done.levels)
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                anchored[event.anchor] = _Extent(event.anchor)
            open_[-1].hold(1, 0)
            values += 1
        elif isinstance(event, yaml.AliasEvent):
            if any(event.anchor == extent.anchor for extent in open_):
                return Problem((), f"the alias *{event.anchor} refers to a value that contains it", line=line)
            # An alias that leads nowhere is the parser's to refuse.
            found = anchored.get(str(event.anchor), _Extent(None))
            open_[-1].hold(found.values, found.levels)
            values += found.values
        if len(open_) - 1 + open_[-1].levels > _DEEPEST:
            return Problem((), f"is nested more than {_DEEPEST} levels deep", line=line)
        if values > _MOST_NODES:
            return Problem((), f"the file expands to more than {_MOST_NODES:,} values", line=line)
    return None


def _syntax_problem(error: Exception, text: str) -> Problem:
    if forbidden := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        return Problem((), f"this is not YAML: the character {forbidden.group()!a} is not allowed", line=line)
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    column = f" (column {mark.column + 1})" if mark else ""
    message = f"this is not YAML{column}: {what}"
    if mark and (advice := _advice(what, getattr(error, "context", None) or "", error, text)):
        message += f"; {advice}"
    return Problem((), message, line=mark.line + 1 if mark else None)


def _where_lines_begin(lines: Sequence[str], number: int, column: int) -> str:
    """Say where a line that begins at a wrong column could begin: as a line above it of the next column on each side.

    Args:
        lines: of the file.
        number: of the line; 0 is the first.
        column: where it begins; 0 is the first.
    """
    deeper = shallower = ""
    within = math.inf
    for above in range(number - 1, -1, -1):
        found = _BEGINNING.match(lines[above])
        if found is None:
            continue
        key, begins = found.end(), found.end(1)
        place = f"column {key + 1}, as line {above + 1}"
        if column < key < within:
            deeper = place
        elif key < column and key < within:
            shallower = place
            break
        within = min(within, begins)
    places = ", or at ".join(filter(None, (deeper, shallower)))
    return f"begin the line at {places}, or correct what is above it" if places else ""


def _advice(what: str, context: str, error: Any, text: str) -> str:
    """Say what mends a syntax error, as far as the parser's message and the place show it."""
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    began = f"line {error.context_mark.line + 1}" if error.context_mark else "an earlier line"
    character = line[mark.column : mark.column + 1]
    if "escape" in what or "hexdecimal" in what or "Unicode" in what:
        return "double the backslash, or use single quotes"
    if character == "\t":
        return "indent with spaces, not with tabs"
    for number in dict.fromkeys((mark.line, max(mark.line - 1, 0))):
        if number < len(lines) and (found := _INVISIBLE.search(lines[number])):
            name = unicodedata.name(found.group(), "a character that cannot be seen").lower()
            return (
                f"line {number + 1}, column {found.start() + 1} is a {name} (U+{ord(found.group()):04X}): use a space"
            )
    if "undefined alias" in what:
        return "define its anchor above it, or put a value that begins with * in quotes"
    if "cannot start any token" in what:
        return f"put a value that begins with {character} in quotes"
    if "quoted scalar" in context:
        return f"close the quotes that {began} opens"
    if "node content" in what:
        return "close the bracket that is open, or take out a comma too many"
    if "flow" in context:
        return f"close the bracket that {began} opens, or put a comma between two values"
    if "block scalar" in context:
        return "put a value that begins with > or | in quotes, or begin its text on the next line"
    if "expected ':'" in what:
        return "put a colon and a space behind a key"
    if "mapping values are not allowed" in what:
        above = lines[mark.line - 1] if mark.line else ""
        if above.strip() and not re.search(r":(\s|$)", above):
            return f"put a colon and a space behind the key in line {mark.line}"
        return "put a value that holds a colon and a space in quotes, or indent the line as the key above it"
    if "block" in context and line[: mark.column].strip():
        return "check the quotes and brackets before it"
    if "block mapping" in context and line.lstrip().startswith("-"):
        return "a line that begins with - is no key: put the list below its key, each item indented as the first"
    if "block" in context or "document start" in what:
        return _where_lines_begin(lines, mark.line, mark.column)
    if "second occurrence" in what:
        return "give each anchor (&name) a name of its own"
    if "alphabetic or numeric" in what:
        return "put a value that begins with * or & in quotes"
    if "directive" in what:
        return "a line that begins with % is no key: take it out"
    if "another document" in what:
        return "take out the line ---: a deployment is one document"
    return ""

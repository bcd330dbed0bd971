"""Read YAML into plain data, remembering the line of every key and item."""

from __future__ import annotations

from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.reader import Reader

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_literal
from tapstack.domain.tokens import is_token
from tapstack.settings.problems import DeploymentError, Path, Problem

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads ten times faster
_STRING: Final = "tag:yaml.org,2002:str"
_MERGE: Final = "tag:yaml.org,2002:merge"
_TEXT_TAGS: Final = frozenset({_STRING, "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"})
_MOST_NODES: Final = 1_000_000
"""Aliases let a small file stand for an endless one ("billion laughs")."""
_DEEPEST: Final = 100
"""And one that contains itself. The deployment file is about ten levels deep."""
_LONGEST_NUMBER: Final = 100
"""Characters. Python refuses to print whole numbers of more than a few thousand digits."""


class YamlSource:
    """A parsed YAML document: `data`, and `line(path)` for messages."""

    def __init__(self, text: str, file: str) -> None:
        """Parse `text`.

        Raises:
            DeploymentError: not YAML, not one mapping, a duplicate key, or text that is none (see `check_literal`).
        """
        self._file = file
        self._lines: dict[Path, int] = {}
        self._problems: list[Problem] = []
        self._constructor = SafeConstructor()
        self._nodes = 0
        self._depth = 0
        try:
            root = yaml.compose(text, Loader=_Loader)
        except (yaml.YAMLError, UnicodeError) as error:
            raise DeploymentError(file, [_syntax_problem(error, text)]) from None
        if root is None:
            raise DeploymentError(file, [Problem((), "the file is empty: expected a mapping with `sites`")])
        if not isinstance(root, yaml.MappingNode):
            raise DeploymentError(
                file, [Problem((), "expected a mapping with `sites` at the top", self._build(root, ()), 1)]
            )
        self.data: dict[str, Any] = self._build(root, ())
        if self._problems:
            raise DeploymentError(file, self._problems)

    def line(self, path: Path) -> int | None:
        """Return the line of `path`, or of the nearest thing above it that the file has."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1

    def _build(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        line = node.start_mark.line + 1
        if self._nodes > _MOST_NODES:
            message = f"the file stands for more than {_MOST_NODES:,} values"
            raise DeploymentError(self._file, [Problem(path, message, line=line)])
        if self._depth >= _DEEPEST:
            message = f"is nested more than {_DEEPEST} levels deep, or contains itself"
            raise DeploymentError(self._file, [Problem(path[:1], message, line=line)])
        self._depth += 1
        try:
            return self._content(node, path)
        finally:
            self._depth -= 1

    def _content(self, node: yaml.Node, path: Path) -> Any:
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
                        self._problems.append(Problem(path, "`<<` merges mappings only", line=line))
                        continue
                    merged.update(self._build(source, path))
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._problems.append(Problem(path, "a key must be plain text", line=line))
                continue
            name = str(key_node.value)
            here = (*path, name)
            self._check_text(name, path, line)
            if name in mapping:
                self._problems.append(
                    Problem(here, f"given twice, first in line {self._lines[here]}: keep one", line=line)
                )
                continue
            self._lines[here] = line
            mapping[name] = self._build(value_node, here)
        return {**merged, **mapping}

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        line = node.start_mark.line + 1
        if node.tag in _TEXT_TAGS:
            text = str(node.value)
            self._check_text(text, path, line)
            return text
        try:
            if len(node.value) > _LONGEST_NUMBER:
                raise ValueError
            value = self._constructor.construct_object(node)
            # cdktf encodes its numbers to come as huge negative ones.
            if is_token(value):
                raise ValueError
            return value
        except (yaml.YAMLError, ValueError, LookupError):
            self._problems.append(Problem(path, f"cannot be read as {node.tag}", str(node.value), line))
            return None

    def _check_text(self, text: str, path: Path, line: int) -> None:
        try:
            check_literal(text)
        except RuleViolation as violation:
            self._problems.append(Problem(path, str(violation), text, line))


def _syntax_problem(error: Exception, text: str) -> Problem:
    if forbidden := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, forbidden.start()) + 1
        return Problem((), f"this is not YAML: the character {forbidden.group()!a} is not allowed", line=line)
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or str(error).splitlines()[0]
    column = f" (column {mark.column + 1})" if mark else ""
    return Problem((), f"this is not YAML{column}: {what}", line=mark.line + 1 if mark else None)

"""Which text goes into Terraform, and how the two languages of Terraform write it.

Source: HCL Native Syntax Specification, "Template Expressions" and "Identifiers"; Terraform
documentation, "Strings and Templates" and "JSON Configuration Syntax"; Unicode Standard, general
categories; Unicode Character Database 15.1, DerivedCoreProperties.txt, Default_Ignorable_Code_Point.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from tapstack.domain.errors import RuleViolation

TOKEN_MARKER: Final = "TfToken["
"""What CDK for Terraform encodes its tokens with, in texts, lists and maps."""

_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control characters, invisible ones (bidirectional marks among them), surrogates, line separators."""
_IGNORABLE: Final = (
    *(range(0x034F, 0x0350), range(0x115F, 0x1161), range(0x17B4, 0x17B6), range(0x180B, 0x1810)),
    *(range(0x2060, 0x2070), range(0x3164, 0x3165), range(0xFE00, 0xFE10), range(0xFFA0, 0xFFA1)),
    *(range(0xFFF0, 0xFFF9), range(0xE0000, 0xE1000)),
)
"""Default_Ignorable_Code_Point, as far as no refused category has it: fillers, joiners, variation selectors."""
_PRESENTATION: Final = frozenset("\ufe0e\ufe0f")
"""As text, as an emoji: Unicode Technical Standard 51. Of use behind the character that they are for."""
_TEMPLATE: Final = re.compile(r"(\$+|%+)\{")
_BARE_KEY: Final = re.compile(r"[A-Za-z_-][A-Za-z0-9_-]*")
_LOST_KEYS: Final = frozenset({"", "__proto__", "//", "%"})
"""JavaScript takes the second for something else, cdktf the third for a comment; the provider counts with the last."""


def is_plain(value: str) -> bool:
    """Return whether text is right and the same in every language, as nearly all is; a fast check."""
    return value.isascii() and value.isprintable() and "{" not in value and '"' not in value and "\\" not in value


def check_text(value: str) -> str:
    """Return `value` when it is one line of visible characters, as Terraform keeps it.

    Terraform normalizes text to NFC, so text in another form would not stay what it is.

    Raises:
        RuleViolation: it holds a control or invisible character, or is not in NFC.
    """
    if value.isascii() and value.isprintable():
        return value
    for position, character in enumerate(value, 1):
        if not _is_visible(character, value[position - 2 : position - 1]):
            raise RuleViolation(
                f"the character U+{ord(character):04X} at position {position} is not allowed: expected one line "
                "without control or invisible characters"
            )
    if not unicodedata.is_normalized("NFC", value):
        raise RuleViolation(
            "the text is not in Unicode form NFC, to which Terraform would change it: "
            f"expected {unicodedata.normalize('NFC', value)!a}"
        )
    return value


def _is_visible(character: str, before: str) -> bool:
    if character in _PRESENTATION:
        return bool(before) and before not in _PRESENTATION
    code = ord(character)
    return not (
        unicodedata.category(character) in _REFUSED
        or code & 0xFFFE == 0xFFFE
        or any(code in ignorable for ignorable in _IGNORABLE)
    )


def check_literal(value: str) -> str:
    """Return `value` when it is text that nothing takes for a Terraform expression or a cdktf token.

    Raises:
        RuleViolation: it is an expression or a token, or no text (see `check_text`).
    """
    if "${" in value or "%{" in value:
        raise RuleViolation("Terraform expressions are not allowed in the deployment file")
    if TOKEN_MARKER in value:
        raise RuleViolation(f"tokens are not allowed in the deployment file: {TOKEN_MARKER} marks one")
    return check_text(value)


def check_literal_key(key: str) -> str:
    """Return `key` when it is a literal (see `check_literal`) that can be the key of a map.

    Raises:
        RuleViolation: no literal, an empty one, or one that is lost on the way.
    """
    _check_kept(key)
    return check_literal(key)


def check_template(value: str, *, hcl: bool) -> str:
    """Return text, which expressions in `${}` may be part of, as the language that is written takes it.

    In JSON that is the text itself. In HCL quotes and backslashes outside of expressions are escaped.

    Raises:
        RuleViolation: no text (see `check_text`), a directive (`%{`), or an expression without its end.
    """
    if is_plain(value):
        return value
    check_text(value)
    if "{" not in value:
        return _escaped(value) if hcl else value
    written = []
    position = 0
    while found := _TEMPLATE.search(value, position):
        signs = found.group(1)
        if len(signs) > 2 or signs == "%":
            raise RuleViolation(
                f"{value!r} holds {found.group()}, which Terraform takes for an expression: expected ${{...}}, or "
                "$${ and %%{ for the characters themselves"
            )
        if len(signs) == 2:
            written.append(_escaped(value[position : found.end()]))
            position = found.end()
            continue
        end = _end_of_expression(value, found.end())
        written += [_escaped(value[position : found.start()]), value[found.start() : end]]
        position = end
    written.append(_escaped(value[position:]))
    return "".join(written) if hcl else value


def check_key(key: str, *, hcl: bool) -> str:
    """Return the key of a map as the language that is written takes it.

    cdktf writes a key without quotes in HCL where it looks like an identifier. What is none is given an
    escape, so that it is quoted.

    Raises:
        RuleViolation: no text, an empty one, or one that cdktf loses.
    """
    _check_kept(key)
    written = check_template(key, hcl=hcl)
    if hcl and _BARE_KEY.fullmatch(key) and (key.startswith("-") or key == "for"):
        return f"\\u{ord(key[0]):04x}{key[1:]}"
    return written


def _check_kept(key: str) -> None:
    if key in _LOST_KEYS:
        raise RuleViolation(f"{key!r} cannot be a key: Terraform or cdktf drops it")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _end_of_expression(text: str, position: int) -> int:
    """Return where the expression ends that begins before `position`; texts in it may hold expressions."""
    depth = 1
    while position < len(text):
        character = text[position]
        position += 1
        if character == '"':
            position = _end_of_quoted(text, position)
        elif character in "{}":
            depth += 1 if character == "{" else -1
            if not depth:
                return position
    raise RuleViolation(f"{text!r} has an unclosed expression: expected a closing brace")


def _end_of_quoted(text: str, position: int) -> int:
    while position < len(text):
        if text[position] == "\\" or text.startswith("$${", position):
            position += 2
        elif text.startswith("${", position):
            position = _end_of_expression(text, position + 2)
        elif text[position] == '"':
            return position + 1
        else:
            position += 1
    raise RuleViolation(f"{text!r} has an unclosed text: expected a closing quote")

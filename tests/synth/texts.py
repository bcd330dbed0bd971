"""Texts that languages take for something else, and what Terraform reads of them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import hcl2
from hcl2 import SerializationOptions
from hypothesis import strategies as st

from tapstack.bindings import cdk

NASTY = [
    *['"', "\\", '\\"', '\\\\"', 'a"b', "a\\", '"a', "'", "`", "\\n", "\\u0041", "\\x", "~", "a\\nb"],
    *["$", "%", "$$", "%%", "a$", "$a{", "{", "}", "{{", "[", "]", '["x"]', '{"a":1}', '"x"', "a = b", "~}"],
    *["${x}", "%{x}", "$${x}", "%%{x}", "${", '${file("x")}', "a ${x} b", "%{ if true }"],
    *["TfToken[", "${TfToken[TOKEN.0]}", "#{TfToken[TOKEN.1]}", "&{TfToken[TOKEN.2]}", "{TfToken[x"],
    *["EOF", "<<EOF", "<<-EOF", "a\nEOF\n}", "\n", "\r", "\r\n", "\t", "\x00", "\x1b[31m", "\x7f", "\x85"],
    *["\u2028", "\u2029", "\ufeff", "\u202e", "\u2066", "\u200b", "\ud800", "\uffff", "e\u0301", "\u212b"],
    *["#", "//", "/*", "# a", "a // b", "for", "-a", "--", "_a", "true", "null", "1", "01", "1e5", "-1", "0x1"],
    *["__proto__", "constructor", "toString", "value", "isBlock", "dynamic", "type", "content", "//x"],
    *["$jsii.byref", "$jsii.map", "a.b", "a[0]", " a", "a ", "a  b", "é", "日本語", "\U0001f9d9", "x" * 300],
]

_SIGNS = st.sampled_from(list("\"\\${}%[]#<>'/*~=,:.-_ \n\tab1é"))
TEXT = st.sampled_from(NASTY) | st.text(_SIGNS, min_size=1, max_size=12) | st.text(min_size=1, max_size=12)

_OPTIONS = SerializationOptions(strip_string_quotes=True, explicit_blocks=False)
# What is addressed by a text in which characters are left out: the hash, and what is before it.
_HASH = re.compile(r"(?:(?:Email|Provider)-.*?)?_[0-9A-F]{8}\b")
_DIGEST = re.compile(r"[0-9a-f]{16}")


def as_json(stack: cdk.TerraformStack) -> Any:
    """Return what a stack's JSON says."""
    return _plain(json.loads(cdk.Testing.synth(stack)))


def as_hcl(stack: cdk.TerraformStack) -> Any:
    """Return what a stack's HCL says; the stack has to be built while HCL is rendered."""
    return _plain(hcl2.loads(cdk.Testing.synth_hcl(stack), serialization_options=_OPTIONS))


def _plain(value: Any) -> Any:
    """Read JSON inside of texts as well: a policy, a definition."""
    if isinstance(value, dict):
        return {_HASH.sub("_#", key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, str):
        if value.startswith(("{", "[")):
            try:
                return {"json": _plain(json.loads(value))}
            except ValueError:
                pass
        return "#" if _DIGEST.fullmatch(value) else _HASH.sub("_#", value)
    return value


def replaced(value: Any, texts: Mapping[str, str]) -> Any:
    """Return Terraform with texts in place of others."""
    pattern = re.compile("|".join(map(re.escape, texts)))

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                str(pattern.sub(lambda found: texts[found.group()], key)): replace(inner)
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [replace(inner) for inner in value]
        if not isinstance(value, str):
            return value
        changed = pattern.sub(lambda found: texts[found.group()], value)
        return value if changed == value else _plain(changed)

    return replace(value)

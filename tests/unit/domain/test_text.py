import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_key, check_literal, check_template, check_text
from tests.hcl import read_quoted

# Of Default_Ignorable_Code_Point in DerivedCoreProperties.txt, and of no category that is refused as a whole.
INVISIBLE = [
    *("\u034f", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u180b", "\u180f", "\u2065", "\u3164", "\ufe00", "\ufe0d"),
    *("\uffa0", "\ufff0", "\ufff8", "\U000e0000", "\U000e0100", "\U000e01ef", "\U000e0fff"),
]
TOKEN = "${TfToken[TOKEN.0]}"


def refusal(check: Callable[[], object]) -> str:
    with pytest.raises(RuleViolation) as caught:
        check()
    return str(caught.value)


class TestText:
    @given(st.text())
    def test_when_a_text_is_taken_then_it_is_one_visible_line_that_terraform_keeps(self, text: str) -> None:
        try:
            taken = check_text(text)
        except RuleViolation:
            return
        assert taken == text == unicodedata.normalize("NFC", text)
        assert len(text.splitlines()) < 2
        assert not {unicodedata.category(c) for c in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}

    @pytest.mark.parametrize(
        "character", [*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u202e", "\ufeff", "\ud800", *INVISIBLE]
    )
    def test_fails_when_a_character_is_a_control_or_invisible(self, character: str) -> None:
        message = refusal(lambda: check_text(f"a{character}b"))
        assert f"the character U+{ord(character):04X} at position 2" in message
        assert message.isprintable()

    @pytest.mark.parametrize(
        "text", ["\u2764\ufe0f", "1\ufe0f\u20e3 first", "\u260e\ufe0e", "\u00e9\u5b89\ud55c", "\u0e01\u0e34"]
    )
    def test_when_a_selector_stands_behind_its_character_then_it_is_taken(self, text: str) -> None:
        assert check_text(text) == text

    @pytest.mark.parametrize("text", ["\ufe0fa", "\u2764\ufe0f\ufe0f", "\u2764\ufe0e\ufe0f"])
    def test_fails_when_a_selector_is_for_no_character(self, text: str) -> None:
        position = 1 if text.startswith("\ufe0f") else 3
        assert f"the character U+FE0F at position {position} is not allowed" in refusal(lambda: check_text(text))

    @pytest.mark.parametrize("text", ["${var.a}", "%{if", "$${", TOKEN, "#{TfToken[TOKEN.1]}", "TfToken["])
    def test_fails_when_a_literal_is_an_expression_or_a_token(self, text: str) -> None:
        assert "not allowed in the deployment file" in refusal(lambda: check_literal(text))


class TestTemplates:
    @given(st.text(st.sampled_from('a"\\$%{}#/ <E\u00e9')))
    def test_when_a_text_is_written_in_hcl_then_it_reads_as_what_it_was(self, text: str) -> None:
        try:
            written = check_template(text, hcl=True)
        except RuleViolation:
            assert "${" in text or "%{" in text
            return
        if "${" not in text and "%{" not in text:
            assert read_quoted(written) == text
            assert check_template(text, hcl=False) == text

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            (TOKEN, TOKEN),
            (f'say "{TOKEN}" \\', f'say \\"{TOKEN}\\" \\\\'),
            ('${a["b"]}"', '${a["b"]}\\"'),
            ('"${a["}"]}"', '\\"${a["}"]}\\"'),
            ('${"a\\"}${b["c"]}"}"', '${"a\\"}${b["c"]}"}\\"'),
            ('${{for k, v in a : k => "$${x}"}}"', '${{for k, v in a : k => "$${x}"}}\\"'),
            ('"$${a}" "%%{b}"', '\\"$${a}\\" \\"%%{b}\\"'),
        ],
    )
    def test_when_a_text_holds_an_expression_then_only_the_rest_is_escaped(self, text: str, written: str) -> None:
        assert check_template(text, hcl=True) == written
        assert check_template(text, hcl=False) == text

    @pytest.mark.parametrize("text", ["%{if a}", "$$${a}", "%%%{a}", "${a", '${"a}', '${"\\', "a\n", "${\n}"])
    @pytest.mark.parametrize("hcl", [False, True])
    def test_fails_when_terraform_would_read_something_else(self, text: str, hcl: bool) -> None:
        refusal(lambda: check_template(text, hcl=hcl))


class TestKeys:
    @pytest.mark.parametrize(
        ("key", "written"),
        [
            ("Name", "Name"),
            ("for", "\\u0066or"),
            ("form", "form"),
            ("-a", "\\u002da"),
            ('a"b', 'a\\"b'),
            ("a:b", "a:b"),
            ("1", "1"),
            ("true", "true"),
        ],
    )
    def test_when_a_key_is_no_identifier_then_cdktf_has_to_quote_it(self, key: str, written: str) -> None:
        assert check_key(key, hcl=True) == written
        assert check_key(key, hcl=False) == key

    @pytest.mark.parametrize("key", ["", "__proto__", "//", "%", "a\n", "%{a"])
    @pytest.mark.parametrize("hcl", [False, True])
    def test_fails_when_a_key_would_be_lost(self, key: str, hcl: bool) -> None:
        refusal(lambda: check_key(key, hcl=hcl))

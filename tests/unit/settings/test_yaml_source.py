import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_literal
from tapstack.settings import yaml_source
from tapstack.settings.problems import DeploymentError
from tapstack.settings.yaml_source import YamlSource
from tests.unit.settings.reading import USABLE, report


def data(text: str) -> object:
    return YamlSource(text, "deployment.yaml").data


def refused(text: str) -> list[str]:
    with pytest.raises(DeploymentError) as caught:
        raise DeploymentError("deployment.yaml", YamlSource(text, "deployment.yaml").problems)
    assert caught.value.problems
    return str(caught.value).splitlines()


class TestValues:
    def test_when_values_are_plain_then_they_are_read_as_yaml_reads_them(self) -> None:
        text = "{text: a, number: 5, float: 1.5, no: no, nothing: ~, quoted: '5', list: [1, {a: b}]}"
        assert data(text) == {
            "text": "a",
            "number": 5,
            "float": 1.5,
            "no": False,
            "nothing": None,
            "quoted": "5",
            "list": [1, {"a": "b"}],
        }

    def test_when_a_value_looks_like_a_date_then_it_stays_text(self) -> None:
        assert data("{until: 2026-01-31, at: 2026-01-31T10:00:00Z}") == {
            "until": "2026-01-31",
            "at": "2026-01-31T10:00:00Z",
        }

    def test_when_a_key_is_a_number_then_it_is_text(self) -> None:
        assert data("{4711: a, true: b}") == {"4711": "a", "true": "b"}

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("!!int ''", "cannot be read as !!int, got ''"),
            ("!!int x", "cannot be read as !!int, got 'x'"),
            ("!!bool x", "cannot be read as !!bool, got 'x'"),
            ("!!float ''", "cannot be read as !!float, got ''"),
            ("!!python/name:os.system x", "cannot be read as !!python/name:os.system, got 'x'"),
            ("!!binary aGVsbG8=", "binary data has no use here: expected text, without !!binary, got 'aGVsbG8='"),
            ("!Ref x", "cannot be read as !Ref, got 'x'"),
            (
                "9" * 5000,
                f"is longer than any number here: expected at most 100 characters, or quotes, got '{'9' * 99}...",
            ),
            (
                "0x" + "f" * 5000,
                f"is longer than any number here: expected at most 100 characters, or quotes, got '0x{'f' * 97}...",
            ),
        ],
    )
    def test_fails_when_a_value_cannot_be_read(self, value: str, message: str) -> None:
        assert refused(f"a: 1\nb: {value}\n") == [f"deployment.yaml:2: b: {message}"]

    @pytest.mark.parametrize(
        ("value", "tag"),
        [
            ("!!python/object/apply:os.system [x]", "!!python/object/apply:os.system"),
            ("!Sub {a: b}", "!Sub"),
            ("!!seq {a: b}", "!!seq"),
            ("!!map [a]", "!!map"),
            ("!!seq abc", "!!seq"),
            ("!!map abc", "!!map"),
            ("!!set ''", "!!set"),
            ("!!seq ''", "!!seq"),
            ("!<tag:%1b[31mRED%0a> {a: b}", "tag:\\x1b[31mRED\\n"),
        ],
    )
    def test_fails_when_a_value_has_a_tag_of_another_kind(self, value: str, tag: str) -> None:
        assert refused(f"a: 1\nb: {value}\n") == [
            f"deployment.yaml:2: b: has the YAML tag {tag}, which has no use here: leave it out"
        ]

    @pytest.mark.parametrize("merged", ["!foo {a: b}", "!!set {a}", "[!foo {a: b}, {c: d}]"])
    def test_fails_when_what_is_merged_has_a_tag(self, merged: str) -> None:
        [problem] = refused(f"x: 1\n<<: {merged}\n")
        assert "which has no use here: leave it out" in problem

    def test_when_a_key_of_its_own_replaces_what_was_merged_then_that_is_forgotten(self) -> None:
        source = YamlSource("a: {<<: {b: , c: {d: }}, b: 1, c: 2, e: }\n", "deployment.yaml")
        assert source.data == {"a": {"b": 1, "c": 2, "e": None}}
        assert source.empty == {("a", "e")}

    def test_fails_when_a_long_value_is_no_number_and_names_its_tag(self) -> None:
        [problem] = refused(f"a: !foo {'x' * 101}\n")
        assert problem.startswith("deployment.yaml:1: a: cannot be read as !foo, got 'xxx")

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ("0443", "the number 291: expected a plain decimal number, such as 443, or quotes around text"),
            ("010", "the number 8: expected a plain decimal number, such as 10, or quotes around text"),
            ("4_43", "the number 443: expected a plain decimal number, such as 443, or quotes around text"),
            ("+5", "the number 5: expected a plain decimal number, such as 5, or quotes around text"),
            ("0x50", "the number 80: expected a plain decimal number, or quotes around text"),
            ("0b11", "the number 3: expected a plain decimal number, or quotes around text"),
            ("1:00", "the number 60: expected a plain decimal number, or quotes around text"),
            ("1:30.5", "the number 90.5: expected a plain decimal number, or quotes around text"),
            ("07.5", "the number 7.5: expected a plain decimal number, or quotes around text"),
            (".5", "the number 0.5: expected a plain decimal number, or quotes around text"),
            (".inf", "the number inf: expected a plain decimal number, or quotes around text"),
            (".nan", "the number nan: expected a plain decimal number, or quotes around text"),
            ("!!int 0443", "the number 291: expected a plain decimal number, such as 443, or quotes around text"),
        ],
    )
    def test_fails_when_a_number_is_not_written_as_a_decimal_one(self, value: str, message: str) -> None:
        written = value.removeprefix("!!int ")
        for text, place in ((f"a: 1\nb: {value}\n", "b"), (f"a:\n- {value}\n", "a[0]")):
            assert refused(text) == [f"deployment.yaml:2: {place}: YAML reads this as {message}, got {written}"]

    def test_fails_when_a_range_of_ports_has_a_colon(self) -> None:
        rule = "{direction: ingress, protocol: tcp, destination_ports: 22:22}"
        assert report(USABLE + f"    filters: {{f: {{rules: [{rule}]}}}}\n") == [
            "deployment.yaml:9: sites.production.filters.f.rules[0].destination_ports: YAML reads this as the number "
            '1342: a range is written "22-22", got 22:22'
        ]

    @pytest.mark.parametrize("value", ["0", "-5", "7.0", "0.25", "1.0e+3", "65535"])
    def test_when_a_number_is_a_decimal_one_then_it_is_read(self, value: str) -> None:
        assert data(f"a: {value}") == {"a": float(value)}

    @pytest.mark.parametrize("value", ["22:99", "09", "1e3", "10.0.0.0", "1-2", "8000-8999"])
    def test_when_it_is_no_number_to_yaml_then_it_is_text(self, value: str) -> None:
        assert data(f"a: {value}") == {"a": value}


class TestKeys:
    def test_fails_when_a_key_is_given_twice(self) -> None:
        assert refused("a: 1\nb: {c: 1,\n  d: 2,\n  c: 3}\na: 2\n") == [
            "deployment.yaml:4: b.c: given twice, first in line 2: keep one",
            "deployment.yaml:5: a: given twice, first in line 1: keep one",
        ]

    def test_fails_when_a_key_is_no_text(self) -> None:
        assert refused("a:\n  ? [b]\n  : c\n  ? {d: e}\n  : f\n") == [
            "deployment.yaml:2: a: a key must be plain text",
            "deployment.yaml:4: a: a key must be plain text",
        ]


class TestAnchorsAndMergeKeys:
    def test_when_a_mapping_is_merged_then_its_own_keys_win(self) -> None:
        text = "a: &a {x: 1, y: 1}\nb: {y: 2, <<: *a, z: 2}\n"
        assert data(text) == {"a": {"x": 1, "y": 1}, "b": {"x": 1, "y": 2, "z": 2}}
        assert YamlSource(text, "f").line(("b", "y")) == 2

    def test_when_several_are_merged_then_the_first_wins(self) -> None:
        text = "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n"
        assert YamlSource(text, "f").data["c"] == {"x": 1, "y": 2}
        assert YamlSource(text, "f").line(("c", "x")) == 1

    def test_when_an_anchor_is_used_twice_then_both_hold_its_value(self) -> None:
        assert data("a: &a [1]\nb: *a\nc: *a\n") == {"a": [1], "b": [1], "c": [1]}

    def test_fails_when_a_merged_value_is_wrong_and_names_its_line(self) -> None:
        text = "tags: &tags\n  owner: 5\n" + USABLE + "    tags:\n      <<: *tags\n"
        assert report(text) == [
            "deployment.yaml:2: sites.production.tags.owner: expected text (put it in quotes), got 5",
            "deployment.yaml:2: tags.owner: expected text (put it in quotes), got 5",
        ]

    @pytest.mark.parametrize("merged", ["x", "[x]", "[[]]"])
    def test_fails_when_something_else_is_merged(self, merged: str) -> None:
        assert refused(f"a:\n  <<: {merged}\n") == ["deployment.yaml:2: a: `<<` merges mappings only"]

    def test_fails_when_an_alias_leads_nowhere(self) -> None:
        assert refused("a: *b\n") == [
            "deployment.yaml:1: this is not YAML (column 4): found undefined alias; define its anchor above it, or put "
            "a value that begins with * in quotes"
        ]

    def test_fails_at_once_when_nested_aliases_expand_beyond_memory(self) -> None:
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 50)]
        assert refused("\n".join(lines)) == ["deployment.yaml:6: the file expands to more than 1,000,000 values"]

    @pytest.mark.parametrize("joint", ["[{}]", "{{<<: [{}]}}"])
    def test_fails_when_aliases_multiply_without_end(self, joint: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(yaml_source, "_MOST_NODES", 1000)
        lines = ["a0: &a0 {}"]
        lines += [f"a{n}: &a{n} {joint.format(', '.join([f'*a{n - 1}'] * 10))}" for n in range(1, 20)]
        [problem] = refused("\n".join(lines))
        assert problem.startswith("deployment.yaml:")
        assert problem.endswith(": the file expands to more than 1,000 values")

    @pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {<<: *a}", "a: &a {b: {c: *a}}"])
    def test_fails_when_a_value_contains_itself(self, text: str) -> None:
        assert refused("x: 1\n" + text) == ["deployment.yaml:2: the alias *a refers to a value that contains it"]

    @pytest.mark.parametrize(
        "text",
        [
            "a: " + "[" * 100 + "]" * 100,
            "a: " + "[" * 99 + "b" + "]" * 99,
            "a: " + "[" * 30_000 + "]" * 30_000,
            "a: " + "{b: " * 30_000 + "}" * 30_000,
            "a: " + "[" * 30_000,
            "- " * 30_000,
            "? " * 30_000,
            "a: &a0 []\nb: [" + ", ".join(f"&a{n} [*a{n - 1}]" for n in range(1, 30_000)) + "]",
        ],
        ids=["lists", "text in lists", "30,000 lists", "30,000 mappings", "open", "block", "keys", "by aliases"],
    )
    def test_fails_when_a_value_is_nested_too_deep(self, text: str) -> None:
        [problem] = refused("x: 1\n" + text) if not text.startswith(("-", "?")) else refused(text)
        assert problem.endswith(": is nested more than 100 levels deep")

    def test_when_a_file_is_deep_but_finite_then_it_is_read(self) -> None:
        assert data("a: " + "[" * 98 + "b" + "]" * 98)


class TestTerraformExpressions:
    @pytest.mark.parametrize("text", ["${var.region}", "a-${b}", "%{ if true }x%{ endif }", "${", "$${x}"])
    def test_fails_when_a_value_is_one(self, text: str) -> None:
        assert refused(f"a:\n  - b\n  - '{text}'\n") == [
            f"deployment.yaml:3: a[1]: Terraform expressions are not allowed in the deployment file, got {text!r}"
        ]

    def test_fails_when_a_key_is_one(self) -> None:
        assert refused("tags:\n  '${a}': b\n") == [
            "deployment.yaml:2: tags: Terraform expressions are not allowed in the deployment file, got '${a}'"
        ]

    def test_when_a_dollar_or_percent_sign_stands_alone_then_it_is_text(self) -> None:
        assert data("{a: $5, b: 100%, c: '{x}'}") == {"a": "$5", "b": "100%", "c": "{x}"}


class TestText:
    @pytest.mark.parametrize(
        ("written", "code"),
        [
            (r"a\nb", "000A at position 2"),
            (r"\r", "000D at position 1"),
            (r"\t", "0009 at position 1"),
            (r"\e[31m", "001B at position 1"),
            (r"\x7f", "007F at position 1"),
            (r"\N", "0085 at position 1"),
            (r"\L", "2028 at position 1"),
            (r"\P", "2029 at position 1"),
            (r"\u202e", "202E at position 1"),
            (r"\u2066", "2066 at position 1"),
            (r"\u200b", "200B at position 1"),
            (r"\ufeff", "FEFF at position 1"),
            (r"\uffff", "FFFF at position 1"),
        ],
    )
    def test_fails_when_a_character_is_a_control_or_invisible(self, written: str, code: str) -> None:
        message = (
            f"the character U+{code} is not allowed: expected one line without control or invisible characters, got "
        )
        [of_value] = refused(f'a: 1\nb: "{written}"\n')
        [of_key] = refused(f'a:\n  "{written}": b\n')
        assert of_value.startswith(f"deployment.yaml:2: b: {message}")
        assert of_key.startswith(f"deployment.yaml:2: a: {message}")
        assert of_value.isprintable()

    @pytest.mark.parametrize("key", ["", "//", "__proto__", "%"])
    def test_fails_when_a_key_would_be_lost(self, key: str) -> None:
        assert refused(f"a:\n  '{key}': b\n") == [
            f"deployment.yaml:2: a: {key!r} cannot be a key: Terraform or cdktf drops it, got {key!r}"
        ]

    @pytest.mark.parametrize("block", ["|", ">", "|-"])
    def test_fails_when_a_block_has_several_lines(self, block: str) -> None:
        [problem] = refused(f"a: {block}\n  one\n  EOF\n\n  two\n")
        assert problem.startswith("deployment.yaml:1: a: the character U+000A at position")

    def test_fails_when_a_surrogate_stands_alone(self) -> None:
        with pytest.raises(DeploymentError) as caught:
            data(r'a: "\ud800"')
        assert str(caught.value).isprintable()

    def test_fails_when_terraform_would_write_it_in_another_form(self) -> None:
        assert refused(r'a: "e\u0301"') == [
            "deployment.yaml:1: a: the text is not in Unicode form NFC, to which Terraform would change it: "
            r"expected '\xe9', got 'e\u0301'".replace("e\\u0301", "e\u0301")
        ]

    @pytest.mark.parametrize(
        "text", ["\\", 'a"b', "'", "#", "// a", "/*", "EOF", "<<EOF", "日本\u3000語", "\U0001f9d9", "$", "%%"]
    )
    def test_when_it_is_one_line_that_can_be_seen_then_it_is_text(self, text: str) -> None:
        assert data(json.dumps({"a": text, text: "b"}, ensure_ascii=False)) == {"a": text, text: "b"}


class TestTokens:
    @pytest.mark.parametrize(
        "token", ["${TfToken[TOKEN.0]}", "#{TfToken[TOKEN.1]}", "TfToken[TOKEN.2]", "http://x/{TfToken[TOKEN.3]}"]
    )
    def test_fails_when_a_text_looks_like_one(self, token: str) -> None:
        for text in (f"a: '{token}'\n", f"a: {{'{token}': b}}\n", f"a: ['{token}']\n"):
            [problem] = refused(text)
            assert "not allowed in the deployment file" in problem

    @pytest.mark.parametrize("number", ["-1.8881545897087505e+289", "-1.0e+300", "-.inf"])
    def test_fails_when_a_number_looks_like_one(self, number: str) -> None:
        assert refused(f"a: {number}\n") == [f"deployment.yaml:1: a: cannot be read as !!float, got '{number}'"]

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (
                "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template",
                "http://example.com/{TfToken[x",
            ),
            ("10.20.0.0/16", "0.0.0.0/0{TfToken["),
        ],
    )
    def test_fails_when_it_would_skip_a_check(self, old: str, new: str) -> None:
        [problem] = report(USABLE.replace(old, f"'{new}'"))
        assert "tokens are not allowed in the deployment file: TfToken[ marks one" in problem


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            (
                "sites:\n\tproduction: {}\n",
                "2: this is not YAML (column 1): found character that cannot start any token; indent with spaces, not "
                "with tabs",
            ),
            (
                "sites:\n  production:\n\u00a0\u00a0\u00a0 region: eu-central-1\n    vpc_id: a\n",
                "4: this is not YAML (column 11): mapping values are not allowed in this context; line 3, column 1 is "
                "a no-break space (U+00A0): use a space",
            ),
            (
                "sites:\n  production: a\n  region:\u00a0eu-central-1\n  vpc_id: b\n",
                "4: this is not YAML (column 3): could not find expected ':'; line 3, column 10 is a no-break space "
                "(U+00A0): use a space",
            ),
            (
                "a: [1\nb: 2\n",
                "2: this is not YAML (column 2): did not find expected ',' or ']'; close the bracket that line 1 "
                "opens, or put a comma between two values",
            ),
            (
                "a: 1\n b: 2\n",
                "2: this is not YAML (column 3): mapping values are not allowed in this context; put a value that "
                "holds a colon and a space in quotes, or indent the line as the key above it",
            ),
            (
                "a: 'x\n",
                "2: this is not YAML (column 1): found unexpected end of stream; close the quotes that line 1 opens",
            ),
            (
                'a: "C:\\Users"\n',
                "1: this is not YAML (column 9): did not find expected hexdecimal number; double the backslash, or use "
                "single quotes",
            ),
            (
                '{\n\t"a": 1\n\t"b": 2\n}\n',
                "3: this is not YAML (column 5): did not find expected ',' or '}'; close the bracket that line 1 opens,"
                " or put a comma between two values",
            ),
            (
                "a: [1,, 2]\n",
                "1: this is not YAML (column 7): did not find expected node content; close the bracket that is open, "
                "or take out a comma too many",
            ),
            (
                "a: 1\n- b\n",
                "2: this is not YAML (column 1): did not find expected key; a line that begins with - is no key: put "
                "the list below its key, each item indented as the first",
            ),
            (
                "region us-east-1\nvpc_id: 1\n",
                "2: this is not YAML (column 7): mapping values are not allowed in this context; put a colon and a "
                "space behind the key in line 1",
            ),
            (
                "a: &x 1\nb: &x 2\n",
                "2: this is not YAML (column 4): second occurrence; give each anchor (&name) a name of its own",
            ),
            (
                "a: **\n",
                "1: this is not YAML (column 5): did not find expected alphabetic or numeric character; put a value "
                "that begins with * or & in quotes",
            ),
            (
                "%a\nb: 1\n",
                "1: this is not YAML (column 3): found unknown directive name; a line that begins with % is no key: "
                "take it out",
            ),
            (
                "a: >foo\n",
                "1: this is not YAML (column 5): did not find expected comment or line break; put a value that begins "
                "with > or | in quotes, or begin its text on the next line",
            ),
            (
                "a: 1\nb\nc: 2\n",
                "3: this is not YAML (column 1): could not find expected ':'; put a colon and a space behind a key",
            ),
            (
                "a: 'it's'\n",
                "1: this is not YAML (column 8): did not find expected key; check the quotes and brackets before it",
            ),
            (
                "a:\n    b: 1\n  c: 2\n",
                "3: this is not YAML (column 3): did not find expected key; begin the line at column 5, as line 2, or "
                "at column 1, as line 1, or correct what is above it",
            ),
            (
                "sites:\n  a:\n    region: b\n\n    # c\n    filters:\n      web: {}\n   sessions: {}\n",
                "8: this is not YAML (column 4): did not find expected key; begin the line at column 5, as line 6, or "
                "at column 3, as line 2, or correct what is above it",
            ),
            (
                "a:\n  - b: 1\n   c: 2\n",
                "3: this is not YAML (column 4): did not find expected '-' indicator; begin the line at column 5, as "
                "line 2, or at column 1, as line 1, or correct what is above it",
            ),
            (
                "  a: 1\nb: 2\n",
                "2: this is not YAML (column 1): did not find expected <document start>; begin the line "
                "at column 3, as "
                "line 1, or correct what is above it",
            ),
            (
                "a: 'b'\n  c: 2\n",
                "2: this is not YAML (column 3): did not find expected key; begin the line at column 1, as line 1, or "
                "correct what is above it",
            ),
            (
                "a: 1\n---\nb: 2\n",
                "2: this is not YAML (column 1): but found another document; take out the line ---: a deployment is "
                "one document",
            ),
            ("a: 1\nb: \x07\n", r"2: this is not YAML: the character '\x07' is not allowed"),
            ("- a\n- ${b}\n", "1: expected a mapping with `sites` at the top, got a list"),
            ("---\n", "1: expected a mapping with `sites` at the top, got nothing"),
            ("sites\n", "1: expected a mapping with `sites` at the top, got 'sites'"),
            ("5", "1: expected a mapping with `sites` at the top, got 5"),
        ],
    )
    def test_fails_when_the_file_is_no_mapping_in_yaml(self, text: str, problem: str) -> None:
        assert refused(text) == [f"deployment.yaml:{problem}"]


class TestLines:
    def test_when_a_path_is_located_then_its_line_or_that_of_the_nearest_parent_is_returned(self) -> None:
        source = YamlSource("\na:\n  b:\n    - 1\n    - c: 2\n", "f")
        assert source.line(("a",)) == 2
        assert source.line(("a", "b")) == 3
        assert source.line(("a", "b", 1)) == 5
        assert source.line(("a", "b", 1, "c")) == 5
        assert source.line(("a", "b", 7, "x")) == 3
        assert source.line(("x",)) == 1
        assert source.line(()) == 1


def is_literal(text: str) -> bool:
    try:
        return check_literal(text) == text
    except RuleViolation:
        return False


literal = st.text(max_size=8).filter(is_literal)
key = literal.filter(lambda text: text not in ("", "//", "%"))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(min_value=-1e200, allow_nan=False, allow_infinity=False)
    | literal,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(key, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(key, plain, min_size=1, max_size=4))
def test_when_plain_data_is_written_and_read_then_it_is_the_same(written: dict[str, object]) -> None:
    text = yaml.safe_dump(written)
    assert data(text) == written

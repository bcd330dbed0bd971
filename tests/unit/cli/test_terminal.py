import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapstack.cli.terminal import plain, shortened, table


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (5, "5"),
        ("Ünï 你好", "Ünï 你好"),
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;https://evil\x1b\\b", "ab"),
        ("a\x9b2Jb", "ab"),
        ("a\x1bcb", "ab"),
        ("a\x1b", "a"),
        ("two\r\nlines\tand\u2028more", "two lines and more"),
        ("a\u202eb\u2066c\u200bd\ufeffe\x00f\x08g", "abcdefg"),
        ("\x1b]no end", ""),
    ],
)
def test_when_a_value_is_shown_then_it_is_one_line_that_commands_nothing(value: object, text: str) -> None:
    assert plain(value) == text


@given(st.text())
def test_when_any_text_is_shown_then_it_holds_printable_characters_only(text: str) -> None:
    assert plain(text).isprintable() or not plain(text)
    assert plain(plain(text)) == plain(text)


def test_when_a_text_is_too_long_then_dots_stand_for_the_rest() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abc defg", 7) == "abc..."


def test_when_a_table_is_drawn_then_columns_are_as_wide_as_needed() -> None:
    assert table(["A", "LONG"], [["wide", "x"], ["y", ""]], "  ") == ["  A     LONG", "  wide  x", "  y"]


def test_when_a_cell_is_wider_than_it_may_be_then_it_goes_on_below_with_its_words_whole() -> None:
    assert table(["A", "B"], [["x", "sg-1, sg-2, sg-3"], ["longer-than-ten", "y"]], widest=11) == [
        "A                B",
        "x                sg-1, sg-2,",
        "                 sg-3",
        "longer-than-ten  y",
    ]

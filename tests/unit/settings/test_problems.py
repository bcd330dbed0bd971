from tapstack.settings.problems import ABSENT, DeploymentError, Problem


def test_when_a_problem_is_rendered_then_it_names_all_that_it_knows() -> None:
    path = ("sites", "production", "sessions", 0, "packet_length")
    assert Problem(path, "expected less", 9000, 7).render("tap.yaml") == (
        "tap.yaml:7: sites.production.sessions[0].packet_length: expected less, got 9000"
    )
    assert Problem(path, "is missing", ABSENT, 7).render("tap.yaml") == (
        "tap.yaml:7: sites.production.sessions[0].packet_length: is missing"
    )
    assert Problem((), "is empty").render("tap.yaml") == "tap.yaml: is empty"
    assert Problem((), "expected a mapping", None, 1).render("tap.yaml") == "tap.yaml:1: expected a mapping, got None"
    assert Problem((0, "a"), "is odd").render("tap.yaml") == "tap.yaml: [0].a: is odd"


def test_when_a_value_is_long_then_it_is_shortened() -> None:
    assert Problem((), "is odd", "v" * 98).render("f").endswith(f"got '{'v' * 98}'")
    assert Problem((), "is odd", "v" * 99).render("f").endswith(f"got '{'v' * 99}...")


def test_when_there_are_many_problems_then_the_report_is_sorted_by_line_and_field() -> None:
    error = DeploymentError(
        "tap.yaml",
        [
            Problem(("b",), "two", line=10),
            Problem(("c",), "one", line=2),
            Problem(("a",), "two", line=10),
            Problem((), "none"),
        ],
    )
    assert str(error).splitlines() == [
        "tap.yaml: none",
        "tap.yaml:2: c: one",
        "tap.yaml:10: a: two",
        "tap.yaml:10: b: two",
    ]
    assert [problem.line for problem in error.problems] == [None, 2, 10, 10]


def test_when_nothing_was_found_then_it_is_shown_as_such() -> None:
    assert repr(ABSENT) == "nothing"


def test_when_a_message_shows_a_long_text_then_its_middle_is_left_out() -> None:
    said = Problem(("project",), f"{'x' * 3_000_000!r} is not a name: expected at most 40 characters").render("a.yaml")
    assert len(said) < 2100
    assert said.startswith("a.yaml: project: 'xxx")
    assert said.endswith("x' is not a name: expected at most 40 characters")

"""What the comparison with moto's own tests says of two runs, without running them."""

import re
from datetime import date

import pytest

from scripts import moto_tests
from scripts.moto_tests import Outcome

PASSED = Outcome("passed")
REFUSED = Outcome("failed", "InvalidGroup.NotFound")
FILE = "test_ec2/test_elastic_network_interfaces.py"
REASON = "AWS refuses it: Some Guide, Some section"
DAY = date(2026, 11, 27)
LIMIT = "A limit of the account: it has none"


@pytest.fixture(autouse=True)
def _expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moto_tests, "EXPECTED", {r"::test_refused$": REASON, r"::test_ref": LIMIT})


def test_what_differs_passes_against_moto_only() -> None:
    stock = {"a": PASSED, "b": PASSED, "c": PASSED, "d": Outcome("failed", "moto's"), "e": Outcome("skipped")}
    ours = {"a": PASSED, "b": REFUSED, "d": PASSED, "e": PASSED}
    found = moto_tests.differences(stock, ours)
    assert {name: outcome.kind for name, outcome in found.items()} == {"b": "failed", "c": "failed"}
    assert found["b"].said == "InvalidGroup.NotFound"
    assert found["c"].said == "was not run"


def test_the_first_pattern_that_matches_says_why() -> None:
    assert moto_tests.reason_of(f"{FILE}::test_refused") == REASON
    assert moto_tests.reason_of(f"{FILE}::test_other") is None


def test_the_page_counts_by_subject_and_lists_what_differs_under_its_reason() -> None:
    stock = {f"{FILE}::test_{name}": PASSED for name in ("refused", "other", "good")}
    stock["test_stepfunctions/test_x.py::test_skipped"] = Outcome("skipped")
    ours = {**stock, f"{FILE}::test_refused": REFUSED, f"{FILE}::test_other": REFUSED}
    page = moto_tests.document(stock, ours, DAY)
    assert "| Network interfaces | 3 | 3 | 1 | 1 |" in page
    assert "| Step Functions | 1 | 0 | 0 | 0 |" in page
    assert f"\n{REASON}:\n\n- `test_elastic_network_interfaces.py::test_refused`\n" in page
    assert "NOT EXPLAINED:\n\n- `test_elastic_network_interfaces.py::test_other`\n" in page
    assert "test_good" not in page


def test_limits_of_the_account_are_listed_apart() -> None:
    limited = f"{FILE}::test_reformed"
    strict, limits = moto_tests.document({limited: PASSED}, {limited: REFUSED}, DAY).split("\n## ")[1:]
    assert strict.endswith("\nNone.\n")
    assert f"{LIMIT}:\n\n- `test_elastic_network_interfaces.py::test_reformed`\n" in limits


def test_when_nothing_differs_then_the_page_says_so() -> None:
    good = {f"{FILE}::test_good": PASSED}
    assert moto_tests.document(good, good, DAY).count("\nNone.\n") == 2


def test_the_page_says_when_the_tests_were_run() -> None:
    assert f"without IAM, on {DAY}." in moto_tests.document({}, {}, DAY)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('cf.Stack("test_stack")', 'cf.Stack("test-stack")'),
        ("name == 'test_stack-queue'", "name == 'test-stack-queue'"),
        ('f":stack/test_stack/"', 'f":stack/test-stack/"'),
        ('StackName="linked_depends_on_test"', 'StackName="linked-depends-on-test"'),
        ("def test_stack_events(test_stack):", "def test_stack_events(test_stack):"),
        ('get_waiter("stack_create_complete")', 'get_waiter("stack_create_complete")'),
    ],
)
def test_names_of_stacks_get_hyphens_and_nothing_else_does(written: str, read: str) -> None:
    assert moto_tests.with_hyphens(written) == read


def test_every_expected_difference_is_a_pattern_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert moto_tests.EXPECTED
    for pattern, reason in moto_tests.EXPECTED.items():
        re.compile(pattern)
        assert reason.startswith(("AWS", "A limit of the account: ")), pattern
        assert reason.startswith("A limit") or ": " in reason, f"{pattern}: no source"

"""Which tests stay together in one process, and which begin, where several processes share the tests."""

from __future__ import annotations

# What takes longest begins first, so that no process waits for it in the end.
_FIRST = ("tests/end_to_end/", "/test_rehearsal", "tests/terraform/", "tests/isolated/")
# Its tests share one record of a deployment, which takes minutes to make.
_SHARING = "/test_rehearsal_deploying_policies.py"


def unit_of(nodeid: str) -> str:
    """Return the name of what a test is given out with: tests of one name run in one process, one after the other.

    Mostly that is its file, whose fixtures are then made once.
    """
    file = nodeid.partition("::")[0]
    if file.startswith("tests/end_to_end/"):
        # They share one deployment, which takes a minute to make.
        return "end_to_end"
    # Mostly nothing is shared here, and each takes long.
    return nodeid if file.startswith("tests/terraform/") and not file.endswith(_SHARING) else file


def order_of(nodeid: str) -> int:
    """Return when a test is given out: lower numbers first."""
    file = nodeid.partition("::")[0]
    return next((number for number, part in enumerate(_FIRST) if part in file), len(_FIRST))

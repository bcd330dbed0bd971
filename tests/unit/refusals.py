from collections.abc import Callable

import pytest

from tapstack.domain.errors import RuleViolation


def refusal(question: Callable[[], object]) -> str:
    """The message with which the rules answer no."""
    with pytest.raises(RuleViolation) as caught:
        question()
    return str(caught.value)

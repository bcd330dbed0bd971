"""The table of the functions: each has a handler, and the statements that are made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapstack.responder import handlers
from tapstack.response import containment_policies, policies
from tapstack.response.function_table import FUNCTIONS, Function

_HANDLERS = Path(str(handlers.__file__)).parent


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: each.name)
def test_when_a_function_is_listed_then_it_has_a_handler_and_its_own_statements(function: Function) -> None:
    assert "\nhandler = " in (text := (_HANDLERS / f"{function.name}.py").read_text()) or "\ndef handler(" in text
    made = {policies: function.statements, containment_policies: function.containing}
    # A function of the module that is named after it belongs to it, and to no other.
    assert made == {module: vars(module).get(function.name) for module in made}


def test_when_functions_are_listed_then_no_two_have_a_name() -> None:
    assert len({each.name for each in FUNCTIONS}) == len(FUNCTIONS)

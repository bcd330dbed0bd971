"""The faults that the random sequences are tried on are still faults of this code."""

from __future__ import annotations

import pytest

from tests.responder.containment.mutants import MUTANTS, PACKAGE, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_when_the_code_changes_then_each_fault_still_has_its_place(mutant: Mutant) -> None:
    text = (PACKAGE / mutant.file).read_text()

    assert text.count(mutant.old) == 1
    assert mutant.new != mutant.old
    compile(text.replace(mutant.old, mutant.new), mutant.file, "exec")

import pytest

from tapstack.domain.counts import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 network interfaces"), (1, "1 network interface"), (2, "2 network interfaces")]
)
def test_when_something_is_counted_then_one_is_singular(number: int, said: str) -> None:
    assert counted(number, "network interface") == said

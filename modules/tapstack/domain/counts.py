"""Numbers in messages."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """Return a number with what it counts, which is given in the singular.

    >>> counted(1, "network interface"), counted(2, "network interface")
    ('1 network interface', '2 network interfaces')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""The one exception that says a rule of AWS, or of Tapstack, was broken."""

from __future__ import annotations


class RuleViolation(ValueError):
    """A value that AWS would refuse, or that Tapstack refuses to deploy.

    The message is one lower-case sentence without a final stop. It names the value
    received and the values allowed.
    """

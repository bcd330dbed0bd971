"""EventBridge and EventBridge Scheduler as AWS runs them: rules and schedules that fire, targets that hear of it.

One file a concern: which events a rule means (patterns), what a target gets (transform), buses (bus), how a
target is reached (targets) and tried again (delivery), when something is due (expressions, timer), rules (rules) and
schedules (schedules).
"""

from __future__ import annotations

import functools


@functools.cache
def install() -> None:
    """Make the EventBridge of this process's moto behave so. A second call changes nothing."""
    from strictmoto.events import rules, schedules

    rules.install()
    schedules.install()

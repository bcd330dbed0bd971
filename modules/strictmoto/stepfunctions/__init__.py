"""Step Functions as AWS runs it: state machines that run, wait, call the account itself and can be stopped.

moto has an interpreter of the Amazon States Language. One file a concern makes it behave: what a definition may be
(definitions), how a state is tried, timed out and interrupted (attempts), how long it waits (waits), task tokens
(tokens), calls of other services (integrations, sdk) and their errors (errors), what paths find (paths), the life of
an execution (executions) and of a state machine (machines), what it publishes (publishing), and the API (responses).
"""

from __future__ import annotations

import functools


@functools.cache
def install() -> None:
    """Make the Step Functions of this process's moto behave so. A second call changes nothing."""
    # Late: moto's interpreter takes a second to import.
    from moto.core.config import default_user_config

    from strictmoto.stepfunctions import attempts, errors, integrations, paths, responses, tokens, waits

    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    for part in (attempts, waits, tokens, errors, paths, integrations, responses):
        part.install()

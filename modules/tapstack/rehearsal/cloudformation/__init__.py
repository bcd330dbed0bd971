"""CloudFormation as AWS runs it: stacks that fail and roll back, parameters that count, mirror types that exist.

One file a concern: what a template says (templates), what its parameters may be (parameters), the life of a stack
(stacks) and of its resources (resources), the API's own rules (responses), what EventBridge hears of it (events),
what a stack's role may do (service_roles), and the types (mirroring_types, instances, addresses, security_groups).
"""

from __future__ import annotations

import functools


@functools.cache
def install() -> None:
    """Make the CloudFormation of this process's moto behave so. A second call changes nothing."""
    # Late: moto's CloudFormation imports every service that has a type.
    from tapstack.rehearsal.cloudformation import (
        addresses,
        events,
        instances,
        mirroring_types,
        resources,
        responses,
        security_groups,
        service_roles,
        stacks,
    )

    # Whether a service role may make something is asked before anything else.
    for part in (
        service_roles,
        addresses,
        instances,
        mirroring_types,
        security_groups,
        resources,
        stacks,
        responses,
        events,
    ):
        part.install()

"""CloudFormation as AWS runs it: stacks that fail and roll back, parameters that count, types that are really made.

One file a concern: what a template says (yaml_templates, templates, intrinsics), what its parameters may be
(parameters), what AWS's schemas say of types (schemas), the life of a stack (stacks, working) and of its resources
(resources), what it puts out (outputs), the API's own rules (responses, change_sets), what EventBridge hears of it
(events), with whose permissions it is done (acting, asking), and the types that are made by calls of the account's API
(api_types, ec2_types, addresses, security_groups, mirroring_types, network_types, balancer_types, function_types,
iam_types, service_types, messaging_types, bucket_types, dns_types, operating_types, scaling_types, custom_resources).
"""

from __future__ import annotations

import functools


@functools.cache
def install() -> None:
    """Make the CloudFormation of this process's moto behave so. A second call changes nothing."""
    # Late: moto's CloudFormation imports every service that has a type.
    from strictmoto.cloudformation import (
        addresses,
        api_types,
        balancer_types,
        bucket_types,
        change_sets,
        custom_resources,
        dns_types,
        ec2_types,
        events,
        function_types,
        given,
        iam_types,
        intrinsics,
        messaging_types,
        mirroring_types,
        network_types,
        operating_types,
        outputs,
        resources,
        responses,
        rules,
        scaling_types,
        security_groups,
        service_types,
        stacks,
    )

    for part in (
        intrinsics,
        outputs,
        given,
        api_types,
        custom_resources,
        ec2_types,
        balancer_types,
        function_types,
        iam_types,
        service_types,
        bucket_types,
        messaging_types,
        addresses,
        mirroring_types,
        security_groups,
        network_types,
        dns_types,
        operating_types,
        scaling_types,
        resources,
        stacks,
        rules,
        responses,
        change_sets,
        events,
    ):
        part.install()

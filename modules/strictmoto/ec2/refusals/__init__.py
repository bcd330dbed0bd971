"""What EC2 refuses of instances, network interfaces, subnets, security groups and tags, and moto does.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API". Its page has codes; where it has none for a
refusal, and for the words of messages, docs/conformance.md says "inferred".
"""

from __future__ import annotations

import functools

from strictmoto.ec2.refusals import (
    addresses,
    attachments,
    attributes,
    dependencies,
    fleets,
    ipv6_addresses,
    launches,
    network_acls,
    networks,
    security_groups,
    states,
    tags,
    volumes,
)


@functools.cache
def install() -> None:
    """Make the moto of this process refuse. A second call changes nothing."""
    for part in (
        states,
        addresses,
        ipv6_addresses,
        attachments,
        attributes,
        fleets,
        launches,
        networks,
        network_acls,
        security_groups,
        volumes,
        dependencies,
        tags,
    ):
        part.install()

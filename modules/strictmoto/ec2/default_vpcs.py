"""Default VPCs lead to the Internet: an internet gateway, and a route to it in the main route table.

moto makes their subnets, default group and network ACL only.

Source: Amazon VPC User Guide, "Default VPCs" (components).
"""

from __future__ import annotations

import functools
from typing import Any

from moto.ec2.models import EC2Backend as _Backend

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend


@functools.cache
def install() -> None:
    """Make the moto of this process make them so. A second call changes nothing."""
    create = EC2Backend.create_default_vpc

    @functools.wraps(create)
    def create_default_vpc(self: Any) -> Any:
        vpc = create(self)
        gateway = self.create_internet_gateway()
        self.attach_internet_gateway(gateway.id, vpc.id)
        [main] = self.describe_route_tables(filters={"vpc-id": [vpc.id], "association.main": ["true"]})
        self.create_route(main.id, "0.0.0.0/0", gateway_id=gateway.id)
        return vpc

    EC2Backend.create_default_vpc = create_default_vpc

"""All of Traffic Mirroring of one account and Region, in one object."""

from __future__ import annotations

from typing import Any

from strictmoto.ec2.mirroring.accounts import ATTRIBUTE
from strictmoto.ec2.mirroring.filters import FilterActions
from strictmoto.ec2.mirroring.rules import FilterRuleActions
from strictmoto.ec2.mirroring.sessions import SessionActions


class Mirroring(FilterActions, FilterRuleActions, SessionActions):
    """The Traffic Mirroring actions of the EC2 API, as methods.

    Each takes the parameters of its action as keyword arguments in AWS's spelling, such as
    `create_traffic_mirror_target(NetworkInterfaceId=..., TagSpecifications=[...])`, returns the
    structure of botocore's model without what has no value, and raises moto's EC2ClientError
    with AWS's error code.
    """


def of(ec2_backend: Any) -> Mirroring:
    """Return the Traffic Mirroring of a moto EC2Backend; made when first asked for.

    It is an attribute of the backend, because a reset of moto clears those.
    """
    attributes = vars(ec2_backend)
    if (found := attributes.get(ATTRIBUTE)) is None:
        # setdefault, so that of two threads that get here both leave with the same object.
        found = attributes.setdefault(ATTRIBUTE, Mirroring(ec2_backend))
    assert isinstance(found, Mirroring)
    return found

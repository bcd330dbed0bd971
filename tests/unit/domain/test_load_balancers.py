from typing import Any

import pytest

from tapstack.domain.load_balancers import appliance_address_warnings, check_appliances, check_load_balancer
from tests.unit.refusals import refusal

SUBNETS = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
INSTANCE = "i-0123456789abcdef0"
TOKEN = "${TfToken[TOKEN.0]}"


def check(**changes: Any) -> None:
    given = {"subnet_ids": SUBNETS, "instance_ids": [INSTANCE], "ip_addresses": [], "health_check_port": 443, **changes}
    check_load_balancer(**{name: given[name] for name in ("subnet_ids", "health_check_port")})
    check_appliances(**{name: given[name] for name in ("instance_ids", "ip_addresses")})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"instance_ids": [], "ip_addresses": ["10.0.1.20", TOKEN]},
        {"instance_ids": [], "ip_addresses": ["100.64.0.1", "192.168.0.1", "52.0.0.1"]},
        {"health_check_port": 1},
        {"health_check_port": 65535},
        {"health_check_port": -1.8881545897087626e289},
        {"subnet_ids": ["#{TfToken[TOKEN.1]}"]},
        {"subnet_ids": [TOKEN, TOKEN]},
    ],
)
def test_when_a_load_balancer_can_work_then_it_passes(changes: dict[str, Any]) -> None:
    check(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"subnet_ids": SUBNETS[:1]},
            "a load balancer for mirrored traffic needs subnets in two Availability Zones or more, got 1",
        ),
        (
            {"subnet_ids": []},
            "a load balancer for mirrored traffic needs subnets in two Availability Zones or more, got 0",
        ),
        ({"subnet_ids": SUBNETS[:1] * 2}, f"each subnet once, got {SUBNETS[0]}, {SUBNETS[0]}"),
        (
            {"subnet_ids": [SUBNETS[0], "vpc-0123abcd"]},
            "'vpc-0123abcd' is not the id of a subnet: expected the form subnet-0123456789abcdef0; this "
            "is the id of a VPC",
        ),
        (
            {"instance_ids": []},
            "give the appliances either as instance_ids or as ip_addresses, at least one",
        ),
        (
            {"ip_addresses": ["10.0.1.20"]},
            "give the appliances either as instance_ids or as ip_addresses, at least one",
        ),
        (
            {"instance_ids": ["i-1"]},
            "'i-1' is not the id of an instance: expected the form i-0123456789abcdef0; it has 1 digit "
            "after i-, expected 8 or 17",
        ),
        (
            {"instance_ids": [], "ip_addresses": ["10.0.1.256"]},
            "'10.0.1.256' is not an IPv4 address: expected the form 10.0.1.20",
        ),
        (
            {"instance_ids": [], "ip_addresses": ["2001:db8::1"]},
            "'2001:db8::1' is not an IPv4 address: expected the form 10.0.1.20",
        ),
        *(
            (
                {"instance_ids": [], "ip_addresses": ["10.0.1.20", address]},
                f"{address} is {kind}: expected the private address of an appliance, such as 10.0.1.20",
            )
            for address, kind in (
                ("0.0.0.0", "an unspecified address"),
                ("127.0.0.1", "a loopback address"),
                ("169.254.1.1", "a link-local address"),
                ("224.0.0.1", "a multicast address"),
                ("239.255.255.255", "a multicast address"),
                ("240.0.0.1", "a reserved address"),
                ("255.255.255.255", "the broadcast address"),
            )
        ),
        ({"instance_ids": ["i-0123abcd"] * 2}, "appliance i-0123abcd is given twice: keep one"),
        (
            {"instance_ids": [], "ip_addresses": ["10.0.1.20", "10.0.1.21", "10.0.1.20"]},
            "appliance 10.0.1.20 is given twice: keep one",
        ),
        ({"health_check_port": 0}, "health check port must be a whole number from 1 to 65535, got 0"),
        ({"health_check_port": True}, "health check port must be a whole number from 1 to 65535, got True"),
        ({"health_check_port": 65536}, "health check port must be a whole number from 1 to 65535, got 65536"),
    ],
)
def test_fails_when_a_load_balancer_cannot_work(changes: dict[str, Any], message: str) -> None:
    assert refusal(lambda: check(**changes)) == message


@pytest.mark.parametrize("address", ["52.0.0.1", "198.19.0.4", "172.32.0.1"])
def test_when_an_appliance_has_no_private_address_then_there_is_a_warning(address: str) -> None:
    assert appliance_address_warnings(address) == [
        f"{address} is no private address: AWS registers it only where a CIDR block of the VPC includes it, and never "
        "the public address of an instance"
    ]


@pytest.mark.parametrize("address", ["10.0.1.20", "100.64.0.1", "172.16.3.4", "192.168.0.1", TOKEN])
def test_when_an_appliance_has_a_private_address_then_there_is_no_warning(address: str) -> None:
    assert appliance_address_warnings(address) == []

import pytest

from tapstack.domain.destinations import Destination
from tests.unit.refusals import refusal

ENI = "eni-0123456789abcdef0"
NLB = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"
ENDPOINT = "vpce-0123456789abcdef0"
TOKEN = "${TfToken[TOKEN.0]}"


@pytest.mark.parametrize(
    ("destination", "expected"),
    [
        (Destination.network_interface(ENI), Destination("network interface", ENI, 10)),
        (
            Destination.network_interface(ENI, instance_type="m5.24xlarge"),
            Destination("network interface", ENI, 100),
        ),
        (
            Destination.network_interface(ENI, instance_type="m9.24xlarge", accept_instance_type=True),
            Destination("network interface", ENI, 100),
        ),
        (Destination.network_interface(TOKEN, instance_type=TOKEN), Destination("network interface", TOKEN, 10)),
        (Destination.some_network_interface(), Destination("network interface", None, 10)),
        (
            Destination.some_network_interface(instance_type="c5n.18xlarge"),
            Destination("network interface", None, 100),
        ),
        (Destination.network_load_balancer(NLB), Destination("network load balancer", NLB, None)),
        (
            Destination.gateway_load_balancer_endpoint(ENDPOINT),
            Destination("gateway load balancer endpoint", ENDPOINT, None),
        ),
    ],
)
def test_when_a_destination_is_made_then_it_knows_its_kind_and_how_many_sources_it_takes(
    destination: Destination, expected: Destination
) -> None:
    assert destination == expected


def test_fails_when_an_id_is_of_another_kind() -> None:
    assert "'vpce-0123456789abcdef0' is not the id of a network interface" in refusal(
        lambda: Destination.network_interface(ENDPOINT)
    )
    assert "is not the ARN of a Network Load Balancer" in refusal(lambda: Destination.network_load_balancer(ENI))
    assert "is not the id of a Gateway Load Balancer endpoint" in refusal(
        lambda: Destination.gateway_load_balancer_endpoint(ENI)
    )
    assert "'large' is not an instance type" in refusal(
        lambda: Destination.some_network_interface(instance_type="large")
    )

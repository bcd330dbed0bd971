"""More sources than one interface accepts: a Network Load Balancer in front of two sensors.

Everything in a subnet that is tagged for it is mirrored, DNS and web traffic apart, with
a number of its own for each. Run it with `python -m examples.load_balancer`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    CaptureLoadBalancer,
    MirrorFilter,
    MirrorRule,
    MirrorSessions,
    MirrorTarget,
    Peer,
    Source,
    Traffic,
    accept_provider_range,
)

# isort: split
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    stack = TerraformStack(app, "load-balancer")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    sensors = CaptureLoadBalancer(
        stack,
        "sensors",
        vpc_id="vpc-0a1b2c3d4e5f60718",
        subnet_ids=["subnet-0a000000000000001", "subnet-0a000000000000002"],
        instance_ids=["i-0a000000000000001", "i-0a000000000000002"],
        mirrored_from=[Peer.vpc("vpc-0a1b2c3d4e5f60718")],
    )
    target = MirrorTarget(stack, "sensors-target", destination=sensors.destination)

    MirrorSessions(
        stack,
        "dns",
        sources=[Source.subnet("subnet-0a000000000000003")],
        target=target,
        filter=MirrorFilter.dns(stack, "dns-filter"),
    )
    MirrorSessions(
        stack,
        "tls",
        sources=[Source.tagged({"capture": "tls"}, vpc_id="vpc-0a1b2c3d4e5f60718")],
        target=target,
        filter=MirrorFilter(
            stack,
            "tls-filter",
            rules=[
                MirrorRule("ingress", "reject", Traffic.tcp(443), source="10.0.0.0/8"),
                MirrorRule("ingress", "accept", Traffic.tcp(443)),
                MirrorRule("egress", "accept", Traffic.tcp(source=443)),
            ],
        ),
        packet_length=256,
    )
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

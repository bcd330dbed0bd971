"""One target for several accounts: the security account shares it, a member account mirrors to it.

The source's account cannot read the target, so it gets its id from the other stack's
output, and is given the destination behind it. Run it with `python -m examples.shared_target`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import Destination, MirrorFilter, MirrorSessions, MirrorTarget, Source, accept_provider_range

# isort: split
from cdktf import App, TerraformOutput, TerraformStack, TerraformVariable
from cdktf_cdktf_provider_aws.provider import AwsProvider

SECURITY, MEMBER = "111122223333", "444455556666"
LOAD_BALANCER = f"arn:aws:elasticloadbalancing:eu-central-1:{SECURITY}:loadbalancer/net/sensors/0123456789abcdef"


def build(app: App) -> list[TerraformStack]:
    """Add the two accounts' stacks to `app`."""
    security = TerraformStack(app, "shared-target")
    AwsProvider(security, "aws", region="eu-central-1", allowed_account_ids=[SECURITY])
    accept_provider_range(security)
    target = MirrorTarget(
        security,
        "sensors",
        destination=Destination.network_load_balancer(LOAD_BALANCER),
        share_with=[MEMBER],
    )
    TerraformOutput(security, "target_id", value=target.mirror_target_id)

    member = TerraformStack(app, "member-account")
    AwsProvider(member, "aws", region="eu-central-1", allowed_account_ids=[MEMBER])
    accept_provider_range(member)
    target_id = TerraformVariable(member, "target_id", type="string", description="Output of stack shared-target.")
    MirrorSessions(
        member,
        "suspects",
        sources=[Source.instance("i-0b000000000000001")],
        target=MirrorTarget.from_id(
            target_id.string_value, destination=Destination.network_load_balancer(LOAD_BALANCER)
        ),
        filter=MirrorFilter.everything(member, "everything"),
    )
    return [security, member]


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

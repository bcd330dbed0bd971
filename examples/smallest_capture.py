"""The smallest capture: a Packet Basics appliance, and every packet of one network interface.

Run it with `python -m examples.smallest_capture`; the Terraform is then in cdktf.out.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import MirrorFilter, MirrorSessions, PacketBasics, Source, accept_provider_range

# isort: split
from cdktf import App, TerraformOutput, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    stack = TerraformStack(app, "smallest-capture")
    AwsProvider(stack, "aws", region="eu-central-1")
    accept_provider_range(stack)

    appliance = PacketBasics(
        stack,
        "packet-basics",
        template_url=(
            "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/"
            "5f1c0b1e-6f5a-4c53-9d0e-2b8a7c6d5e4f.1f2e3d4c-5b6a-4798-8877-665544332211.template"
        ),
        vpc_id="vpc-0a1b2c3d4e5f60718",
        subnet_id="subnet-0123456789abcdef0",
        remote_access_cidr="10.20.0.0/16",
    )
    MirrorSessions(
        stack,
        "suspects",
        sources=[Source.network_interface("eni-0a000000000000001")],
        target=appliance.target,
        filter=MirrorFilter.everything(stack, "everything"),
    )
    TerraformOutput(stack, "portal_url", value=appliance.user_access_url)
    TerraformOutput(stack, "portal_password", value=appliance.credentials, sensitive=True)
    return stack


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

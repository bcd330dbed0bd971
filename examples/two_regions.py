"""Two Regions in one stack: each construct is given the provider that it belongs to.

Run it with `python -m examples.two_regions`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import Destination, MirrorFilter, MirrorSessions, MirrorTarget, Source

# isort: split
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

APPLIANCES = {"us-east-1": "eni-0a000000000000001", "us-west-2": "eni-0b000000000000001"}


class TwoRegions(TerraformStack):
    """What is tagged in two Regions, mirrored to an appliance of the Region."""

    def __init__(self, scope: Construct, id_: str) -> None:
        """Mirror in each Region with its own provider."""
        super().__init__(scope, id_)
        for region, appliance in APPLIANCES.items():
            provider = AwsProvider(self, f"provider-{region}", region=region, alias=region)
            MirrorSessions(
                self,
                f"suspects-{region}",
                sources=[Source.tagged({"capture": "yes"})],
                target=MirrorTarget(
                    self,
                    f"appliance-{region}",
                    destination=Destination.network_interface(appliance),
                    provider=provider,
                ),
                filter=MirrorFilter.everything(self, f"everything-{region}", provider=provider),
                provider=provider,
            )


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    return TwoRegions(app, "two-regions")


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

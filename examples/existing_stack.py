"""A capture inside an existing stack, with an existing target and filter.

The stack's own resources are the sources: their ids are tokens, known only after apply,
so each source gets a name. Run it with `python -m examples.existing_stack`.
"""

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import MirrorFilter, MirrorSessions, MirrorTarget, Source

# isort: split
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.network_interface import NetworkInterface
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct


class Shop(TerraformStack):
    """An existing stack, with its own provider and version constraint."""

    def __init__(self, scope: Construct, id_: str) -> None:
        """Build the interfaces of two servers, then mirror them."""
        super().__init__(scope, id_)
        AwsProvider(self, "aws", region="us-east-1")
        interfaces = {
            name: NetworkInterface(self, name, subnet_id="subnet-0123456789abcdef0", description=f"Server {name}")
            for name in ("storefront", "orders")
        }

        MirrorSessions(
            self,
            "shop",
            sources=[
                Source.network_interface(interface.id, name=name, instance_type="m5.large")
                for name, interface in interfaces.items()
            ],
            target=MirrorTarget.from_id("tmt-0123456789abcdef0"),
            filter=MirrorFilter.from_id("tmf-0123456789abcdef0"),
            # Leaves 1 to 99 to other sessions on these servers.
            first_session_number=100,
        )


def build(app: App) -> TerraformStack:
    """Add the stack to `app`."""
    return Shop(app, "existing-stack")


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

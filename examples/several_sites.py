"""The same capture in several accounts and Regions: one stack for each site, each with a state of its own.

Run it with `python -m examples.several_sites`, then `cdktf deploy 'capture-*'`.
"""

from dataclasses import dataclass

# Import tapstack before cdktf: that is what makes the AWS bindings load in a second.
from tapstack import (
    CaptureSecurityGroup,
    MirrorFilter,
    MirrorSessions,
    PacketBasics,
    Peer,
    QuarantineSecurityGroup,
    Source,
    accept_provider_range,
)

# isort: split
from cdktf import App, S3Backend, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderAssumeRole
from constructs import Construct

TEMPLATE_URL = (
    "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/"
    "5f1c0b1e-6f5a-4c53-9d0e-2b8a7c6d5e4f.1f2e3d4c-5b6a-4798-8877-665544332211.template"
)


@dataclass(frozen=True)
class Site:
    """The settings that differ between sites."""

    account: str
    region: str
    vpc: str
    vpc_cidr: str
    subnet: str
    suspects: tuple[str, ...]


SITES = {
    "frankfurt": Site(
        "111122223333",
        "eu-central-1",
        "vpc-0a000000000000001",
        "10.0.0.0/16",
        "subnet-0a000000000000001",
        ("eni-0a000000000000001", "eni-0a000000000000002"),
    ),
    "virginia": Site(
        "444455556666",
        "us-east-1",
        "vpc-0b000000000000001",
        "10.64.0.0/16",
        "subnet-0b000000000000001",
        ("eni-0b000000000000001",),
    ),
}


class Capture(TerraformStack):
    """One site."""

    def __init__(self, scope: Construct, name: str, site: Site) -> None:
        """Build the site's capture."""
        super().__init__(scope, f"capture-{name}")
        AwsProvider(
            self,
            "aws",
            region=site.region,
            allowed_account_ids=[site.account],
            assume_role=[AwsProviderAssumeRole(role_arn=f"arn:aws:iam::{site.account}:role/tapstack-deploy")],
        )
        S3Backend(
            self, bucket="company-terraform-state", key=f"capture/{name}.tfstate", region="eu-central-1", encrypt=True
        )
        accept_provider_range(self)

        appliance = PacketBasics(
            self,
            "packet-basics",
            template_url=TEMPLATE_URL,
            vpc_id=site.vpc,
            subnet_id=site.subnet,
            remote_access_cidr="10.20.0.0/16",
        )
        CaptureSecurityGroup(
            self,
            "capture",
            vpc_id=site.vpc,
            mirrored_from=[Peer.cidr(site.vpc_cidr)],
            remote_access_cidrs=["10.20.0.0/16"],
            network_interface_id=appliance.network_interface_id,
        )
        QuarantineSecurityGroup(self, "quarantine", vpc_id=site.vpc)
        MirrorSessions(
            self,
            "suspects",
            sources=[Source.network_interface(eni) for eni in site.suspects],
            target=appliance.target,
            filter=MirrorFilter.everything_but_intra_vpc(self, "crossing", vpc_cidrs=[site.vpc_cidr]),
        )


def build(app: App) -> list[TerraformStack]:
    """Add a stack for each site to `app`."""
    return [Capture(app, name, site) for name, site in SITES.items()]


if __name__ == "__main__":
    app = App()
    build(app)
    app.synth()

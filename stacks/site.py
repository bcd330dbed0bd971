"""The base of all stacks of a site: its state, its provider, its tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tapstack import accept_provider_range
from tapstack.bindings import (
    Construct,
    add_condition,
    aws,
    cdk,
    rendered,
    set_lifecycle,
    terraform_data,
)
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.settings.model import Deployment, Provider, Site
from tapstack.workspace import state


class SiteStack(cdk.TerraformStack):
    """A stack of one site, with a state of its own."""

    def __init__(
        self, scope: Construct, name: str, *, site: str, deployment: Deployment, base: Path, outdir: Path
    ) -> None:
        """Begin the stack.

        Args:
            scope: the app.
            name: of the stack, of its state and of its directory.
            site: name of the site.
            deployment: what it belongs to.
            base: the deployment file's directory.
            outdir: that of the synthesis.
        """
        super().__init__(scope, name)
        settings = deployment.sites[site]
        self.own_tags = {TAG_DEPLOYMENT: deployment.project, TAG_SITE: site}
        """The tags that identify the resources of this site."""
        accept_provider_range(self, deployment.provider.constraint)
        _add_backend(self, deployment, name, base, outdir)
        _add_provider(
            self,
            deployment.provider,
            settings,
            {**self.own_tags, **deployment.tags, **settings.tags},
        )
        self._refuse_another_place(settings.region, site)

    def _refuse_another_place(self, region: str, site: str) -> None:
        """Record account and Region of the site in the state, and refuse plans for others.

        Terraform would find nothing there of what it deployed, forget it, and deploy everything again.
        """
        # Direct children of a stack are addressed by their ids; to ask the kernel for an address takes a round trip.
        aws.DataAwsCallerIdentity(self, "account")
        account = "data.aws_caller_identity.account.account_id"
        here = {"account": f"${{{account}}}", "region": region}
        place = terraform_data(self, "place", input=rendered(here, typed=False))
        set_lifecycle(place, ignore_changes=["input"])
        add_condition(
            place,
            "postcondition",
            f'${{self.input.region == "{region}" && self.input.account == {account}}}',
            f"Site {site} is deployed in ${{self.input.region}} of account ${{self.input.account}}, and what is there "
            "would be forgotten. Restore its Region and account; destroy it there first, or give the site in the other "
            "place another name.",
        )


def add_output(stack: cdk.TerraformStack, name: str, value: Any, description: str, *, sensitive: bool = False) -> None:
    """Give a stack an output."""
    cdk.TerraformOutput(stack, name, value=value, description=description, sensitive=sensitive or None)


def _add_backend(stack: cdk.TerraformStack, deployment: Deployment, name: str, base: Path, outdir: Path) -> None:
    local, s3 = deployment.backend.local, deployment.backend.s3
    if local is not None:
        path = state.local_backend_path(local, deployment.project, name, base, outdir)
        cdk.LocalBackend(stack, path=rendered(path, typed=False))
        return
    assert s3 is not None
    cdk.S3Backend(
        stack,
        bucket=s3.bucket,
        key=rendered(state.s3_state_key(s3, deployment.project, name), typed=False),
        region=s3.region,
        encrypt=True,
        kms_key_id=s3.kms_key_id,
    )
    # Newer than cdktf: S3's own lock file in place of a DynamoDB table (Terraform 1.10).
    stack.add_override("terraform.backend.s3.use_lockfile", True)
    if s3.role_arn is not None:
        stack.add_override("terraform.backend.s3.assume_role", {"role_arn": s3.role_arn})


def _add_provider(stack: cdk.TerraformStack, provider: Provider, site: Site, tags: dict[str, str]) -> None:
    assume = site.assume_role
    aws.AwsProvider(
        stack,
        "aws",
        region=site.region,
        allowed_account_ids=site.allowed_account_ids or None,
        assume_role=None
        if assume is None
        else [
            aws.AwsProviderAssumeRole(
                role_arn=assume.role_arn, external_id=assume.external_id, session_name=assume.session_name
            )
        ],
        default_tags=[aws.AwsProviderDefaultTags(tags=tags)],
        max_retries=provider.max_retries,
    )

"""Which versions of the AWS provider the synthesized Terraform accepts."""

from __future__ import annotations

from tapstack.bindings import cdk
from tapstack.domain.errors import RuleViolation
from tapstack.domain.provider_versions import PROVIDER_VERSION, check_version_constraint

__all__ = ["PROVIDER_VERSION", "accept_provider_range"]


def accept_provider_range(stack: cdk.TerraformStack, constraint: str = PROVIDER_VERSION) -> None:
    """Let a stack use any AWS provider of a range, in place of the one version its bindings name.

    Tapstack uses only arguments that every version of the default range knows.

    Args:
        stack: the stack whose `required_providers` is changed.
        constraint: a Terraform version constraint, for example ">= 5.100.0, < 7.0.0".

    Raises:
        RuleViolation: not a version constraint, or not a stack.
    """
    if not isinstance(stack, cdk.TerraformStack):
        raise RuleViolation(f"stack must be a TerraformStack, got {type(stack).__name__}")
    stack.add_override("terraform.required_providers.aws.version", check_version_constraint(constraint))

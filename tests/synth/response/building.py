"""Responses for tests, and their Terraform as data."""

from __future__ import annotations

import json
import re
from typing import Any

from tapstack import ExistingAppliance, IncidentResponse, LaunchedAppliance
from tapstack.bindings import cdk
from tests.synth.ids import FILTER, SUBNET, TARGET, TEMPLATE_URL, VPC
from tests.synth.template import new_stack

NAMES = ("api", "findings", "prepare", "appliance", "capture", "incident", "sweeper")


def launched(**more: Any) -> LaunchedAppliance:
    """Return an appliance that incidents launch."""
    given = {"template_url": TEMPLATE_URL, "subnet_id": SUBNET, "remote_access_cidr": "10.20.0.0/16", **more}
    return LaunchedAppliance(**given)


def existing(**more: Any) -> ExistingAppliance:
    """Return an appliance that exists already."""
    return ExistingAppliance(TARGET, FILTER, **more)


class Response:
    """The Terraform JSON of a stack with a response in it."""

    def __init__(self, **arguments: Any) -> None:
        """Build and synthesize; what is not given is as simple as can be."""
        stack = new_stack()
        given = {"deployment": "ir", "site": "a", "vpc_id": VPC, "appliance": launched(), **arguments}
        self.made = IncidentResponse(stack, "response", **given)
        self.text = str(cdk.Testing.synth(stack, True))
        # Tokens read as the last word of what they stand for.
        text = re.sub(r"\$\{(?:data\.)?aws_(\w+?)\.[\w-]+\.(\w+)\}", r"<\1.\2>", self.text)
        self.terraform: dict[str, Any] = json.loads(text)

    def all(self, type_: str) -> list[dict[str, Any]]:
        """Return the arguments of every resource of a type."""
        return list(self.terraform["resource"].get(type_, {}).values())

    def one(self, type_: str) -> dict[str, Any]:
        """Return the arguments of the one resource of a type."""
        (found,) = self.all(type_)
        return found

    def function(self, name: str) -> dict[str, Any]:
        """Return the arguments of a function."""
        (found,) = [f for f in self.all("aws_lambda_function") if f["handler"].split(".")[-2] == name]
        return found

    def variables(self, name: str) -> dict[str, str]:
        """Return the environment of a function."""
        found: dict[str, str] = self.function(name)["environment"]["variables"]
        return found

    def settings(self, name: str = "api") -> dict[str, Any]:
        """Return the settings of a function."""
        settings: dict[str, Any] = json.loads(self.variables(name)["TAPSTACK_SETTINGS"])
        return settings

    def statements(self, construct: str) -> dict[str, dict[str, Any]]:
        """Return the statements of the policy of a construct's role by Sid."""
        for name, body in self.terraform["resource"]["aws_iam_role_policy"].items():
            if name.startswith(f"response_{construct}_"):
                return {statement["Sid"]: statement for statement in json.loads(body["policy"])["Statement"]}
        raise AssertionError(f"{construct} has no policy")

"""What this machine needs to deploy: Terraform, and a source of the AWS provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

from tapstack.settings.model import Provider
from tapstack.workspace.provider_mirror import MIRROR_VARIABLE, find_mirror, unfitting_mirrors

TERRAFORM_FLOOR: Final = (1, 10)
"""The first Terraform with S3's native lock file."""
REGISTRY: Final = "https://registry.terraform.io/.well-known/terraform.json"
_TIMEOUT_SECONDS: Final = 5.0


class MachineError(Exception):
    """A program that a deployment needs is missing; the message says which, and how to get it."""


def describe(provider: Provider, base: Path) -> str:
    """Return the version of Terraform that will be used, and the version and source of the provider.

    Raises:
        MachineError: Terraform is missing or too old, or there is no source of the provider.
        UnusableMirrorError: the only mirror that Terraform would use has no fitting provider.
    """
    version = terraform_version()
    mirror = find_mirror(provider.mirror, provider.constraint, base)
    found = unfitting_mirrors(provider.mirror, provider.constraint, base)
    if mirror is not None:
        how = "named" if mirror.given else "found"
        source = f"{mirror.versions[0]} from the mirror {mirror.directory} ({how})"
    elif registry_answers():
        source = f"{provider.constraint} from the Terraform registry"
    else:
        raise MachineError(
            f"no AWS provider {provider.constraint}: the Terraform registry ({REGISTRY}) cannot be reached, and "
            f"{'; '.join(found) or 'no provider mirror was found'}. On a machine that reaches it, run `terraform "
            "providers mirror DIRECTORY` in cdktf.out/stacks/<site>, bring DIRECTORY here and name it in "
            f"provider.mirror of the deployment file or in ${MIRROR_VARIABLE}; ~/.terraform.d/plugins is found without "
            "being named"
        )
    return f"Terraform {version}; AWS provider {source}"


def terraform_version() -> str:
    """Return the version of the Terraform on the PATH.

    Raises:
        MachineError: there is none, its output cannot be read, or it is older than 1.10.
    """
    floor = ".".join(map(str, TERRAFORM_FLOOR))
    advice = f"install Terraform {floor} or newer (https://developer.hashicorp.com/terraform/install)"
    binary = shutil.which("terraform")
    if binary is None:
        raise MachineError(f"terraform is not on the PATH: {advice}")
    try:
        answer = subprocess.run(
            [binary, "version", "-json"],
            # Otherwise Terraform checks for a newer version.
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        version = str(json.loads(answer.stdout)["terraform_version"])
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        raise MachineError(f"{binary} does not print its version ({error}): {advice}") from None
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < TERRAFORM_FLOOR:
        raise MachineError(f"{binary} is Terraform {version}: {advice}")
    return version


def registry_answers() -> bool:
    """Return whether the Terraform registry can be reached; waits five seconds at most."""
    try:
        with urllib.request.urlopen(REGISTRY, timeout=_TIMEOUT_SECONDS):
            return True
    except (urllib.error.URLError, TimeoutError, OSError):
        return False

"""The errors that AWS answers with, by the codes of the Amazon EC2 API.

Source: Amazon EC2 API Reference, "Error codes for the Amazon EC2 API". Where that page
has no code for a refusal, InvalidParameterValue stands in;
docs/conformance.md marks those as inferred.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.exceptions import DryRunClientError, EC2ClientError


def refuse(code: str, message: str) -> Any:
    """Return the exception that moto serializes as AWS's error `code`."""
    return EC2ClientError(code, message)


def invalid(message: str) -> Any:
    """Return InvalidParameterValue."""
    return refuse("InvalidParameterValue", message)


def not_supported(message: str) -> Any:
    """Return NetworkInterfaceNotSupported: an interface that AWS does not mirror, or not mirror to."""
    return refuse("NetworkInterfaceNotSupported", message)


def missing(parameter: str) -> Any:
    """Return MissingParameter."""
    return refuse("MissingParameter", f"The request must contain the parameter {parameter}")


def dry_run() -> Any:
    """Return DryRunOperation, which is how a permitted dry run ends."""
    return DryRunClientError()

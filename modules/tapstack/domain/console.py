"""Pages of the AWS console about what a notification speaks of. They only show it.

Text from outside may be in an id: it is quoted, and is never part of the host.

Sources: AWS Management Console Getting Started Guide, "Choosing a Region" (its name comes before the console's host);
the addresses that the consoles of EC2 and Step Functions show of an instance and of an execution, as of 2026-11-28.
"""

from __future__ import annotations

from urllib.parse import quote

from tapstack.domain.regions import partition_of


def instance_page(region: str, instance_id: str) -> str | None:
    """Return the address of the page of an instance; None where the Region's partition has no public console.

    >>> instance_page("eu-west-1", "i-0123456789abcdef0")
    'https://eu-west-1.console.aws.amazon.com/ec2/home?region=eu-west-1#InstanceDetails:instanceId=i-0123456789abcdef0'
    """
    return _page(region, "ec2", f"InstanceDetails:instanceId={_quoted(instance_id)}")


def execution_page(region: str, execution_arn: str) -> str | None:
    """Return the address of the page of an execution; None likewise."""
    return _page(region, "states", f"/v2/executions/details/{_quoted(execution_arn)}")


def _page(region: str, service: str, shown: str) -> str | None:
    # A Region that has a partition is letters, digits and hyphens.
    partition = partition_of(region)
    if partition is None or partition.console is None:
        return None
    return f"https://{region}.{partition.console}/{service}/home?region={region}#{shown}"


def _quoted(text: str) -> str:
    """Return text for an address; colons, which ARNs have, separate nothing there."""
    return quote(text, safe=":", errors="replace")

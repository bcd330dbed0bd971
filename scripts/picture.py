"""Draw synthesized stacks as a Mermaid flowchart: one box a construct, one arrow a reference."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from tapstack.domain.counts import counted

# What a construct is called by the resources in it, most telling first.
_KINDS = {
    "aws_sfn_state_machine": "incident response: API, workflow, functions, table",
    "aws_cloudformation_stack": "ExtraHop Packet Basics, a CloudFormation stack",
    "aws_lb": "Network Load Balancer, UDP 4789",
    "aws_ec2_traffic_mirror_session": "mirror sessions",
    "aws_ec2_traffic_mirror_target": "mirror target",
    "aws_ec2_traffic_mirror_filter": "mirror filter",
    "aws_security_group": "security group",
    "aws_flow_log": "VPC Flow Logs",
    "aws_s3_bucket": "private bucket, its key, its access logs",
    "aws_cloudwatch_event_rule": "events of incidents: rule, queue, function",
    "aws_iam_role": "role of a reader",
}
_COUNTED = {
    "aws_ec2_traffic_mirror_filter_rule": "rule",
    "aws_vpc_security_group_ingress_rule": "ingress rule",
    "aws_vpc_security_group_egress_rule": "egress rule",
    "aws_lb_target_group_attachment": "appliance",
    "aws_ram_principal_association": "sharing account",
}
_REFERENCE = re.compile(r"\b(data\.)?(aws_\w+|terraform_data)\.([\w-]+)")


def draw(stacks: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the Mermaid text of stacks, given their Terraform JSON by name."""
    lines = ["flowchart LR"]
    for name, terraform in stacks.items():
        lines.append(f'  subgraph {_id(name)}["{_title(name, terraform)}: {_region(terraform)}"]')
        lines.append("    direction LR")
        lines.extend(f"    {line}" for line in _stack(name, terraform))
        lines.append("  end")
    return "\n".join(lines) + "\n"


def _title(name: str, terraform: Mapping[str, Any]) -> str:
    made = terraform.get("resource", {})
    if "aws_sfn_state_machine" in made:
        return f"response of site {name.removesuffix('-response')}"
    return f"telemetry of site {name.removesuffix('-xdr')}" if "aws_flow_log" in made else f"site {name}"


def _stack(stack: str, terraform: Mapping[str, Any]) -> Iterator[str]:
    homes: dict[str, str] = {}
    parts: dict[str, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for address, kind, body in _elements(terraform):
        home = body["//"]["metadata"]["path"].split("/")[1]
        if home in ("account", "place"):
            continue  # where the site is
        homes[address] = home
        parts[home].append((kind, body))
    for home in sorted(parts):
        if _is_a_gate(home, parts[home]):
            continue  # stands for what is not there
        yield f'{_id(stack, home)}["{_label(home, [kind for kind, _ in parts[home]])}"]'
        if sources := _sources(parts[home]):
            yield f'{_id(stack, home, "sources")}(["{sources}"]) --> {_id(stack, home)}'
    arrows = set()
    for address, _, body in _elements(terraform):
        for match in _REFERENCE.finditer(json.dumps({k: v for k, v in body.items() if k != "//"})):
            there = homes.get(match.group(0))
            if there is not None and there != homes.get(address, there):
                arrows.add((homes[address], there))
    yield from (f"{_id(stack, here)} --> {_id(stack, there)}" for here, there in sorted(arrows))


def _is_a_gate(home: str, parts: list[tuple[str, dict[str, Any]]]) -> bool:
    """Return whether a construct makes nothing: all that it has besides lookups of instances has a count of 0."""
    made = [body for kind, body in parts if kind != "data.aws_instances"]
    return all(body.get("count") == 0 for body in made) and (bool(made) or "gate" in home.split("-"))


def _elements(terraform: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield address, type and body of every resource and data source."""
    for section, prefix in (("resource", ""), ("data", "data.")):
        for kind, named in terraform.get(section, {}).items():
            for name, body in named.items():
                yield f"{prefix}{kind}.{name}", f"{prefix}{kind}", body


def _label(construct: str, kinds: list[str]) -> str:
    what = next((words for kind, words in _KINDS.items() if kind in kinds), "lookups")
    counts = Counter(kinds)
    details = [counted(counts[kind], words) for kind, words in _COUNTED.items() if counts[kind]]
    if construct == "quarantine":
        details = ["no rule at all"]
    return "<br/>".join([f"<b>{construct}</b>", what, *([", ".join(details)] if details else [])])


def _sources(parts: list[tuple[str, dict[str, Any]]]) -> str:
    """Return what the sessions of a construct mirror; empty where it has none."""
    for kind, body in parts:
        if kind == "aws_ec2_traffic_mirror_session":
            if isinstance(body["for_each"], dict):
                return counted(len(body["for_each"]), "network interface")
            conditions = [
                _condition(block["name"], block["values"][0])
                for found, data in parts
                if found == "data.aws_network_interfaces"
                for block in data["filter"]
                if block["name"] in ("subnet-id", "vpc-id") or block["name"].startswith("tag:")
            ]
            return "every interface of<br/>" + "<br/>".join(conditions)
    return ""


def _condition(name: str, value: str) -> str:
    return f"tag {name.removeprefix('tag:')} = {value}" if name.startswith("tag:") else value


def _region(terraform: Mapping[str, Any]) -> str:
    return str(terraform["provider"]["aws"][0]["region"])


def _id(*parts: str) -> str:
    return re.sub(r"\W", "_", "__".join(parts))

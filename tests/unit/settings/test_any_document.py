"""Whatever a file holds, it is read or refused with a report: never a traceback."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError, Problem

EXAMPLE: dict[str, Any] = yaml.safe_load((Path(__file__).parents[3] / "deployment.yaml").read_text(encoding="utf-8"))


# Together they take as long as all other tests of the deployment file.
pytestmark = pytest.mark.thorough


def field_names(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        return set(schema.get("properties", ())).union(*map(field_names, schema.values()))
    return set()


KEYS = st.sampled_from(sorted(field_names(Deployment.model_json_schema()))) | st.text(max_size=6)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=10)
    | st.sampled_from(["eni-0123abcd", "10.0.0.0/8", "10.0.0.1/8", "${a.b}", "packet_basics", "web", "²", "0.0.0.0/0"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


def check_that_it_is_read_or_reported(text: str) -> None:
    problems: Sequence[Problem] = ()
    try:
        parse_deployment(text)
    except DeploymentError as error:
        problems = error.problems
        assert problems, "refused for no reason"
    for problem in problems:
        if problem.line is None:
            assert problem.message.startswith("the file is empty")
        else:
            assert 1 <= problem.line <= len(text.splitlines()) + 1
        assert problem.render("f")


@given(st.text())
def test_when_a_file_holds_any_text_then_it_is_read_or_reported(text: str) -> None:
    check_that_it_is_read_or_reported(text)


@given(
    st.lists(st.sampled_from([*"[]{}:,-?&*!|>'\"%@#ab1 \n\t", "<<", "&a ", "*a", "!!int ", "---\n", ": ", "- ", "\n "]))
)
def test_when_a_file_holds_bits_of_yaml_then_it_is_read_or_reported(parts: list[str]) -> None:
    check_that_it_is_read_or_reported("".join(parts))


@given(VALUES)
def test_when_a_file_holds_any_document_then_it_is_read_or_reported(document: Any) -> None:
    check_that_it_is_read_or_reported(yaml.safe_dump(document))


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_when_a_site_holds_anything_then_it_is_read_or_reported(site: dict[str, Any]) -> None:
    needed = {"region": "eu-central-1", "vpc_id": "vpc-0123abcd"}
    check_that_it_is_read_or_reported(yaml.safe_dump({"sites": {"production": {**needed, **site}}}))


@given(st.data(), VALUES)
def test_when_anything_in_the_example_is_replaced_then_it_is_read_or_reported(data: st.DataObject, value: Any) -> None:
    document = copy.deepcopy(EXAMPLE)
    holder: Any = document
    while True:
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        place = data.draw(st.sampled_from(places))
        inner = holder[place]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
            break
        holder = inner
    if isinstance(holder, dict) and data.draw(st.booleans()):
        holder[data.draw(KEYS)] = holder.pop(place)
    else:
        holder[place] = value
    check_that_it_is_read_or_reported(yaml.safe_dump(document, sort_keys=False))


WIDE = """
sites:
  one:
    region: eu-central-1
    vpc_id: vpc-0123abcd
    backend_key: one
    tags: {team: soc}
    allowed_account_ids: ["111122223333"]
    packet_basics:
      template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
      subnet_id: subnet-0123abcd
      remote_access_cidr: 10.0.0.0/8
      capabilities: [CAPABILITY_IAM]
      network_interface_id: eni-0123aaaa
      mirror_source: eni-0123aaab
    capture_security_group: {mirrored_from: [10.0.0.0/8]}
    quarantine_security_group: true
    targets:
      sensor: {network_interface_id: eni-0123aaac}
      many: {network_load_balancer_arn: "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/a/b"}
      made: {load_balancer: {subnet_ids: [subnet-0123abcd], instance_ids: [i-0123abcd], mirrored_from: [10.0.0.0/8]}}
    filters: {web: {preset: web}}
    sessions:
      named: {target: sensor, filter: web, sources: [eni-0123aaad]}
      found: {target: sensor, filter: web, sources: [{vpc_id: vpc-0123abcd}], exclude: [eni-0123aaae]}
    response: {appliance: {target: sensor, filter: web}, containment: {}}
  two:
    region: eu-central-1
    vpc_id: vpc-0123abce
    targets: {sensor: {network_interface_id: eni-0123aaac}}
"""
BROKEN: tuple[Any, ...] = (None, "x", 7, [], {})
RESPONSES = (Path(__file__).parent / "response.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", [EXAMPLE, yaml.safe_load(WIDE), yaml.safe_load(RESPONSES)])
def test_when_a_key_of_a_site_is_missing_or_malformed_then_the_file_is_read_or_reported(
    example: dict[str, Any],
) -> None:
    name, site = next(iter(example["sites"].items()))
    for key in site:
        without = {other: value for other, value in site.items() if other != key}
        for changed in (without, *({**site, key: broken} for broken in BROKEN)):
            document = {**example, "sites": {**example["sites"], name: changed}}
            check_that_it_is_read_or_reported(json.dumps(document, indent=1))

"""Any text in every text position of the file, in both languages: what is read is what went in, or it was refused."""

from __future__ import annotations

import copy
import functools
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from stacks.capture import CaptureStack
from stacks.response import ResponseStack
from stacks.xdr import XdrStack
from tapstack.bindings import cdk
from tapstack.domain.errors import RuleViolation
from tapstack.domain.text import check_literal
from tapstack.settings.checking import Checker
from tapstack.settings.checks import check_deployment
from tapstack.settings.load import _models_in, parse_deployment
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError
from tapstack.settings.yaml_source import YamlSource
from tests.synth.template import assert_equal, rendering_hcl
from tests.synth.texts import NASTY, TEXT, as_hcl, as_json, replaced

# An example takes a second, and the difference that is shown names the text.
WITHOUT_SHRINKING = (Phase.explicit, Phase.generate)

FILES = [
    """
project: acme
tags: {owner: security}
backend:
  s3:
    bucket: states
    region: eu-central-1
    key_prefix: prefix
    kms_key_id: "arn:aws:kms:eu-central-1:111122223333:key/a"
    role_arn: "arn:aws:iam::111122223333:role/state"
provider: {version: "5.100.0", mirror: none}
sites:
  production:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    allowed_account_ids: ["111122223333"]
    assume_role: {role_arn: "arn:aws:iam::111122223333:role/deploy", external_id: outside, session_name: tapstack}
    tags: {stage: production}
    packet_basics:
      template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
      subnet_id: subnet-0123456789abcdef0
      remote_access_cidr: 10.20.0.0/16
      parameters: {KeyName: responders}
      capabilities: [CAPABILITY_IAM]
      permissions_boundary: "arn:aws:iam::111122223333:policy/boundary"
      stack_name: epb
      mirror_source: eni-0123456789abcdef9
      on_failure: ROLLBACK
      notification_arns: ["arn:aws:sns:eu-central-1:111122223333:stacks"]
      target_id: tmt-0123456789abcdef0
      filter_id: tmf-0123456789abcdef0
      network_interface_id: eni-0123456789abcdef8
      instance_id: i-0123456789abcdef8
    capture_security_group: {mirrored_from: [10.0.0.0/16]}
    filters:
      ours:
        rules:
          - {direction: ingress, action: accept, source: 10.0.0.0/8, destination: 10.0.0.0/8, description: why}
      theirs: {preset: everything_but_intra_vpc, vpc_cidrs: [10.0.0.0/16]}
    targets:
      interface:
        {network_interface_id: eni-0123456789abcdef7, instance_type: m5.large, share_with: ["444455556666"],
         description: what}
      balancer: {network_load_balancer_arn:
        "arn:aws:elasticloadbalancing:eu-central-1:111122223333:loadbalancer/net/capture/0123456789abcdef"}
      gateway: {gateway_load_balancer_endpoint_id: vpce-0123456789abcdef0}
      made:
        load_balancer:
          {subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1], mirrored_from: [10.0.0.0/16],
           instance_ids: [i-0123456789abcdef7]}
      addressed:
        load_balancer: {subnet_ids: [subnet-0123456789abcdef0, subnet-0123456789abcdef1], ip_addresses: [10.0.0.5]}
    sessions:
      some:
        sources:
          - {network_interface_id: eni-0123456789abcdef1, instance_type: m5.large}
          - {tags: {application: shop}, instance_id: i-0123456789abcdef6, subnet_id: subnet-0123456789abcdef0,
             vpc_id: vpc-0a1b2c3d4e5f60718}
          - {instance_tags: {role: web}}
        target: interface
        filter: ours
        exclude: [eni-0123456789abcdef5]
    response:
      authorization:
        jwt: {issuer: https://login.example.com/tenant, audience: [tapstack], scopes: [incidents],
              scopes_of: {contain_now: [incidents.contain-now]}}
      appliance:
        launch:
          template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
          subnet_id: subnet-0123456789abcdef0
          remote_access_cidr: 10.20.0.0/16
          parameters: {KeyName: responders}
          capabilities: [CAPABILITY_IAM]
          permissions_boundary: "arn:aws:iam::111122223333:policy/boundary"
      policy:
        - {name: rule, action: capture, types: ["UnauthorizedAccess:EC2/*"], tactics: [CommandAndControl],
           tags: {environment: test}, resource_role: ACTOR}
      containment:
        modes: [approval]
        approval: {minutes: 10, default: contain}
        protect: {tags: {protected: never}, instance_ids: [i-0123456789abcdef4]}
        vpc_ids: [vpc-0c1b2c3d4e5f60718]
        instance_profile: restrict
      notify: {emails: [responders@example.com], topic_arns: ["arn:aws:sns:eu-central-1:111122223333:security"]}
    xdr:
      landing: {access_log_bucket: access-logs, flow_log_accounts: ["444455556666"]}
      flow_logs: {vpc_ids: [vpc-0a1b2c3d4e5f60718], subnet_ids: [subnet-0123456789abcdef0],
                  network_interface_ids: [eni-0123456789abcdef3], traffic: REJECT, record_format: extended,
                  file_format: text}
      guardduty: {detector_id: 12abc34d567e8fa901bc2d34e56789f0}
      feeds: {edr: {principals: ["arn:aws:iam::444455556666:role/edr"]}}
      readers:
        vendor: {preset: hunters, prefixes: [flow, feeds/edr], notifications: none,
                 vendor: {principal: "arn:aws:iam::444455556666:role/vendor",
                          external_id: 7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7}}
        ours: {prefixes: [flow, guardduty], queue: true,
               own: {principals: ["arn:aws:iam::111122223333:role/ours"],
                     external_id: 7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7}}
        tokens: {prefixes: [flow], oidc: {issuer: https://login.example.com/tenant, audience: tapstack, subject: reader,
                 session_name: reader, thumbprints: [626d44e704d1ceabe3bf0d53397464ac8080142c]}}
""",
    """
backend: {local: {directory: state}}
sites:
  production:
    region: eu-central-1
    vpc_id: vpc-0a1b2c3d4e5f60718
    tags: {stage: production}
    packet_basics:
      template_url: https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/epb.template
      subnet_id: subnet-0123456789abcdef0
      remote_access_cidr: 10.20.0.0/16
      parameters: {KeyName: responders}
    targets: {interface: {network_interface_id: eni-0123456789abcdef7, description: what}}
    response:
      appliance: {target: packet_basics, filter: packet_basics}
      containment: {approval: {source_identity_roles: [responders]}}
      # Sources of alerts are in the package of the functions, and not in what Terraform reads.
      policy:
        - {name: beacons, action: capture, sources: [edr], types: ["beacon*"], techniques: [T1071]}
      alerts:
        sources:
          edr:
            webhook: true
            mapping:
              {match: a, alert_id: b, severity: c, each: d, title: e, type: f, time: g, technique: h, tactics: i,
               account_id: j, region: k, instance_id: l, instance_arn: m, network_interface_id: n, private_ip: o,
               vpc_id: p, guardduty_finding: q, archived: r}
    xdr:
      landing: {bucket: security-lake, bucket_key_arn: "arn:aws:kms:eu-central-1:111122223333:key/a"}
      readers:
        tokens: {prefixes: [flow],
                 oidc: {issuer: https://login.example.com, audience: tapstack, subject: reader,
                        provider_arn: "arn:aws:iam::111122223333:oidc-provider/login.example.com"}}
""",
]
"""Together they say something in every text field of the model."""

SHAPES = [
    "@",
    "https://s3.amazonaws.com/awsmp-fulfillment-cf-templates-prod/@.template",
    "https://login.example.com/@",
    "@@example.com",
    "arn:aws:iam::111122223333:role/@",
    "arn:aws:iam::111122223333:policy/@",
    "arn:aws:sns:eu-central-1:111122223333:@",
    "arn:aws:kms:eu-central-1:111122223333:key/@",
]
"""What fields take besides any text, with a place for some."""

Where = tuple[str | int, ...]


@dataclass(frozen=True)
class Position:
    """A value or a key of a file that takes text of a shape."""

    where: Where
    is_key: bool
    shape: str

    def put(self, data: dict[str, Any], text: str) -> dict[str, Any]:
        """Return a copy of the file's data with the text in place."""
        changed = copy.deepcopy(data)
        inner: Any = changed
        for part in self.where[:-1]:
            inner = inner[part]
        last, written = self.where[-1], self.shape.replace("@", text, 1)
        if self.is_key:
            found = inner.pop(last)
            inner[written] = found
        else:
            inner[last] = written
        return changed


def accepted(data: dict[str, Any]) -> Deployment | None:
    """Return the deployment of a file that says this, or nothing where it is refused; no report is made."""
    try:
        source = YamlSource(yaml.safe_dump(data), "deployment.yaml")
    except DeploymentError:
        return None
    return None if source.problems else fitting(source.data)


def fitting(data: dict[str, Any]) -> Deployment | None:
    """Return the deployment, or nothing where the model or a check refuses it, whatever its texts hold."""
    try:
        deployment = Deployment.model_validate(data)
    except ValidationError:
        return None
    return None if check_deployment(deployment, Checker()) else deployment


def is_literal(text: str) -> bool:
    try:
        return check_literal(text) == text
    except RuleViolation:
        return False


def places(data: Any, where: Where = ()) -> Iterator[tuple[Where, bool]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield (*where, key), True
            yield from places(value, (*where, key))
    elif isinstance(data, list):
        for position, value in enumerate(data):
            yield from places(value, (*where, position))
    elif isinstance(data, str):
        yield where, False


def reference(number: int) -> str:
    """A text that stands nowhere else, and for which everything that takes text has a use."""
    return f"Q{chr(97 + number // 26)}{chr(97 + number % 26)}Q"


@functools.cache
def positions(file: int) -> tuple[dict[str, Any], list[Position]]:
    """Return the data of a file and where it takes text, found by trying."""
    data = yaml.safe_load(FILES[file])
    found = []
    for where, is_key in places(data):
        for shape in SHAPES[:1] if is_key else SHAPES:
            position = Position(where, is_key, shape)
            if fitting(position.put(data, "QzzQ")) is not None:
                found.append(position)
                break
    # Keys last: what is below a key is named by it.
    return data, sorted(found, key=lambda position: (position.is_key, -len(position.where)))


def stacks(deployment: Deployment) -> list[cdk.TerraformStack]:
    app = cdk.Testing.app()
    where: dict[str, Any] = {"deployment": deployment, "base": Path("/base"), "outdir": Path("/base/out")}
    capture = CaptureStack(app, "production", **where)
    # Most of the time goes into a response: only the first file's.
    xdr = XdrStack(app, "production", **where)
    return [capture, xdr, *([ResponseStack(app, "production", **where)] if deployment.tags else [])]


def read(deployment: Deployment) -> dict[str, Any]:
    """Return what both languages say of a deployment."""
    with rendering_hcl():
        hcl = [as_hcl(stack) for stack in stacks(deployment)]
    return {"json": [as_json(stack) for stack in stacks(deployment)], "hcl": hcl}


def fill(file: int, texts: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put each text that is accepted where its position is, and its reference where not; return data and texts."""
    data, found = positions(file)
    taken: dict[str, str] = {}
    of_tokens: set[str] = set()
    for number, position in enumerate(found):
        text = texts[number % len(texts)]
        changed = position.put(data, text)
        # A path is resolved, and so may say the same in other words.
        is_path = position.where[-1] == "directory" and {"", ".", ".."} & set(text.split("/"))
        # What is sought is written for a filter of EC2, which has signs of its own.
        is_sought = "sources" in position.where and set("\\*?") & set(text)
        # A scope of two rights is asked for once by the route that needs both.
        is_again = "jwt" in position.where and text in of_tokens
        if is_path or is_sought or is_again or accepted(changed) is None:
            text, changed = reference(number), position.put(data, reference(number))
        if "jwt" in position.where:
            of_tokens.add(text)
        taken[reference(number)] = text
        data = changed
    return data, taken


@functools.cache
def expected(file: int) -> dict[str, Any]:
    data, found = positions(file)
    for number, position in enumerate(found):
        data = position.put(data, reference(number))
    deployment = accepted(data)
    assert deployment is not None
    return read(deployment)


def check(file: int, texts: list[str]) -> None:
    data, taken = fill(file, texts)
    deployment = accepted(data)
    assert deployment is not None
    assert_equal(read(deployment), replaced(expected(file), taken))


def text_fields(annotation: Any) -> bool:
    if annotation is str:
        return True
    return typing.get_origin(annotation) is not typing.Literal and any(
        text_fields(part) for part in typing.get_args(annotation)
    )


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        for inner in _models_in(field.annotation):
            found |= models(inner)
    return found


def said(value: Any) -> set[str]:
    if isinstance(value, BaseModel):
        inner = {name: getattr(value, name) for name in type(value).model_fields}
        own = {f"{type(value).__name__}.{name}" for name, found in inner.items() if found}
        return own.union(*map(said, inner.values()))
    if isinstance(value, dict):
        value = list(value.values())
    return set().union(*map(said, value)) if isinstance(value, list) else set()


def test_when_the_model_has_a_field_of_text_then_the_files_here_say_something_in_it() -> None:
    written = set().union(*(said(parse_deployment(file)) for file in FILES))
    fields = {
        f"{model.__name__}.{name}"
        for model in models(Deployment)
        if model.__name__ != "ApplianceTemplate"
        for name, field in model.model_fields.items()
        if text_fields(field.annotation)
    }
    assert fields - written == set(), "let one of FILES say something in these fields"


LITERAL = [text for text in NASTY if is_literal(text)]


@pytest.mark.thorough
@pytest.mark.parametrize("begin", range(0, len(LITERAL), 10))
def test_when_nasty_texts_are_in_every_position_then_they_are_read_as_they_are(begin: int) -> None:
    check(1, LITERAL[begin:])


@pytest.mark.rehearsal
@pytest.mark.long
@pytest.mark.parametrize("begin", range(0, len(LITERAL), 10))
def test_when_nasty_texts_are_in_every_position_of_a_response_then_they_are_read_as_they_are(begin: int) -> None:
    assert len(positions(0)[1]) > 20
    check(0, LITERAL[begin:])


@pytest.mark.thorough
def test_when_narrow_fields_get_nasty_texts_then_they_are_refused() -> None:
    data, found = positions(0)
    wide = {(position.where, position.is_key) for position in found}
    for where, is_key in places(data):
        if (where, is_key) not in wide and not is_key:
            for text in ('"', "\\", "$", "{", "[", "\n"):
                assert fitting(Position(where, is_key, "@").put(data, f"a{text}")) is None, where


@pytest.mark.thorough
@settings(max_examples=5, phases=WITHOUT_SHRINKING)
@given(st.lists(TEXT, min_size=10, max_size=10))
def test_when_any_texts_are_in_every_position_then_they_are_read_as_they_are_or_refused(texts: list[str]) -> None:
    check(1, texts)


@pytest.mark.long
@settings(max_examples=6, phases=WITHOUT_SHRINKING)
@example(['"'])
@given(st.lists(TEXT, min_size=40, max_size=40))
def test_when_many_texts_are_in_every_position_then_they_are_read_as_they_are_or_refused(texts: list[str]) -> None:
    check(0, texts)

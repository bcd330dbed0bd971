"""A default of the deployment file and of a construct is declared once: both take it from the domain."""

from __future__ import annotations

import ast
import inspect
import textwrap
from dataclasses import MISSING, fields
from typing import Any, Literal, get_origin, get_type_hints

import pytest
from annotated_types import Ge, Le

import tapstack
from tapstack import IncidentResponse
from tapstack import PacketBasics as Construct
from tapstack.bindings import AwsConstruct
from tapstack.domain.appliance_settings import ApplianceTemplate
from tapstack.domain.retention import RETENTION_DAYS
from tapstack.settings import model, xdr
from tapstack.settings.fields import Settings
from tapstack.settings.model import PacketBasics
from tapstack.settings.response import Response


def defaults_of(construct: Any) -> dict[str, Any]:
    return {name: given.default for name, given in inspect.signature(construct.__init__).parameters.items()}


# The parts of the file by the constructs that take the same settings. What else they take, other tests hold.
PARTS: dict[Any, type[Settings] | None] = {
    tapstack.ApplianceGate: None,
    tapstack.CaptureLoadBalancer: model.LoadBalancer,
    tapstack.CaptureSecurityGroup: model.CaptureSecurityGroup,
    tapstack.GuardDutyExport: xdr.GuardDuty,
    tapstack.IncidentResponse: Response,
    tapstack.IncidentTelemetry: Response,
    tapstack.MirrorFilter: model.Filter,
    tapstack.MirrorSessions: model.Sessions,
    tapstack.MirrorTarget: model.Target,
    tapstack.PacketBasics: PacketBasics,
    tapstack.QuarantineSecurityGroup: None,
    tapstack.TelemetryLanding: None,
    tapstack.VpcFlowLogs: None,
    tapstack.XdrReader: None,
}


def test_when_a_construct_is_public_then_its_part_of_the_file_is_known() -> None:
    named = [getattr(tapstack, name) for name in tapstack.__all__]
    assert {each for each in named if isinstance(each, type) and issubclass(each, AwsConstruct)} == set(PARTS)


@pytest.mark.parametrize("construct", PARTS, ids=lambda construct: construct.__name__)
def test_when_a_construct_has_a_number_by_default_then_the_domain_declares_it(construct: Any) -> None:
    [function] = ast.parse(textwrap.dedent(inspect.getsource(construct.__init__))).body
    assert isinstance(function, ast.FunctionDef)
    literals = [each.value for each in function.args.kw_defaults if isinstance(each, ast.Constant)]
    assert [value for value in literals if isinstance(value, int | float) and not isinstance(value, bool)] == []


@pytest.mark.parametrize("construct", PARTS, ids=lambda construct: construct.__name__)
def test_when_a_construct_and_the_file_have_one_setting_then_it_has_one_default_and_one_list_of_values(
    construct: Any,
) -> None:
    part = PARTS[construct]
    declared = {} if part is None else part.model_fields
    hints = get_type_hints(construct.__init__)
    for name, default in defaults_of(construct).items():
        field = declared.get(name)
        if field is None:
            continue
        if isinstance(default, str | int):
            assert field.default == default, name
        if get_origin(field.annotation) is Literal:
            assert hints[name] == field.annotation, name


def test_when_a_template_setting_has_a_default_then_the_appliance_of_a_site_has_it_too() -> None:
    declared = {each.name: each.default for each in fields(ApplianceTemplate) if each.default is not MISSING}
    assert {"public_ip", "capabilities", "timeout_minutes"} <= set(declared)
    given = defaults_of(Construct)
    assert {name: given[name] for name in declared} == declared


@pytest.mark.parametrize("name", ["on_failure", "deletion_protection"])
def test_when_the_file_leaves_a_setting_of_the_appliance_out_then_it_is_the_construct_s_default(name: str) -> None:
    assert PacketBasics.model_fields[name].default == defaults_of(Construct)[name]


@pytest.mark.parametrize("name", ["retention_days", "log_retention_days", "deletion_protection"])
def test_when_the_file_leaves_a_setting_of_the_response_out_then_it_is_the_construct_s_default(name: str) -> None:
    assert Response.model_fields[name].default == defaults_of(IncidentResponse)[name]


def test_when_the_file_refuses_a_number_of_days_then_the_construct_does_too() -> None:
    limits = Response.model_fields["retention_days"].metadata
    assert limits == [Ge(RETENTION_DAYS[0]), Le(RETENTION_DAYS[1])]

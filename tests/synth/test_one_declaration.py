"""A default of the deployment file and of a construct is declared once: both take it from the domain."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, fields
from typing import Any

import pytest
from annotated_types import Ge, Le

from tapstack import IncidentResponse
from tapstack import PacketBasics as Construct
from tapstack.domain.appliance_settings import ApplianceTemplate
from tapstack.domain.retention import RETENTION_DAYS
from tapstack.settings.model import PacketBasics
from tapstack.settings.response import Response


def defaults_of(construct: Any) -> dict[str, Any]:
    return {name: given.default for name, given in inspect.signature(construct.__init__).parameters.items()}


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

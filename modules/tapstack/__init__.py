"""Tapstack: packet capture on demand for incident response on AWS.

Constructs for CDK for Terraform, to be used in any `TerraformStack`. The names below are
the public ones; importing this module imports neither cdktf nor boto3, each name is
resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapstack.capture.appliance import IPacketBasics
    from tapstack.capture.appliance_gate import ApplianceGate
    from tapstack.capture.capture_load_balancer import CaptureLoadBalancer
    from tapstack.capture.mirror_filter import IMirrorFilter, MirrorFilter
    from tapstack.capture.mirror_sessions import MirrorSessions
    from tapstack.capture.mirror_target import IMirrorTarget, MirrorTarget
    from tapstack.capture.packet_basics import PacketBasics
    from tapstack.capture.provider import PROVIDER_VERSION, accept_provider_range
    from tapstack.capture.security_groups import CaptureSecurityGroup, ISecurityGroup, QuarantineSecurityGroup
    from tapstack.domain import filter_presets as presets
    from tapstack.domain.alert_mappings import AlertMapping, AlertSource
    from tapstack.domain.alert_settings import AlertSettings
    from tapstack.domain.appliance_settings import ExistingAppliance, LaunchedAppliance
    from tapstack.domain.capture_settings import CaptureSettings
    from tapstack.domain.containment_settings import (
        Approval,
        AutoScaling,
        ContainmentSettings,
        LoadBalancers,
        Protect,
        TwoStep,
        WaitForPackets,
    )
    from tapstack.domain.destinations import Destination
    from tapstack.domain.errors import RuleViolation
    from tapstack.domain.evidence_settings import ApplianceSnapshots, EvidenceSettings
    from tapstack.domain.filter_presets import FilterPreset
    from tapstack.domain.filter_rules import MirrorRule, PortRange, Traffic
    from tapstack.domain.peers import Peer
    from tapstack.domain.sources import KnownSource, Source, SourceLookup
    from tapstack.domain.telemetry import LandingBucket
    from tapstack.domain.xdr_settings import (
        FeedSettings,
        FlowLogSettings,
        IncidentTelemetrySettings,
        LandingSettings,
        OidcTrust,
        OwnTrust,
        ReaderSettings,
        VendorTrust,
    )
    from tapstack.response.authorization import Authorization
    from tapstack.response.incident_response import IncidentResponse, PolicyRule
    from tapstack.xdr.flow_logs import VpcFlowLogs
    from tapstack.xdr.guardduty import GuardDutyExport
    from tapstack.xdr.incident_telemetry import IncidentTelemetry
    from tapstack.xdr.landing import TelemetryLanding
    from tapstack.xdr.reader import XdrReader

_HOMES = {
    "AlertMapping": "tapstack.domain.alert_mappings",
    "AlertSettings": "tapstack.domain.alert_settings",
    "AlertSource": "tapstack.domain.alert_mappings",
    "ApplianceGate": "tapstack.capture.appliance_gate",
    "ApplianceSnapshots": "tapstack.domain.evidence_settings",
    "Approval": "tapstack.domain.containment_settings",
    "Authorization": "tapstack.response.authorization",
    "AutoScaling": "tapstack.domain.containment_settings",
    "CaptureLoadBalancer": "tapstack.capture.capture_load_balancer",
    "CaptureSecurityGroup": "tapstack.capture.security_groups",
    "CaptureSettings": "tapstack.domain.capture_settings",
    "ContainmentSettings": "tapstack.domain.containment_settings",
    "Destination": "tapstack.domain.destinations",
    "EvidenceSettings": "tapstack.domain.evidence_settings",
    "ExistingAppliance": "tapstack.domain.appliance_settings",
    "FeedSettings": "tapstack.domain.xdr_settings",
    "FilterPreset": "tapstack.domain.filter_presets",
    "FlowLogSettings": "tapstack.domain.xdr_settings",
    "GuardDutyExport": "tapstack.xdr.guardduty",
    "IMirrorFilter": "tapstack.capture.mirror_filter",
    "IMirrorTarget": "tapstack.capture.mirror_target",
    "IPacketBasics": "tapstack.capture.appliance",
    "ISecurityGroup": "tapstack.capture.security_groups",
    "IncidentResponse": "tapstack.response.incident_response",
    "IncidentTelemetry": "tapstack.xdr.incident_telemetry",
    "IncidentTelemetrySettings": "tapstack.domain.xdr_settings",
    "KnownSource": "tapstack.domain.sources",
    "LandingBucket": "tapstack.domain.telemetry",
    "LandingSettings": "tapstack.domain.xdr_settings",
    "LaunchedAppliance": "tapstack.domain.appliance_settings",
    "LoadBalancers": "tapstack.domain.containment_settings",
    "MirrorFilter": "tapstack.capture.mirror_filter",
    "MirrorRule": "tapstack.domain.filter_rules",
    "MirrorSessions": "tapstack.capture.mirror_sessions",
    "MirrorTarget": "tapstack.capture.mirror_target",
    "OidcTrust": "tapstack.domain.xdr_settings",
    "OwnTrust": "tapstack.domain.xdr_settings",
    "PROVIDER_VERSION": "tapstack.capture.provider",
    "PacketBasics": "tapstack.capture.packet_basics",
    "Peer": "tapstack.domain.peers",
    "PolicyRule": "tapstack.response.incident_response",
    "PortRange": "tapstack.domain.filter_rules",
    "Protect": "tapstack.domain.containment_settings",
    "QuarantineSecurityGroup": "tapstack.capture.security_groups",
    "ReaderSettings": "tapstack.domain.xdr_settings",
    "RuleViolation": "tapstack.domain.errors",
    "Source": "tapstack.domain.sources",
    "SourceLookup": "tapstack.domain.sources",
    "TelemetryLanding": "tapstack.xdr.landing",
    "Traffic": "tapstack.domain.filter_rules",
    "TwoStep": "tapstack.domain.containment_settings",
    "VendorTrust": "tapstack.domain.xdr_settings",
    "VpcFlowLogs": "tapstack.xdr.flow_logs",
    "WaitForPackets": "tapstack.domain.containment_settings",
    "XdrReader": "tapstack.xdr.reader",
    "accept_provider_range": "tapstack.capture.provider",
}

__all__ = [
    "PROVIDER_VERSION",
    "AlertMapping",
    "AlertSettings",
    "AlertSource",
    "ApplianceGate",
    "ApplianceSnapshots",
    "Approval",
    "Authorization",
    "AutoScaling",
    "CaptureLoadBalancer",
    "CaptureSecurityGroup",
    "CaptureSettings",
    "ContainmentSettings",
    "Destination",
    "EvidenceSettings",
    "ExistingAppliance",
    "FeedSettings",
    "FilterPreset",
    "FlowLogSettings",
    "GuardDutyExport",
    "IMirrorFilter",
    "IMirrorTarget",
    "IPacketBasics",
    "ISecurityGroup",
    "IncidentResponse",
    "IncidentTelemetry",
    "IncidentTelemetrySettings",
    "KnownSource",
    "LandingBucket",
    "LandingSettings",
    "LaunchedAppliance",
    "LoadBalancers",
    "MirrorFilter",
    "MirrorRule",
    "MirrorSessions",
    "MirrorTarget",
    "OidcTrust",
    "OwnTrust",
    "PacketBasics",
    "Peer",
    "PolicyRule",
    "PortRange",
    "Protect",
    "QuarantineSecurityGroup",
    "ReaderSettings",
    "RuleViolation",
    "Source",
    "SourceLookup",
    "TelemetryLanding",
    "Traffic",
    "TwoStep",
    "VendorTrust",
    "VpcFlowLogs",
    "WaitForPackets",
    "XdrReader",
    "accept_provider_range",
    "presets",
]

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    if name == "presets":
        found: Any = importlib.import_module("tapstack.domain.filter_presets")
    elif name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
    elif now := importlib.import_module("tapstack.domain.renamed").OLD_NAMES.get(name):
        said = f"tapstack has no {name} any more: it is tapstack.{now}"
        # hasattr() wants an AttributeError, whose words `from tapstack import ...` does not show. That asks importlib
        # first, which lets an ImportError through. No exception can be both.
        if sys._getframe(1).f_globals.get("__name__") == importlib._bootstrap.__name__:
            raise ImportError(said, name="tapstack")
        raise AttributeError(said, name=name)
    else:
        raise AttributeError(f"module 'tapstack' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)

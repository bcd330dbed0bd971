"""The calls of EC2 with which CloudFormation creates, changes and deletes an appliance.

The product's template is not public. These are the actions for what its documentation says it makes: an
instance with one network interface, a security group, an Elastic IP where asked, a mirror target, a filter
with rules, a session.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2".
"""

from __future__ import annotations

from typing import Final

USED: Final = (
    "CreateNetworkInterface",
    "CreateTrafficMirrorFilterRule",
    "CreateTrafficMirrorSession",
    "RunInstances",
)
"""Calls that create a resource with others: security groups, filters and targets."""

MADE: Final = (
    "RunInstances",
    "CreateNetworkInterface",
    "CreateSecurityGroup",
    "AllocateAddress",
    "CreateTrafficMirrorTarget",
    "CreateTrafficMirrorFilter",
    "CreateTrafficMirrorFilterRule",
    "CreateTrafficMirrorSession",
)
"""Calls that create a resource."""

CHANGED: Final = (
    "AssociateAddress",
    "AttachNetworkInterface",
    "AuthorizeSecurityGroupEgress",
    "AuthorizeSecurityGroupIngress",
    "DeleteNetworkInterface",
    "DeleteSecurityGroup",
    "DeleteTrafficMirrorFilter",
    "DeleteTrafficMirrorFilterRule",
    "DeleteTrafficMirrorSession",
    "DeleteTrafficMirrorTarget",
    "DetachNetworkInterface",
    "DisassociateAddress",
    "ModifyInstanceAttribute",
    "ModifyNetworkInterfaceAttribute",
    "ModifyTrafficMirrorFilterNetworkServices",
    "ModifyTrafficMirrorFilterRule",
    "ModifyTrafficMirrorSession",
    "ReleaseAddress",
    "RevokeSecurityGroupEgress",
    "RevokeSecurityGroupIngress",
    "StartInstances",
    "StopInstances",
    "TerminateInstances",
)
"""Calls that change or delete a resource."""

DESCRIBED: Final = (
    "DescribeAddresses",
    "DescribeInstances",
    "DescribeKeyPairs",
    "DescribeNetworkInterfaces",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeTrafficMirrorFilterRules",
    "DescribeTrafficMirrorFilters",
    "DescribeTrafficMirrorSessions",
    "DescribeTrafficMirrorTargets",
    "DescribeVolumes",
    "DescribeVpcs",
)
"""Calls that read."""

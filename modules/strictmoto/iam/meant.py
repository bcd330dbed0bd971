"""What a call means where it names things as its service finds them: by a name, an alias, a template.

IAM is asked about what the service acts on, however the call names it. What does not exist stays as the call has it.

Sources: Service Authorization Reference, resource types of each service; Amazon EC2 API Reference, RunInstances
("LaunchTemplate", and the default subnet and the default group), ReleaseAddress, DeleteKeyPair; AWS Secrets Manager
API Reference, "SecretId"; AWS KMS Developer Guide, "Key identifiers".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.iam import oneself
from strictmoto.iam.authorizations import Authorization
from strictmoto.iam.authorizations.place import Place
from strictmoto.requests.calls import Call

Parameters = Mapping[str, Any]
_BY_GROUP_NAME: Final = frozenset(
    {
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "DeleteSecurityGroup",
        "RevokeSecurityGroupEgress",
        "RevokeSecurityGroupIngress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
    }
)
_MAKES_STACKS: Final = frozenset({"CreateStack", "CreateStackSet"})
_KEY_ID_LENGTH: Final = 36
_ALL_SECRETS: Final = 1_000_000
"""More than there are on a page."""


def as_meant(call: Call, requested: Parameters, principal_arn: str) -> Parameters:
    """Return the parameters of a call with ids in the place of what the account finds otherwise."""
    find = _FINDERS.get(call.service)
    if find is None or principal_arn.count(":") < 5:
        return requested
    if call.service == "iam":
        return _iam(call, requested, principal_arn)
    return find(call, requested, principal_arn.split(":")[4])


def roles_of_profiles(call: Call, requested: Parameters, account: str) -> tuple[Authorization, ...]:
    """Return iam:PassRole for the role of each instance profile that a call gives to an instance.

    Source: IAM User Guide, "Using an IAM role to grant permissions to applications running on Amazon EC2 instances".
    """
    # A template is only kept: who launches from it gives the role.
    if call.service not in _WITH_PROFILES or call.action.startswith("CreateLaunchTemplate"):
        return ()
    from moto.iam.models import iam_backends

    names = list(dict.fromkeys(_profiles(requested)))
    if not names:
        return ()
    backend: Any = iam_backends[account][Place(call.region, account).arn("iam", "x").split(":")[1]]
    held = {profile.name: profile for profile in list(backend.instance_profiles.values())}
    return tuple(
        Authorization("iam:PassRole", (role.arn,), {"iam:PassedToService": "ec2.amazonaws.com"})
        for name in names
        if name in held
        for role in held[name].roles
    )


_WITH_PROFILES: Final = frozenset({"autoscaling", "ec2"})


def _profiles(value: Any) -> list[str]:
    """Return the names of instance profiles, wherever in a request they stand."""
    found: list[str] = []
    if isinstance(value, list):
        for item in value:
            found += _profiles(item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name == "IamInstanceProfile":
                given = (item.get("Arn") or item.get("Name")) if isinstance(item, Mapping) else item
                found += [str(given).rpartition("/")[2]] if given else []
            else:
                found += _profiles(item)
    return found


_OF_IAM: Final = (
    ("GroupName", "groups"),
    ("InstanceProfileName", "instance_profiles"),
    ("RoleName", "roles"),
    ("UserName", "users"),
)
_MAKES_IN_IAM: Final = frozenset({"CreateGroup", "CreateInstanceProfile", "CreateRole", "CreateUser"})


def _iam(call: Call, requested: Parameters, principal_arn: str) -> Parameters:
    """Return the parameters with the ARNs of roles, users, groups and profiles, which have paths."""
    from moto.iam.models import iam_backends

    found = dict(requested)
    parts = principal_arn.split(":", 5)
    backend: Any = iam_backends[parts[4]][parts[1]]
    if not requested.get("UserName"):
        if call.action == "GetAccessKeyLastUsed":
            key = backend.access_keys.get(requested.get("AccessKeyId"))
            found |= {"UserName": key.user_name} if key is not None and key.user_name else {}
        elif parts[5].startswith("user/") and call.action in oneself.actions():
            return {**found, "UserName": principal_arn}
    if call.action in _MAKES_IN_IAM:
        return found
    for member, kind in _OF_IAM:
        if name := requested.get(member):
            held = list(getattr(backend, kind).values())
            found[member] = next((one.arn for one in held if one.name == name), name)
    return found


def _ec2(call: Call, requested: Parameters, account: str) -> Parameters:
    if call.action in _BY_GROUP_NAME and requested.get("GroupName") and not requested.get("GroupId"):
        group = _backend(call, account).get_security_group_from_name(str(requested["GroupName"]))
        return {**requested, "GroupId": group.id} if group is not None else requested
    found = dict(requested)
    if requested.get("PublicIp") and not requested.get("AllocationId"):
        held = [one for one in _backend(call, account).addresses if one.public_ip == requested["PublicIp"]]
        return {**found, "AllocationId": held[0].allocation_id} if held else requested
    if requested.get("KeyPairId") and not requested.get("KeyName"):
        pairs = list(_backend(call, account).key_pairs.items())
        key = next((name for name, one in pairs if one.id == requested["KeyPairId"]), None)
        found |= {"KeyName": key} if key else {}
    if requested.get("LaunchTemplateName") and call.action != "CreateLaunchTemplate":
        held = _backend(call, account).launch_template_name_to_ids.get(requested["LaunchTemplateName"])
        return {**found, "LaunchTemplateId": held} if held else requested
    if call.action != "RunInstances":
        return found
    if given := requested.get("LaunchTemplate"):
        found = _launched(given, requested, _backend(call, account))
    if names := found.get("SecurityGroups"):
        groups = [_backend(call, account).get_security_group_from_name(str(name)) for name in names]
        ids = [group.id for group in groups if group is not None]
        found["SecurityGroupIds"] = [*(found.get("SecurityGroupIds") or ()), *ids]
    return {**found, **_defaults(found, _backend(call, account))}


def _defaults(requested: Parameters, backend: Any) -> dict[str, Any]:
    """Return the default subnet and the default group that a launch uses where it names none."""
    nics = requested.get("NetworkInterfaces") or ()
    # Interfaces that exist have both.
    if any(nic.get("NetworkInterfaceId") for nic in nics):
        return {}
    found: dict[str, Any] = {}
    subnets = [subnet for zone in list(backend.subnets.values()) for subnet in list(zone.values())]
    named = requested.get("SubnetId") or next((nic["SubnetId"] for nic in nics if nic.get("SubnetId")), None)
    if named:
        subnet = next((one for one in subnets if one.id == named), None)
    else:
        zone = (requested.get("Placement") or {}).get("AvailabilityZone") or f"{backend.region_name}a"
        subnet = backend.get_default_subnets().get(zone)
        found |= {"SubnetId": subnet.id} if subnet is not None else {}
    groups = requested.get("SecurityGroupIds") or any(nic.get("Groups") for nic in nics)
    if subnet is not None and not groups:
        group = backend.get_default_security_group(subnet.vpc_id)
        found |= {"SecurityGroupIds": [group.id]} if group is not None else {}
    return found


def _launched(given: Parameters, requested: Parameters, backend: Any) -> dict[str, Any]:
    """Return what a launch template and the request say together: the request counts, tags are those of both."""
    identity = given.get("LaunchTemplateId") or backend.launch_template_name_to_ids.get(given.get("LaunchTemplateName"))
    template = backend.launch_templates.get(identity)
    if template is None:
        return dict(requested)
    version = str(given.get("Version") or "$Default")
    number = {"$Default": template.default_version_number, "$Latest": len(template.versions)}.get(version, version)
    data: Parameters = next((one.data for one in template.versions if str(one.number) == str(number)), {})
    tags = [*(data.get("TagSpecifications") or ()), *(requested.get("TagSpecifications") or ())]
    return {
        **{name: value for name, value in data.items() if value is not None and name != "UserData"},
        **requested,
        **({"TagSpecifications": tags} if tags else {}),
        "LaunchTemplate": {**given, "LaunchTemplateId": template.id},
    }


def _backend(call: Call, account: str) -> Any:
    from moto.ec2.models import ec2_backends

    return ec2_backends[account][call.region]


def _secretsmanager(call: Call, requested: Parameters, account: str) -> Parameters:
    if given := requested.get("SecretId"):
        return {**requested, "SecretId": _secret(call, str(given), account)}
    if listed := requested.get("SecretIdList"):
        return {**requested, "SecretIdList": [_secret(call, str(one), account) for one in listed]}
    if call.action == "BatchGetSecretValue" and (filters := requested.get("Filters")):
        from moto.secretsmanager.models import secretsmanager_backends

        found, _ = secretsmanager_backends[account][call.region].list_secrets(filters, _ALL_SECRETS, None)
        return {**requested, "SecretIdList": [one["ARN"] for one in found]}
    return requested


def _secret(call: Call, name: str, account: str) -> str:
    """Return the ARN of a secret by its name, or by its ARN without the six letters at its end."""
    from moto.secretsmanager.models import secretsmanager_backends

    owner = name.split(":")[4] if name.count(":") > 5 else account
    for secret in list(secretsmanager_backends[owner][call.region].secrets.values()):
        arn = str(getattr(secret, "arn", ""))
        if name in (getattr(secret, "name", None), arn, arn[:-7]):
            return arn
    return name


def _ssm(call: Call, requested: Parameters, account: str) -> Parameters:
    """Return the parameters of a command with the instances that its targets find."""
    if call.action != "SendCommand" or not requested.get("Targets"):
        return requested
    from strictmoto.ssm.commands import instances_of

    found = instances_of(requested["Targets"], account, call.region)
    return {**requested, "InstanceIds": [*(requested.get("InstanceIds") or ()), *found]}


def _kms(call: Call, requested: Parameters, account: str) -> Parameters:
    from moto.kms.models import kms_backends

    found = dict(requested)
    for name in ("KeyId", "DestinationKeyId", "SourceKeyId"):
        given = str(requested.get(name) or "")
        alias = given.rpartition(":")[2]
        if alias.startswith("alias/"):
            owner = given.split(":")[4] if given.startswith("arn:") else account
            for key in list(kms_backends[owner][call.region].keys.values()):
                if alias in key.aliases:
                    found[name] = key.arn
    if call.action in ("Decrypt", "ReEncrypt") and not requested.get("KeyId"):
        identity = _key_of(str(requested.get("CiphertextBlob") or ""))
        for regions in list(kms_backends.values()):
            if identity in regions[call.region].keys:
                found["KeyId"] = regions[call.region].keys[identity].arn
    return found


def _key_of(ciphertext: str) -> str:
    """Return the id of the key that a ciphertext was made with, which moto writes at its beginning."""
    try:
        return base64.b64decode(ciphertext)[:_KEY_ID_LENGTH].decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _cloudformation(call: Call, requested: Parameters, account: str) -> Parameters:
    """Return the parameters with the ARN of the stack, also that of a change set, and the name of the change set."""
    from moto.cloudformation.models import cloudformation_backends

    if call.action in _MAKES_STACKS:
        return requested
    backend: Any = cloudformation_backends[account][call.region]
    if change_set := backend.change_sets.get(requested.get("ChangeSetName")):
        return {**requested, "StackName": change_set.stack_id, "ChangeSetName": change_set.change_set_name}
    if name := requested.get("StackName"):
        held = next((stack.stack_id for stack in list(backend.stacks.values()) if stack.name == name), name)
        return {**requested, "StackName": held}
    return requested


def _autoscaling(call: Call, requested: Parameters, account: str) -> Parameters:
    """Return the parameters with the ARN of the group that they name, also by an instance or in tags."""
    from moto.autoscaling.models import autoscaling_backends

    backend: Any = autoscaling_backends[account][call.region]
    groups = {group.name: group for group in list(backend.autoscaling_groups.values())}

    def arn_of(name: Any) -> Any:
        return groups[name].arn if name in groups else name

    found = dict(requested)
    # What is made takes no more than the settings of an instance, or of a launch configuration.
    if not call.action.startswith("Create"):
        named = {requested.get("InstanceId"), *(requested.get("InstanceIds") or ())} - {None}
        for group in list(groups.values()) if named and not requested.get("AutoScalingGroupName") else ():
            if any(state.instance.id in named for state in list(group.instance_states)):
                found["AutoScalingGroupName"] = group.arn
        if call.action == "DeleteLaunchConfiguration":
            held = backend.launch_configurations.get(requested.get("LaunchConfigurationName"))
            found |= {"LaunchConfigurationName": held.arn} if held is not None else {}
    if name := requested.get("AutoScalingGroupName"):
        found["AutoScalingGroupName"] = arn_of(name)
    if call.action in ("CreateOrUpdateTags", "DeleteTags"):
        found["Tags"] = [{**tag, "ResourceId": arn_of(tag.get("ResourceId"))} for tag in requested.get("Tags") or ()]
    return found


_FINDERS: Final[Mapping[str, Callable[[Call, Parameters, str], Parameters]]] = {
    "autoscaling": _autoscaling,
    "cloudformation": _cloudformation,
    "ec2": _ec2,
    "iam": _iam,
    "kms": _kms,
    "secretsmanager": _secretsmanager,
    "ssm": _ssm,
}

"""What condition keys say of resources that exist: their tags, and where they belong.

Source: Service Authorization Reference, resource types and condition keys of each service.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.iam.lazy import Lazy
from strictmoto.iam.policies import Context
from strictmoto.requests.arns import is_somewhere

_WILD: Final = frozenset("*?")
_KIND: Final = re.compile(r"[^:/]+")


def facts_of(arn: str) -> Context:
    """Return the condition keys of a resource; nothing for one that does not exist. Looked up when asked for."""
    parts = arn.split(":", 5)
    find = _finder(parts)
    if find is None or not is_somewhere(arn):
        return {}
    return Lazy(lambda: find(parts))


def reads_tags_of(arn: str) -> bool:
    """Return whether the account knows the tags of such resources, or that they can have none."""
    return _finder(arn.split(":", 5)) is not None


def _finder(parts: list[str]) -> Callable[[list[str]], Context] | None:
    if len(parts) < 6:
        return None
    kind = _KIND.match(parts[5])
    return FINDERS.get(parts[2]) or (FINDERS.get(f"{parts[2]}:{kind[0]}") if kind else None)


def _tagged(tags: Mapping[str, Any], *prefixes: str) -> dict[str, tuple[str, ...]]:
    return {f"{prefix}:ResourceTag/{key}": (str(value),) for key, value in tags.items() for prefix in prefixes}


def _pairs(tags: Any, key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {str(tag[key]): str(tag[value]) for tag in tags or ()}


def _ec2(parts: list[str]) -> Context:
    from moto.ec2.models import ec2_backends

    kind, _, name = parts[5].partition("/")
    if _WILD & set(name):
        return {}
    # Images and snapshots name no account.
    owners = [parts[4]] if parts[4] else [account for account, _ in list(ec2_backends.items())]
    for owner in owners:
        backend: Any = ec2_backends[owner][parts[3]]
        if kind == "key-pair" and (pair := backend.key_pairs.get(name)) is not None:
            # ARNs have its name, and tags its id.
            name = pair.id
        # Commands are sent to instances, too.
        prefixes = ("aws", "ec2", "ssm") if kind == "instance" else ("aws", "ec2")
        found = {**_tagged(dict(backend.tags.get(name, {})), *prefixes), **_belonging(parts, kind, name, backend)}
        if found:
            return found
    return {}


_IDS: Final = {
    "image": "ec2:ImageID",
    "instance": "ec2:InstanceID",
    "network-acl": "ec2:NetworkAclID",
    "network-interface": "ec2:NetworkInterfaceID",
    "route-table": "ec2:RouteTableID",
    "security-group": "ec2:SecurityGroupID",
    "snapshot": "ec2:SnapshotID",
    "subnet": "ec2:SubnetID",
    "volume": "ec2:VolumeID",
    "vpc": "ec2:VpcID",
}


def _belonging(parts: list[str], kind: str, name: str, backend: Any) -> Context:
    """Return the keys of a resource that are no tags: its own properties, and where it belongs."""
    item = _FOUND[kind](backend, name) if kind in _FOUND else None
    if item is None:
        return {}
    found = {_IDS[kind]: (name,)} if kind in _IDS else {}
    for key, value in _PROPERTIES.get(kind, lambda _: {})(item).items():
        if value not in (None, ""):
            found[key] = (str(value).lower() if isinstance(value, bool) else str(value),)
    where = f"{':'.join(parts[:4])}:{parts[4]}"
    owner = item.subnet if kind == "network-interface" else item
    if kind in _IN_VPC and owner is not None and owner.vpc_id:
        found["ec2:Vpc"] = (f"{where}:vpc/{owner.vpc_id}",)
    if kind == "network-interface" and owner is not None:
        found["ec2:Subnet"] = (f"{where}:subnet/{owner.id}",)
    return found


def _instance(item: Any) -> dict[str, Any]:
    options, profile = getattr(item, "metadata_options", None), getattr(item, "iam_instance_profile", None) or {}
    return {
        "ec2:AvailabilityZone": item.availability_zone,
        "ec2:EbsOptimized": str(item.ebs_optimized).lower(),
        "ec2:InstanceProfile": profile.get("Arn"),
        "ec2:InstanceType": item.instance_type,
        "ec2:MetadataHttpEndpoint": getattr(options, "http_endpoint", None),
        "ec2:MetadataHttpPutResponseHopLimit": getattr(options, "http_put_response_hop_limit", None),
        "ec2:MetadataHttpTokens": getattr(options, "http_tokens", None),
        "ec2:RootDeviceType": item.root_device_type,
        "ec2:Tenancy": item.placement.tenancy,
    }


def _snapshot(item: Any) -> dict[str, Any]:
    volume, backend = item.volume, item.ec2_backend
    place = f"arn:{backend.partition}:ec2:{backend.region_name}:{item.owner_id}"
    return {
        # Its ARN does not say it.
        "aws:ResourceAccount": item.owner_id,
        "ec2:Encrypted": bool(item.encrypted),
        "ec2:Owner": item.owner_id,
        "ec2:ParentVolume": f"{place}:volume/{volume.id}",
        "ec2:SnapshotTime": item.start_time.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ec2:VolumeSize": volume.size,
    }


def _volume(item: Any) -> dict[str, Any]:
    # moto keeps the IOPS that were asked for only; those of gp2 follow from the size.
    derived = min(max(3 * int(item.size), 100), 16_000) if item.volume_type == "gp2" else None
    return {
        "ec2:AvailabilityZone": getattr(item.zone, "name", item.zone),
        "ec2:Encrypted": str(item.encrypted).lower(),
        "ec2:VolumeIops": item.iops or derived,
        "ec2:VolumeSize": item.size,
        "ec2:VolumeThroughput": item.throughput,
        "ec2:VolumeType": item.volume_type,
    }


_FOUND: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "image": lambda backend, name: backend.amis.get(name),
    "instance": lambda backend, name: next((one for one in backend.all_instances() if one.id == name), None),
    "network-acl": lambda backend, name: backend.network_acls.get(name),
    "network-interface": lambda backend, name: backend.enis.get(name),
    "route-table": lambda backend, name: backend.route_tables.get(name),
    "security-group": lambda backend, name: backend.get_security_group_from_id(name),
    "snapshot": lambda backend, name: backend.snapshots.get(name),
    "subnet": lambda backend, name: next((z[name] for z in list(backend.subnets.values()) if name in z), None),
    "volume": lambda backend, name: backend.volumes.get(name),
    "vpc": lambda backend, name: backend.vpcs.get(name),
}
_IN_VPC: Final = frozenset({"network-acl", "network-interface", "route-table", "security-group", "subnet"})
_PROPERTIES: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "image": lambda item: {
        "ec2:Owner": item.owner_alias or item.owner_id,
        "ec2:Public": bool(item.is_public),
        "ec2:RootDeviceType": item.root_device_type,
    },
    "instance": _instance,
    "network-interface": lambda item: {"ec2:AvailabilityZone": getattr(item.subnet, "availability_zone", None)},
    "snapshot": _snapshot,
    "subnet": lambda item: {"ec2:AvailabilityZone": item.availability_zone},
    "volume": _volume,
}


def _stack(parts: list[str]) -> Context:
    from moto.cloudformation.models import cloudformation_backends

    kind, _, name = parts[5].partition("/")
    backend: Any = cloudformation_backends[parts[4]][parts[3]]
    for stack in list(backend.stacks.values()) if kind == "stack" else ():
        if stack.stack_id == ":".join(parts) or (name.endswith("/*") and stack.name == name[:-2]):
            return _tagged(stack.tags or {}, "aws")
    return {}


def _object(parts: list[str]) -> Context:
    """Return the tags of an object."""
    from moto.s3.models import s3_backends

    bucket_name, _, key = parts[5].partition("/")
    owner = s3_backends.bucket_accounts.get(bucket_name)
    if owner is None or not key:
        return {}
    backend: Any = s3_backends[owner[1]][owner[0]]
    bucket = backend.buckets.get(bucket_name)
    item = bucket.keys.get(key) if bucket is not None else None
    if item is None:
        return {}
    tags = backend.tagger.get_tag_dict_for_resource(item.arn)
    return {f"s3:ExistingObjectTag/{name}": (str(value),) for name, value in tags.items()}


def _table(parts: list[str]) -> Context:
    from moto.dynamodb.models import dynamodb_backends

    table: Any = dynamodb_backends[parts[4]][parts[3]].tables.get(parts[5].split("/")[1])
    return _tagged(_pairs(table.tags), "aws") if table is not None else {}


def _function(parts: list[str]) -> Context:
    from moto.awslambda.models import lambda_backends

    backend: Any = lambda_backends[parts[4]][parts[3]]
    function = backend._lambdas.get_arn(":".join([*parts[:5], *parts[5].split(":")[:2]]))
    return _tagged(function.tags or {}, "aws") if function is not None else {}


def _mapping(parts: list[str]) -> Context:
    from moto.awslambda.models import lambda_backends

    backend: Any = lambda_backends[parts[4]][parts[3]]
    mapping = backend._event_source_mappings.get(parts[5].partition(":")[2])
    return _tagged(mapping.tags or {}, "aws") if mapping is not None else {}


def _queue(parts: list[str]) -> Context:
    from moto.sqs.models import sqs_backends

    queue: Any = sqs_backends[parts[4]][parts[3]].queues.get(parts[5])
    return _tagged(queue.tags or {}, "aws") if queue is not None else {}


def _topic(parts: list[str]) -> Context:
    from moto.sns.models import sns_backends

    topic: Any = sns_backends[parts[4]][parts[3]].topics.get(":".join(parts))
    return _tagged(topic._tags or {}, "aws") if topic is not None else {}


def _key(parts: list[str]) -> Context:
    from moto.kms.models import kms_backends

    backend: Any = kms_backends[parts[4]][parts[3]]
    return _tagged(backend.tagger.get_tag_dict_for_resource(parts[5].partition("/")[2]), "aws")


def _log_group(parts: list[str]) -> Context:
    from moto.logs.models import logs_backends

    backend: Any = logs_backends[parts[4]][parts[3]]
    group = ":".join([*parts[:5], *parts[5].split(":")[:2]])
    return _tagged(backend.tagger.get_tag_dict_for_resource(group), "aws")


def _secret(parts: list[str]) -> Context:
    from moto.secretsmanager.models import secretsmanager_backends

    backend: Any = secretsmanager_backends[parts[4]][parts[3]]
    name = parts[5].removeprefix("secret:")
    for secret in list(backend.secrets.values()):
        if secret.arn.endswith(parts[5]) or secret.name == name.removesuffix("-??????"):
            return _tagged(_pairs(secret.tags), "aws", "secretsmanager")
    return {}


def _iam_backend(parts: list[str]) -> Any:
    from moto.iam.models import iam_backends

    return iam_backends[parts[4]][parts[1]]


def _role(parts: list[str]) -> Context:
    name = parts[5].rpartition("/")[2]
    role = next((role for role in list(_iam_backend(parts).roles.values()) if role.name == name), None)
    return {**_of_iam(role), **_bounded(role.permissions_boundary_arn)} if role is not None else {}


def _user(parts: list[str]) -> Context:
    backend = _iam_backend(parts)
    user = backend.users.get(parts[5].rpartition("/")[2])
    if user is None:
        return {}
    tags = backend.tagger.get_tag_dict_for_resource(user.arn)
    return {**_tagged(tags, "aws", "iam"), **_bounded(getattr(user, "permissions_boundary_arn", None))}


def _of_iam(item: Any) -> Context:
    """Return the tags of what has them itself, in a list or by their keys."""
    tags = item.tags.values() if isinstance(item.tags, Mapping) else item.tags
    return _tagged(_pairs(tags), "aws", "iam")


def _bounded(arn: str | None) -> Context:
    return {"iam:PermissionsBoundary": (arn,)} if arn else {}


def _managed_policy(parts: list[str]) -> Context:
    # Those of AWS belong to no account, and have no tags.
    policy = _iam_backend(parts).managed_policies.get(":".join(parts)) if parts[4] != "aws" else None
    return _of_iam(policy) if policy is not None else {}


def _profile(parts: list[str]) -> Context:
    profile = _iam_backend(parts).instance_profiles.get(parts[5].rpartition("/")[2])
    return _of_iam(profile) if profile is not None else {}


def _provider(parts: list[str]) -> Context:
    provider = _iam_backend(parts).open_id_providers.get(":".join(parts))
    return _of_iam(provider) if provider is not None else {}


def _balancing(parts: list[str]) -> Context:
    from moto.elbv2.models import elbv2_backends

    backend: Any = elbv2_backends[parts[4]][parts[3]]
    tags = backend.tagging_service.get_tag_dict_for_resource(":".join(parts))
    return _tagged(tags, "aws", "elasticloadbalancing")


def _load_balancer(parts: list[str]) -> Context:
    from moto.elb.models import elb_backends

    name = parts[5].partition("/")[2]
    if "/" in name:
        return _balancing(parts)
    classic = elb_backends[parts[4]][parts[3]].load_balancers.get(name)
    return _tagged(classic.tags, "aws", "elasticloadbalancing") if classic is not None else {}


def _group(parts: list[str]) -> Context:
    from moto.autoscaling.models import autoscaling_backends

    backend: Any = autoscaling_backends[parts[4]][parts[3]]
    group = backend.autoscaling_groups.get(parts[5].rpartition("/")[2])
    return _tagged(_pairs(group.tags), "aws", "autoscaling") if group is not None else {}


def _by_arn(module: str, backends: str) -> Callable[[list[str]], Context]:
    def find(parts: list[str]) -> Context:
        import importlib

        models: Any = importlib.import_module(module)
        backend = getattr(models, backends)[parts[4]][parts[3]]
        return _tagged(backend.tagger.get_tag_dict_for_resource(":".join(parts)), "aws")

    return find


def _none(_: list[str]) -> Context:
    return {}


_EVENTS: Final = _by_arn("moto.events.models", "events_backends")
_STATES: Final = _by_arn("moto.stepfunctions.parser.models", "stepfunctions_parser_backends")
UNTAGGED: Final = (
    "autoscaling:launchConfiguration",
    "cloudformation:changeSet",
    "events:api-destination",
    "events:archive",
    "events:connection",
    "events:replay",
    "execute-api",
    "iam:group",
    "kms:alias",
    "lambda:layer",
    "scheduler:schedule",
    "states:execution",
    "states:express",
    "states:mapRun",
    "sts",
)
"""Resources that AWS takes no tags for."""
FINDERS: Final[Mapping[str, Callable[[list[str]], Context]]] = {
    **dict.fromkeys(UNTAGGED, _none),
    "autoscaling:autoScalingGroup": _group,
    "cloudformation:stack": _stack,
    "dynamodb:table": _table,
    "ec2": _ec2,
    "elasticloadbalancing:listener": _balancing,
    "elasticloadbalancing:listener-rule": _balancing,
    "elasticloadbalancing:loadbalancer": _load_balancer,
    "elasticloadbalancing:targetgroup": _balancing,
    "events:event-bus": _EVENTS,
    "events:rule": _EVENTS,
    "iam:instance-profile": _profile,
    "iam:oidc-provider": _provider,
    "iam:policy": _managed_policy,
    "iam:role": _role,
    "iam:user": _user,
    "kms:key": _key,
    "lambda:event-source-mapping": _mapping,
    "lambda:function": _function,
    "logs:destination": _by_arn("moto.logs.models", "logs_backends"),
    "logs:log-group": _log_group,
    "s3": _object,
    "scheduler:schedule-group": _by_arn("moto.scheduler.models", "scheduler_backends"),
    "secretsmanager:secret": _secret,
    "sns": _topic,
    "sqs": _queue,
    "states:activity": _STATES,
    "states:stateMachine": _STATES,
}
"""What finds the keys of a kind of resource, by service where all its resources are of one kind or found alike.

Of other kinds the tags are unknown: a statement that compares them lets nothing through.
"""

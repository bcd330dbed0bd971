"""The resources of services that name them in their requests: tables from parameter to ARN."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from strictmoto.iam.authorizations.place import Place
from strictmoto.requests.function_names import Function, function_named_by
from strictmoto.requests.queue_urls import queue_named_by
from strictmoto.requests.texts import texts_in

Finder = Callable[[str, Mapping[str, Any], Place], list[str]]

# From the parameter to the resource in the ARN, by service; the first one that a call has counts,
# and a list of names is as good as one.
_TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "autoscaling": {
        "AutoScalingGroupName": "autoScalingGroup:*:autoScalingGroupName/{}",
        "LaunchConfigurationName": "launchConfiguration:*:launchConfigurationName/{}",
    },
    "cloudformation": {"StackName": "stack/{}/*", "StackSetName": "stackset/{}:*"},
    "dynamodb": {"TableName": "table/{}"},
    "iam": {
        "InstanceProfileName": "instance-profile/{}",
        "RoleName": "role/{}",
        "UserName": "user/{}",
        "GroupName": "group/{}",
        "PolicyArn": "policy/{}",
        "PolicyName": "policy/{}",
    },
    "monitoring": {
        "AlarmName": "alarm:{}",
        "AlarmNames": "alarm:{}",
        "DashboardName": "dashboard/{}",
        "DashboardNames": "dashboard/{}",
        "ResourceARN": "{}",
    },
    "secretsmanager": {"SecretId": "secret:{}-??????", "Name": "secret:{}-??????"},
    "sns": {"TopicArn": "{}", "TargetArn": "{}", "Name": "{}"},
    "states": {
        "executionArn": "{}",
        "stateMachineArn": "{}",
        "mapRunArn": "{}",
        "activityArn": "{}",
        "resourceArn": "{}",
        "name": "stateMachine:{}",
    },
}
_PUBLISHED: Final = "/aws/service/"
_WITHOUT_REGION: Final = frozenset({"iam"})
# The names that a table would take for resources are none in these.
_WITHOUT_RESOURCES: Final = {
    "autoscaling": re.compile(r"Describe\w*"),
    "elasticloadbalancing": re.compile(r"Describe\w*"),
    "sns": re.compile(r"ListTopics|Unsubscribe|GetSubscriptionAttributes|SetSubscriptionAttributes"),
    "states": re.compile(r"ListStateMachines|SendTask\w+|ValidateStateMachineDefinition"),
    "lambda": re.compile(r"ListFunctions|CreateEventSourceMapping|ListEventSourceMappings|GetAccountSettings"),
    "ram": re.compile(r"CreateResourceShare|Get\w+|List\w+"),
}


def resources_of(service: str, action: str, requested: Mapping[str, Any], place: Place) -> tuple[str, ...]:
    """Return the ARNs that IAM is asked about; `*` where an action, or this call of it, names none."""
    nothing = _WITHOUT_RESOURCES.get(service)
    if nothing is not None and nothing.fullmatch(action):
        return ("*",)
    finder = _FINDERS.get(service)
    found = finder(action, requested, place) if finder else []
    found = found or _by_table(service, requested, place) or _arns_in(service, requested)
    return tuple(dict.fromkeys(found)) or ("*",)


def _by_table(service: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    for name, resource in _TABLES.get(service, {}).items():
        if given := requested.get(name):
            names = given if isinstance(given, list) else [given]
            arn_service = "cloudwatch" if service == "monitoring" else service
            return [_arn(place, arn_service, str(one), resource) for one in names]
    return []


def _arn(place: Place, service: str, name: str, resource: str) -> str:
    whole = name if name.startswith("arn:") else resource.format(name)
    # Source: Service Authorization Reference, "Resource types defined by" each service.
    regional = service not in _WITHOUT_REGION and not whole.startswith("dashboard/")
    return place.arn(service, whole, region=regional)


def _arns_in(service: str, value: Any) -> list[str]:
    """Return the ARNs of this service, wherever in a request they stand."""
    return [text for text in texts_in(value) if re.match(rf"arn:[^:]+:{re.escape(service)}:", text)]


def _dynamodb(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    tables = list(requested.get("RequestItems") or ())
    if tables:
        return [_arn(place, "dynamodb", table, "table/{}") for table in tables]
    table, index = requested.get("TableName"), requested.get("IndexName")
    if table and index and action in ("Query", "Scan"):
        # IAM is asked about the index, not about its table.
        return [f"{_arn(place, 'dynamodb', table, 'table/{}')}/index/{index}"]
    return []


def _events(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    given = str(requested.get("EventBusName") or "default")
    bus = given.rpartition("/")[2]
    if action == "PutEvents":
        buses = [str(entry.get("EventBusName") or "default") for entry in requested.get("Entries") or ()]
        return [_arn(place, "events", bus, "event-bus/{}") for bus in buses]
    if "EventBus" in action:
        return [_arn(place, "events", str(requested.get("Name") or "default"), "event-bus/{}")]
    rule = requested.get("Rule") or (requested.get("Name") if action.endswith("Rule") else None)
    if rule is None:
        return []
    # A rule belongs to whom its bus belongs to.
    if given.startswith("arn:") and given.count(":") >= 5:
        place = Place(*given.split(":")[3:5])
    return [place.arn("events", f"rule/{rule}" if bus == "default" else f"rule/{bus}/{rule}")]


def _lambda(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if uuid := requested.get("UUID"):
        return [place.arn("lambda", f"event-source-mapping:{uuid}")]
    if layer := requested.get("LayerName"):
        return [_arn(place, "lambda", layer, "layer:{}")]
    name = requested.get("FunctionName")
    if name is None:
        return []
    function = function_named_by(str(name)) or Function(str(name))
    place = Place(function.region or place.region, function.account or place.account)
    arn = place.arn("lambda", f"function:{function.name}")
    qualifier = function.qualifier or requested.get("Qualifier")
    return [f"{arn}:{qualifier}" if qualifier else arn]


def _guardduty(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    """Return what an action is about: to make a destination, and to list them, is not about the detector.

    Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon GuardDuty".
    """
    detector = f"detector/{requested.get('DetectorId')}"
    if destination := requested.get("DestinationId"):
        return [place.arn("guardduty", f"{detector}/publishingDestination/{destination}")]
    if action.endswith("Filter") and (name := requested.get("FilterName") or requested.get("Name")):
        return [place.arn("guardduty", f"{detector}/filter/{name}")]
    return [place.arn("guardduty", detector)] if action in ("DeleteDetector", "GetDetector", "UpdateDetector") else []


_IAM_MADE: Final = {
    "CreateGroup": "group{Path}{GroupName}",
    "CreateInstanceProfile": "instance-profile{Path}{InstanceProfileName}",
    "CreateOpenIDConnectProvider": "oidc-provider/{Url}",
    "CreatePolicy": "policy{Path}{PolicyName}",
    "CreateRole": "role{Path}{RoleName}",
    "CreateSAMLProvider": "saml-provider/{Name}",
    "CreateServiceLinkedRole": "role/aws-service-role/{AWSServiceName}/*",
    "CreateUser": "user{Path}{UserName}",
    "CreateVirtualMFADevice": "mfa{Path}{VirtualMFADeviceName}",
    "UploadServerCertificate": "server-certificate{Path}{ServerCertificateName}",
}
_IAM_RENAMED: Final = {"UpdateGroup": "Group", "UpdateUser": "User"}


def _iam(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    """Return ARNs with their paths: of what is made, and of what gets another name or path both."""
    given = {name: str(value) for name, value in requested.items() if isinstance(value, str)}
    if resource := _IAM_MADE.get(action):
        given = {"Path": "/", **given, "Url": given.get("Url", "").removeprefix("https://")}
        try:
            return [place.arn("iam", resource.format(**given), region=False)]
        except KeyError:
            return []
    if "InstanceProfile" in action and (profile := given.get("InstanceProfileName")):
        return [_arn(place, "iam", profile, "instance-profile/{}")]
    if "Group" in action and "ForUser" not in action and (group := given.get("GroupName")):
        return [_arn(place, "iam", group, "group/{}"), *_renamed(action, given, place, group)]
    if action in _IAM_RENAMED and (user := given.get("UserName")):
        return [_arn(place, "iam", user, "user/{}"), *_renamed(action, given, place, user)]
    return []


def _renamed(action: str, given: Mapping[str, str], place: Place, former: str) -> list[str]:
    kind = _IAM_RENAMED.get(action, "")
    name, path = given.get(f"New{kind}Name"), given.get("NewPath")
    if not kind or (name is None and path is None):
        return []
    before, _, plain = (former.split(":", 5)[5] if former.count(":") >= 5 else f"/{former}").rpartition("/")
    where = path if path is not None else f"/{before.partition('/')[2]}/".replace("//", "/")
    return [place.arn("iam", f"{kind.lower()}{where}{name or plain}", region=False)]


def _logs(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if action == "DescribeLogGroups":
        return []
    groups = [requested[name] for name in ("logGroupName", "logGroupIdentifier") if requested.get(name)]
    groups += [one for name in ("logGroupNames", "logGroupIdentifiers") for one in requested.get(name) or ()]
    # IAM is asked about a group as about the streams in it, which is why policies end in `:*`.
    arns = [group if group.startswith("arn:") else place.arn("logs", f"log-group:{group}") for group in groups]
    return [f"{arn.removesuffix(':*')}:log-stream:{requested.get('logStreamName', '')}" for arn in arns]


def _autoscaling(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    """Return the groups that tags name; what a group is made of is no resource of its action."""
    groups = [requested["AutoScalingGroupName"]] if requested.get("AutoScalingGroupName") else []
    groups += requested.get("AutoScalingGroupNames") or ()
    if action in ("CreateOrUpdateTags", "DeleteTags"):
        groups += [tag["ResourceId"] for tag in requested.get("Tags") or () if tag.get("ResourceId")]
    return [_arn(place, "autoscaling", str(one), _TABLES["autoscaling"]["AutoScalingGroupName"]) for one in groups]


def _kms(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    found = []
    if alias := requested.get("AliasName"):
        found.append(place.arn("kms", str(alias)))
    for name in ("KeyId", "TargetKeyId", "DestinationKeyId"):
        if key := requested.get(name):
            found.append(place.arn("kms", str(key) if str(key).startswith(("arn:", "alias/")) else f"key/{key}"))
    return found


def _s3(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    bucket = requested.get("Bucket")
    if bucket is None or action == "ListBuckets":
        return []
    keys = [requested["Key"]] if requested.get("Key") else []
    keys += [item["Key"] for item in (requested.get("Delete") or {}).get("Objects") or ()]
    names = [f"{bucket}/{key}" for key in keys] or [str(bucket)]
    return [place.arn("s3", name, region=False, account=False) for name in names]


def _scheduler(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    name = requested.get("Name")
    if name is None:
        return []
    if action.endswith("ScheduleGroup"):
        return [place.arn("scheduler", f"schedule-group/{name}")]
    return [place.arn("scheduler", f"schedule/{requested.get('GroupName') or 'default'}/{name}")]


def _sqs(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if name := requested.get("QueueName"):
        return [Place(place.region, requested.get("QueueOwnerAWSAccountId") or place.account).arn("sqs", str(name))]
    # What is no address of a queue SQS refuses.
    if (url := requested.get("QueueUrl")) and (found := queue_named_by(str(url))):
        return [Place(place.region, found.account or place.account).arn("sqs", found.name)]
    return []


def _ssm(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if action == "SendCommand":
        found = [place.arn("ec2", f"instance/{one}") for one in requested.get("InstanceIds") or ()]
        document = str(requested.get("DocumentName", ""))
        return [*found, place.arn("ssm", f"document/{document}", account=not document.startswith("AWS-"))]
    if kind := _TAGGED.get(str(requested.get("ResourceType"))):
        return [place.arn("ssm", f"{kind}/{str(requested.get('ResourceId')).lstrip('/')}")]
    if "Document" in action and requested.get("Name"):
        return [place.arn("ssm", f"document/{requested['Name']}", account=not requested["Name"].startswith("AWS-"))]
    if "Parameter" not in action or action == "DescribeParameters":
        return []
    names = requested.get("Names") or [requested.get("Name") or requested.get("Path") or ""]
    return [_parameter(str(name), place) for name in names if name]


def _parameter(name: str, place: Place) -> str:
    """Return the ARN of a parameter, without the version or the label; what AWS publishes belongs to no account."""
    if name.startswith("arn:"):
        return ":".join(name.split(":")[:6])
    plain = name.partition(":")[0]
    return place.arn("ssm", f"parameter/{plain.lstrip('/')}", account=not plain.startswith(_PUBLISHED))


_TAGGED: Final = {
    "Document": "document",
    "MaintenanceWindow": "maintenancewindow",
    "ManagedInstance": "managed-instance",
    "Parameter": "parameter",
    "PatchBaseline": "patchbaseline",
}
"""What the tags of Systems Manager may be of, as ARNs name it."""


def _sts(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if action == "GetFederationToken":
        return [place.arn("sts", f"federated-user/{requested.get('Name')}", region=False)]
    return [str(requested["RoleArn"])] if requested.get("RoleArn") else []


def _elbv2(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    if action == "CreateLoadBalancer":
        kind = {"network": "net", "gateway": "gwy"}.get(str(requested.get("Type")), "app")
        return [place.arn("elasticloadbalancing", f"loadbalancer/{kind}/{requested.get('Name')}/*")]
    if action == "CreateTargetGroup":
        return [place.arn("elasticloadbalancing", f"targetgroup/{requested.get('Name')}/*")]
    for name in ("RuleArn", "ListenerArn", "LoadBalancerArn", "TargetGroupArn"):
        if requested.get(name):
            return [str(requested[name])]
    # A classic one, which has no ARN of its own.
    if classic := requested.get("LoadBalancerName"):
        return [place.arn("elasticloadbalancing", f"loadbalancer/{classic}")]
    return []


def _states(action: str, requested: Mapping[str, Any], place: Place) -> list[str]:
    # What is made has only a name.
    return [place.arn("states", f"activity:{requested.get('name')}")] if action == "CreateActivity" else []


_FINDERS: Final[Mapping[str, Finder]] = {
    "autoscaling": _autoscaling,
    "dynamodb": _dynamodb,
    "elasticloadbalancing": _elbv2,
    "events": _events,
    "guardduty": _guardduty,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "scheduler": _scheduler,
    "sqs": _sqs,
    "ssm": _ssm,
    "states": _states,
    "sts": _sts,
}

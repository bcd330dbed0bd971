"""A response in the rehearsal account, made by a few calls where Terraform would take a minute.

The functions' own zip behind an HTTP API with the routes of the stack, before the workflow of the
stack or one that only waits. What is left out: permissions, keys, alarms, findings.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.account import ACCOUNT_ID, REGION, Account
from tapstack.domain.alert_mappings import AlertSource, dump_sources
from tapstack.domain.function_variables import ALERT_QUEUE, LANDING_BUCKET, TELEMETRY_BUCKET, TELEMETRY_OCSF
from tapstack.domain.incident_events import DETAIL_TYPE
from tapstack.domain.operations import SEND_ALERT, SEND_WEBHOOK, gateway_routes, right_of
from tapstack.domain.own_names import EVENT_SOURCE
from tapstack.domain.policy import dump
from tapstack.domain.policy_rules import Rule
from tapstack.domain.telemetry import event_queue_name
from tapstack.domain.webhook_secrets import webhook_secret_name
from tapstack.response import workflow
from tapstack.response.alert_intake import AT_ONCE, BATCH
from tapstack.response.authorization import Authorization
from tapstack.response.package import build_package
from tests.strictmoto.trusting import TRUST

DEPLOYMENT: Final = "tap"
SITE: Final = "frankfurt"
NAME: Final = f"{DEPLOYMENT}-{SITE}-response"
IMAGE: Final = "ami-12c6146b"
WAITS: Final = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 99999, "End": True}}}
"""A workflow for tests of the API alone."""
FUNCTIONS: Final = ("api", *workflow.FUNCTIONS)
_SECONDS: Final = 120
"""That functions may run, but for those behind the API."""
_ANYTHING: Final = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


@dataclass(frozen=True)
class Deployed:
    """What was made.

    Attributes:
        account: where.
        endpoint: address of the API.
        api_id: its id.
        state_machine_arn: of the workflow.
        variables: the environment of the functions.
        vpc: where sources are.
        subnet: in it, of 4,091 addresses.
    """

    account: Account
    endpoint: str
    api_id: str
    state_machine_arn: str
    variables: Mapping[str, str]
    vpc: str
    subnet: str

    @functools.cached_property
    def ec2(self) -> Any:
        return self.account.client("ec2")

    def interfaces(self, count: int) -> list[str]:
        """Network interfaces of new instances, each of which can be mirrored."""
        made = self.ec2.run_instances(
            ImageId=IMAGE, MinCount=count, MaxCount=count, InstanceType="m5.large", SubnetId=self.subnet
        )
        return [instance["NetworkInterfaces"][0]["NetworkInterfaceId"] for instance in made["Instances"]]


def deploy(
    account: Account,
    *,
    real_workflow: bool = False,
    max_minutes: int = 1440,
    throttling: tuple[float, int] | None = None,
    containment: Mapping[str, Any] | None = None,
    authorization: Authorization | None = None,
    alerts: Mapping[str, AlertSource] | None = None,
    policy: Sequence[Rule] = (),
    landing: str | None = None,
) -> Deployed:
    """Create a response with an existing appliance behind a load balancer.

    Args:
        account: where.
        real_workflow: incidents are captured; without it their workflow only waits.
        max_minutes: that an incident may capture.
        throttling: requests a second, and at once, that the API takes; any number by default.
        containment: how instances are contained, but for the groups; they are not, by default.
        authorization: who may call the API; callers sign with AWS credentials by default.
        alerts: sources of alerts, whose secrets have no value yet; none come in by default.
        policy: what is done about them.
        landing: a bucket that is made, which events of incidents and unmatched alerts land in; by default none do.
    """
    callers = authorization or Authorization.iam()
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/20")["Subnet"]["SubnetId"]
    create_table(account.client("dynamodb"), f"{NAME}-incidents")
    machine = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:{NAME}-incidents"
    variables = {
        "TAPSTACK_DEPLOYMENT": DEPLOYMENT,
        "TAPSTACK_SITE": SITE,
        "TAPSTACK_TABLE": f"{NAME}-incidents",
        "TAPSTACK_STATE_MACHINE_ARN": machine,
        "TAPSTACK_TOPIC_ARN": account.client("sns").create_topic(Name=f"{NAME}-notices")["TopicArn"],
        "TAPSTACK_EVENT_BUS": "default",
        "TAPSTACK_SETTINGS": json.dumps(
            {
                "account_id": ACCOUNT_ID,
                "region": REGION,
                "vpc_id": vpc,
                "capture": {"minutes": 60, "max_minutes": max_minutes},
                "appliance": {"existing": _existing(account, subnet)},
                "retention_days": 365,
                **({"open_scopes": list(scopes)} if (scopes := callers.scopes_for("open")) else {}),
                **({"containment": {**containment, "groups": _groups(ec2, vpc)}} if containment else {}),
            }
        ),
        "POWERTOOLS_SERVICE_NAME": "tapstack",
        "POWERTOOLS_METRICS_NAMESPACE": "Tapstack",
    }
    role = _role(account, NAME)
    names = (*FUNCTIONS, *(workflow.CONTAINMENT_FUNCTIONS if containment else ()))
    package = build_package(dump_sources(alerts) if alerts else None).content
    functions = {name: _function(account, name, role, variables, package) for name in names}
    account.client("stepfunctions").create_state_machine(
        name=f"{NAME}-incidents",
        definition=json.dumps(
            workflow.definition(functions, wait_for_packets=bool(containment and containment.get("wait_for_packets")))
            if real_workflow
            else WAITS
        ),
        roleArn=role,
    )
    routes = gateway_routes(contains=containment is not None)
    api_id, endpoint, authorizer = _api(account, functions["api"], routes, throttling, callers)
    if alerts:
        kept = {} if landing is None else {LANDING_BUCKET: landing}
        its = {ALERT_QUEUE: _alert_queue(account), "TAPSTACK_POLICY": dump(policy), **kept}
        for name in ("alerts", "findings"):
            functions[name] = _function(account, name, _role(account, f"{NAME}-{name}"), {**variables, **its}, package)
        asked = _asked(callers, authorizer, SEND_ALERT.route)
        _take_alerts(account, api_id, functions, asked, [name for name, source in alerts.items() if source.webhook])
    if landing is not None:
        _land(account, landing, variables, package)
    return Deployed(account, endpoint, api_id, machine, variables, vpc, subnet)


def create_table(dynamodb: Any, name: str, **more: Any) -> None:
    """Make the table of incidents; `more` are parameters of CreateTable."""
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": "S"} for attribute in ("pk", "sk", "listing", "opened_at")
        ],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-state",
                "KeySchema": [
                    {"AttributeName": "listing", "KeyType": "HASH"},
                    {"AttributeName": "opened_at", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        **more,
    )


def _existing(account: Account, subnet: str) -> dict[str, Any]:
    made = account.client("elbv2").create_load_balancer(Name="capture", Subnets=[subnet], Type="network")
    ec2 = account.client("ec2")
    target = ec2.create_traffic_mirror_target(NetworkLoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"])
    mirror_filter = ec2.create_traffic_mirror_filter()
    return {
        "target_id": target["TrafficMirrorTarget"]["TrafficMirrorTargetId"],
        "filter_id": mirror_filter["TrafficMirrorFilter"]["TrafficMirrorFilterId"],
        "portal_url": "https://10.0.0.9",
    }


def _role(account: Account, name: str) -> str:
    iam = account.client("iam")
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"])
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(_ANYTHING))
    return arn


def _alert_queue(account: Account) -> str:
    hidden = str(_SECONDS + 30)
    made = account.client("sqs").create_queue(QueueName=f"{NAME}-alerts", Attributes={"VisibilityTimeout": hidden})
    return str(made["QueueUrl"])


def _land(account: Account, bucket: str, variables: Mapping[str, str], package: bytes) -> None:
    """Make a bucket, and have the events of incidents written into it."""
    s3, sqs, events = account.client("s3"), account.client("sqs"), account.client("events")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    name = event_queue_name(DEPLOYMENT, SITE)
    arn, rule = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}", f"{NAME}-telemetry"
    allowed = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": {**allowed, "Resource": arn}})
    sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": str(_SECONDS + 30), "Policy": policy})
    its = {TELEMETRY_BUCKET: bucket, TELEMETRY_OCSF: "false"}
    function = _function(account, "telemetry", _role(account, f"{NAME}-telemetry"), {**variables, **its}, package)
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [EVENT_SOURCE], "detail-type": [DETAIL_TYPE]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "telemetry", "Arn": arn}])
    account.client("lambda").create_event_source_mapping(
        EventSourceArn=arn, FunctionName=function, FunctionResponseTypes=["ReportBatchItemFailures"]
    )


def _take_alerts(
    account: Account,
    api_id: str,
    functions: Mapping[str, str],
    asked_of_callers: dict[str, Any],
    webhooks: Sequence[str],
) -> None:
    """Add the routes for alerts, the secrets of those with webhooks, and the way from the queue."""
    gateway = account.client("apigatewayv2")
    integration = _integration(gateway, api_id, functions["alerts"])
    routes = {SEND_ALERT.route: asked_of_callers}
    routes |= {SEND_WEBHOOK.route: {"AuthorizationType": "NONE"}} if webhooks else {}
    for route, asked in routes.items():
        gateway.create_route(ApiId=api_id, RouteKey=route, Target=f"integrations/{integration}", **asked)
    for name in webhooks:
        account.client("secretsmanager").create_secret(Name=webhook_secret_name(DEPLOYMENT, SITE, name))
    functions_client = account.client("lambda")
    functions_client.add_permission(
        FunctionName=functions["alerts"],
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{api_id}/*/*",
    )
    functions_client.create_event_source_mapping(
        EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{NAME}-alerts",
        FunctionName=functions["findings"],
        FunctionResponseTypes=["ReportBatchItemFailures"],
        BatchSize=BATCH,
        ScalingConfig={"MaximumConcurrency": AT_ONCE},
    )


def _function(account: Account, name: str, role: str, variables: Mapping[str, str], package: bytes) -> str:
    made = account.client("lambda").create_function(
        FunctionName=f"{NAME}-{name}",
        Runtime="python3.13",
        Handler=f"tapstack.responder.handlers.{name}.handler",
        Role=role,
        Code={"ZipFile": package},
        Timeout=25 if name in ("api", "alerts") else _SECONDS,
        MemorySize=512,
        Environment={"Variables": dict(variables)},
    )
    return str(made["FunctionArn"])


def _groups(ec2: Any, vpc: str) -> dict[str, dict[str, str]]:
    made = ec2.create_security_group(GroupName=f"{NAME}-quarantine", Description="quarantine", VpcId=vpc)["GroupId"]
    [group] = ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=made, IpPermissions=group["IpPermissionsEgress"])
    open_one = ec2.create_security_group(GroupName=f"{NAME}-untrack", Description="untrack", VpcId=vpc)["GroupId"]
    return {vpc: {"quarantine": made, "untrack": open_one}}


def _api(
    account: Account,
    function: str,
    routes: Sequence[str],
    throttling: tuple[float, int] | None,
    callers: Authorization,
) -> tuple[str, str, str]:
    gateway = account.client("apigatewayv2")
    made = gateway.create_api(Name=f"{NAME}-api", ProtocolType="HTTP")
    api_id = made["ApiId"]
    integration = _integration(gateway, api_id, function)
    authorizer = ""
    if callers.issuer is not None:
        authorizer = gateway.create_authorizer(
            ApiId=api_id,
            Name="tokens",
            AuthorizerType="JWT",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": callers.issuer, "Audience": list(callers.audience)},
        )["AuthorizerId"]
    for route in routes:
        asked = _asked(callers, authorizer, route)
        gateway.create_route(ApiId=api_id, RouteKey=route, Target=f"integrations/{integration}", **asked)
    limits = {"ThrottlingRateLimit": throttling[0], "ThrottlingBurstLimit": throttling[1]} if throttling else {}
    gateway.create_stage(ApiId=api_id, StageName="$default", AutoDeploy=True, DefaultRouteSettings=limits)
    account.client("lambda").add_permission(
        FunctionName=function,
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{api_id}/*/*",
    )
    return api_id, str(made["ApiEndpoint"]), authorizer


def _integration(gateway: Any, api_id: str, function: str) -> str:
    made = gateway.create_integration(
        ApiId=api_id,
        IntegrationType="AWS_PROXY",
        IntegrationMethod="POST",
        IntegrationUri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations",
        PayloadFormatVersion="2.0",
        TimeoutInMillis=29_000,
    )
    return str(made["IntegrationId"])


def _asked(callers: Authorization, authorizer: str, route: str) -> dict[str, Any]:
    """Return what a route asks of its caller."""
    if callers.issuer is None:
        return {"AuthorizationType": "AWS_IAM"}
    scopes = list(callers.scopes_for(right_of(route)))
    return {"AuthorizationType": "JWT", "AuthorizerId": authorizer, "AuthorizationScopes": scopes}

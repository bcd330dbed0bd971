"""Types of templates: each is really made, changed in place where AWS says so, and deleted with its stack."""

import base64
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends

from strictmoto import account as accounts
from strictmoto.account import ACCOUNT_ID, REGION
from strictmoto.cloudformation import api_types
from tests.strictmoto.cloudformation.conftest import Account

Resources = dict[str, Any]
ROLE = "arn:aws:iam::123456789012:role/any"
QUEUE = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "queue"}}
TOPIC = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "topic"}}
API = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Name": "api", "ProtocolType": "HTTP"}}
CODE = {"ZipFile": "def handler(event, context): pass"}


@dataclass(frozen=True)
class Case:
    """A type, what a template says of it with one word and with another, and what the service shows of it then."""

    resources: Callable[[str], Resources]
    read: Callable[[Account], Any]
    shown: Callable[[str], Any] = lambda word: word
    gone: Any = None


def resource(kind: str, **properties: Any) -> Resources:
    return {"Type": kind, "Properties": properties}


def ref(name: str, attribute: str = "") -> Any:
    return {"Fn::GetAtt": [name, attribute]} if attribute else {"Ref": name}


def statement(word: str, action: str, target: Any = "*") -> Resources:
    allowed = {"Sid": word, "Effect": "Allow", "Principal": "*", "Action": action, "Resource": target}
    return {"Version": "2012-10-17", "Statement": [allowed]}


def sid(policy: str) -> str:
    return str(json.loads(policy)["Statement"][0]["Sid"])


def absent(read: Callable[[Account], Any]) -> Callable[[Account], Any]:
    """None where there is nothing to read."""

    def reading(account: Account) -> Any:
        try:
            return read(account)
        except (ClientError, IndexError, KeyError, ValueError):
            return None

    return reading


def machine(word: str) -> Resources:
    definition = {"Comment": "${Word}", "StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    properties = {"StateMachineName": "machine", "RoleArn": ROLE, "DefinitionSubstitutions": {"Word": word}}
    tags = [{"Key": "word", "Value": word}]
    return {"M": resource("AWS::StepFunctions::StateMachine", **properties, Definition=definition, Tags=tags)}


def read_machine(account: Account) -> Any:
    states = account.client("stepfunctions")
    [found] = [one for one in states.list_state_machines()["stateMachines"] if one["name"] == "machine"]
    arn = found["stateMachineArn"]
    tags = states.list_tags_for_resource(resourceArn=arn)["tags"]
    definition = states.describe_state_machine(stateMachineArn=arn)["definition"]
    return json.loads(definition)["Comment"], tags[0]["value"]


def http_api(word: str) -> Resources:
    api = ref("Api")
    return {
        "Api": API,
        "Authorizer": resource(
            "AWS::ApiGatewayV2::Authorizer",
            ApiId=api,
            AuthorizerType="JWT",
            Name=word,
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Audience": ["me"], "Issuer": "https://example.com"},
        ),
        "Integration": resource(
            "AWS::ApiGatewayV2::Integration",
            ApiId=api,
            IntegrationType="HTTP_PROXY",
            IntegrationMethod="GET",
            IntegrationUri=f"https://example.com/{word}",
            PayloadFormatVersion="1.0",
        ),
        "Route": resource(
            "AWS::ApiGatewayV2::Route",
            ApiId=api,
            RouteKey=f"GET /{word}",
            Target={"Fn::Sub": "integrations/${Integration}"},
        ),
        "Stage": resource("AWS::ApiGatewayV2::Stage", ApiId=api, StageName="prod", AutoDeploy=True, Description=word),
    }


def read_api(account: Account) -> Any:
    gateway = account.client("apigatewayv2")
    [api] = gateway.get_apis()["Items"]
    found = {"ApiId": api["ApiId"]}
    authorizer = physical_ids(account)["AWS::ApiGatewayV2::Authorizer"]
    return (
        gateway.get_routes(**found)["Items"][0]["RouteKey"],
        gateway.get_integrations(**found)["Items"][0]["IntegrationUri"],
        gateway.get_stages(**found)["Items"][0]["Description"],
        gateway.get_authorizer(**found, AuthorizerId=authorizer)["Name"],
    )


def queue_policy(account: Account) -> Any:
    sqs = account.client("sqs")
    url = sqs.get_queue_url(QueueName="queue")["QueueUrl"]
    return sid(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"])


def topic_policy(account: Account) -> Any:
    arn = account.client("sns").list_topics()["Topics"][0]["TopicArn"]
    return sid(account.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]["Policy"])


def filter_policy(account: Account) -> Any:
    sns = account.client("sns")
    arn = sns.list_subscriptions()["Subscriptions"][0]["SubscriptionArn"]
    return json.loads(sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["FilterPolicy"])["word"][0]


def function(word: str) -> Resources:
    return resource(
        "AWS::Lambda::Function", FunctionName="f", Code=CODE, Handler="index.handler", Role=ROLE, Runtime="python3.13"
    )


def permission(account: Account) -> Any:
    policy = json.loads(account.client("lambda").get_policy(FunctionName="f")["Policy"])
    return [one["Condition"]["ArnLike"]["AWS:SourceArn"].rpartition("/")[2] for one in policy["Statement"]]


def schedule(word: str) -> Resources:
    target = {"Arn": "arn:aws:sqs:eu-central-1:123456789012:queue", "RoleArn": ROLE}
    window = {"Mode": "OFF"}
    return {
        "S": resource(
            "AWS::Scheduler::Schedule",
            Name="s",
            Description=word,
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow=window,
            Target=target,
        )
    }


def table(word: str) -> Resources:
    return {
        "T": resource(
            "AWS::DynamoDB::Table",
            TableName="table",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            TimeToLiveSpecification={"AttributeName": word, "Enabled": "true"},
        )
    }


def key(account: Account) -> Any:
    kms = account.client("kms")
    for one in kms.list_keys()["Keys"]:
        found = kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"]
        if found["KeyState"] == "Enabled":
            return found["Description"]
    return None


def network(*names: str) -> Resources:
    vpc = resource("AWS::EC2::VPC", CidrBlock="10.5.0.0/16")
    subnet = resource("AWS::EC2::Subnet", VpcId=ref("Vpc"), CidrBlock="10.5.1.0/24")
    return {name: part for name, part in (("Vpc", vpc), ("Subnet", subnet)) if name in names}


def routes(word: str) -> Resources:
    cidr = {"one": "10.6.0.0/16", "two": "10.7.0.0/16"}[word]
    table = ref("Table")
    return {
        **network("Vpc", "Subnet"),
        "Gateway": resource("AWS::EC2::InternetGateway"),
        "Attached": resource("AWS::EC2::VPCGatewayAttachment", VpcId=ref("Vpc"), InternetGatewayId=ref("Gateway")),
        "Table": resource("AWS::EC2::RouteTable", VpcId=ref("Vpc")),
        "Route": {
            **resource("AWS::EC2::Route", RouteTableId=table, DestinationCidrBlock=cidr, GatewayId=ref("Gateway")),
            "DependsOn": "Attached",
        },
        "There": resource("AWS::EC2::SubnetRouteTableAssociation", SubnetId=ref("Subnet"), RouteTableId=table),
    }


def read_routes(account: Account) -> Any:
    tables = account.ec2.describe_route_tables(Filters=[{"Name": "association.main", "Values": ["false"]}])
    found = [
        route["DestinationCidrBlock"]
        for one in tables["RouteTables"]
        for route in one["Routes"]
        if route.get("GatewayId", "").startswith("igw")
    ]
    [default] = account.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    gateways = [
        one
        for one in account.ec2.describe_internet_gateways()["InternetGateways"]
        if default["VpcId"] not in [attachment["VpcId"] for attachment in one["Attachments"]]
    ]
    return (found, len(gateways)) if gateways else None


def acl(word: str) -> Resources:
    entry = {"NetworkAclId": ref("Acl"), "RuleNumber": 10, "Protocol": -1, "CidrBlock": "0.0.0.0/0"}
    return {
        **network("Vpc", "Subnet"),
        "Acl": resource("AWS::EC2::NetworkAcl", VpcId=ref("Vpc")),
        "Entry": resource("AWS::EC2::NetworkAclEntry", **entry, RuleAction={"one": "allow", "two": "deny"}[word]),
        "At": resource("AWS::EC2::SubnetNetworkAclAssociation", SubnetId=ref("Subnet"), NetworkAclId=ref("Acl")),
    }


def read_acl(account: Account) -> Any:
    found = account.ec2.describe_network_acls(Filters=[{"Name": "default", "Values": ["false"]}])["NetworkAcls"]
    return [(e["RuleAction"], len(a["Associations"])) for a in found for e in a["Entries"] if e["RuleNumber"] == 10]


def groups(word: str) -> Resources:
    group = resource("AWS::EC2::SecurityGroup", GroupDescription="group", VpcId=ref("Vpc"))
    rule = {"GroupId": ref("Group"), "IpProtocol": "udp", "FromPort": "4789", "ToPort": 4789, "Description": word}
    return {
        **network("Vpc"),
        "Group": group,
        "In": resource("AWS::EC2::SecurityGroupIngress", **rule, CidrIp="10.0.0.0/8"),
        "Out": resource("AWS::EC2::SecurityGroupEgress", **rule, CidrIp="10.0.0.0/8"),
    }


def read_groups(account: Account) -> Any:
    found = account.ec2.describe_security_groups(Filters=[{"Name": "description", "Values": ["group"]}])
    group = found["SecurityGroups"][0]
    return [
        (rule["FromPort"], one["Description"])
        for way in ("IpPermissions", "IpPermissionsEgress")
        for rule in group[way]
        for one in rule["IpRanges"]
        if "FromPort" in rule
    ]


def interface(word: str) -> Resources:
    properties = {"SubnetId": ref("Subnet"), "Description": word, "SourceDestCheck": "false"}
    return {**network("Vpc", "Subnet"), "I": resource("AWS::EC2::NetworkInterface", **properties)}


def read_interface(account: Account) -> Any:
    found = account.ec2.describe_network_interfaces()["NetworkInterfaces"][0]
    return found["Description"], found["SourceDestCheck"]


def gateway_endpoint(word: str) -> Resources:
    subnets = [ref("Subnet")]
    balancer = {"Type": "gateway", "Name": "gwlb", "Subnets": subnets}
    return {
        **network("Vpc", "Subnet"),
        "Balancer": resource("AWS::ElasticLoadBalancingV2::LoadBalancer", **balancer),
        "Service": resource(
            "AWS::EC2::VPCEndpointService",
            AcceptanceRequired={"one": False, "two": True}[word],
            GatewayLoadBalancerArns=[ref("Balancer")],
        ),
        "Allowed": resource(
            "AWS::EC2::VPCEndpointServicePermissions",
            ServiceId=ref("Service"),
            AllowedPrincipals=[f"arn:aws:iam::123456789012:role/{word}"],
        ),
        "Endpoint": resource(
            "AWS::EC2::VPCEndpoint",
            VpcId=ref("Vpc"),
            VpcEndpointType="GatewayLoadBalancer",
            ServiceName={"Fn::Sub": "com.amazonaws.vpce.${AWS::Region}.${Service}"},
            SubnetIds=subnets,
        ),
    }


def read_gateway_endpoint(account: Account) -> Any:
    [service] = account.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    allowed = account.ec2.describe_vpc_endpoint_service_permissions(ServiceId=service["ServiceId"])["AllowedPrincipals"]
    endpoints = account.ec2.describe_vpc_endpoints()["VpcEndpoints"]
    kinds = [one["VpcEndpointType"] for one in endpoints if one["State"] != "deleted"]
    return service["AcceptanceRequired"], [one["Principal"].rpartition("/")[2] for one in allowed], kinds


def listed(account: Account) -> Any:
    return account.client("iam").get_group_policy(GroupName="g", PolicyName="p")["PolicyDocument"]["Statement"][0][
        "Sid"
    ]


def balanced(word: str) -> Resources:
    """A network load balancer in front of addresses."""
    target = {"one": "10.5.1.10", "two": "10.5.1.11"}[word]
    return {
        **network("Vpc", "Subnet"),
        "Balancer": resource(
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
            Type="network",
            Name="nlb",
            Scheme="internal",
            Subnets=[ref("Subnet")],
            LoadBalancerAttributes=[{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}],
        ),
        "Targets": resource(
            "AWS::ElasticLoadBalancingV2::TargetGroup",
            Name="targets",
            Protocol="UDP",
            Port="4789",
            VpcId=ref("Vpc"),
            TargetType="ip",
            HealthCheckPort={"one": "80", "two": "81"}[word],
            HealthCheckProtocol="TCP",
            Targets=[{"Id": target, "Port": 4789}],
        ),
        "Listener": resource(
            "AWS::ElasticLoadBalancingV2::Listener",
            LoadBalancerArn=ref("Balancer"),
            Port=4789,
            Protocol="UDP",
            DefaultActions=[{"Type": "forward", "TargetGroupArn": ref("Targets")}],
        ),
    }


def read_balanced(account: Account) -> Any:
    elb = account.client("elbv2")
    [group] = elb.describe_target_groups()["TargetGroups"]
    [balancer] = elb.describe_load_balancers()["LoadBalancers"]
    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    health = elb.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    ids = [one["Target"]["Id"] for one in health if one["TargetHealth"]["State"] != "draining"]
    return group["HealthCheckPort"], ids, balancer["Type"], len(listeners)


def policies_of(word: str) -> Resources:
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    allowed = {"Sid": word, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    return {
        "Role": resource(
            "AWS::IAM::Role", RoleName="r", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [trust]}
        ),
        "Policy": resource(
            "AWS::IAM::ManagedPolicy",
            ManagedPolicyName="p",
            PolicyDocument={"Version": "2012-10-17", "Statement": [allowed]},
            Roles=[ref("Role")],
        ),
        "Profile": resource("AWS::IAM::InstanceProfile", InstanceProfileName="i", Roles=[ref("Role")]),
    }


def read_policies(account: Account) -> Any:
    iam = account.client("iam")
    arn = iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"][0]["PolicyArn"]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    policy = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    [role] = iam.get_instance_profile(InstanceProfileName="i")["InstanceProfile"]["Roles"]
    return policy["Statement"][0]["Sid"], role["RoleName"]


def vpc(word: str) -> Resources:
    on = {"one": "false", "two": True}[word]
    parts = network("Vpc", "Subnet")
    parts["Vpc"]["Properties"]["EnableDnsHostnames"] = on
    parts["Subnet"]["Properties"]["MapPublicIpOnLaunch"] = on
    return parts


def read_vpc(account: Account) -> Any:
    filters = [{"Name": "cidr", "Values": ["10.5.0.0/16"]}]
    vpc_id = account.ec2.describe_vpcs(Filters=filters)["Vpcs"][0]["VpcId"]
    names = account.ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsHostnames")
    [subnet] = account.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}])["Subnets"]
    return names["EnableDnsHostnames"]["Value"], subnet["MapPublicIpOnLaunch"]


def alias(word: str) -> Resources:
    version = resource("AWS::Lambda::Version", FunctionName=ref("F"))
    named = resource(
        "AWS::Lambda::Alias",
        FunctionName=ref("F"),
        Name="live",
        Description=word,
        FunctionVersion=ref("Version", "Version"),
    )
    return {"F": function(word), "Version": version, "Alias": named}


def read_alias(account: Account) -> Any:
    found = account.client("lambda").get_alias(FunctionName="f", Name="live")
    return found["Description"], found["FunctionVersion"]


def rules(word: str) -> Resources:
    return {
        "Q": QUEUE,
        "Bus": resource("AWS::Events::EventBus", Name="bus"),
        "Rule": resource(
            "AWS::Events::Rule",
            Name="rule",
            EventBusName=ref("Bus"),
            Description=word,
            EventPattern={"source": [word]},
            Targets=[{"Id": word, "Arn": ref("Q", "Arn")}],
        ),
    }


def read_rules(account: Account) -> Any:
    events = account.client("events")
    rule = events.describe_rule(Name="rule", EventBusName="bus")
    targets = events.list_targets_by_rule(Rule="rule", EventBusName="bus")["Targets"]
    return rule["Description"], json.loads(rule["EventPattern"])["source"], [one["Id"] for one in targets]


def code(word: str) -> Resources:
    made = function(word)
    made["Properties"] |= {"Timeout": {"one": "5", "two": 6}[word], "Environment": {"Variables": {"WORD": word}}}
    return {"F": made}


def read_code(account: Account) -> Any:
    found = account.client("lambda").get_function_configuration(FunctionName="f")
    return found["Timeout"], found["Environment"]["Variables"]["WORD"]


CASES = {
    "AWS::ApiGatewayV2": Case(
        http_api, absent(read_api), lambda word: (f"GET /{word}", f"https://example.com/{word}", word, word)
    ),
    "AWS::DynamoDB::Table": Case(
        table,
        absent(
            lambda account: account.client("dynamodb").describe_time_to_live(TableName="table")[
                "TimeToLiveDescription"
            ]["AttributeName"]
        ),
    ),
    "AWS::EC2 gateway endpoints": Case(
        gateway_endpoint,
        lambda account: (
            absent(read_gateway_endpoint)(account)
            if account.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
            else None
        ),
        lambda word: (word == "two", [word], ["GatewayLoadBalancer"]),
    ),
    "AWS::EC2 network ACLs": Case(acl, read_acl, lambda w: [({"one": "allow", "two": "deny"}[w], 1)], []),
    "AWS::EC2 routes": Case(
        routes, read_routes, lambda word: ([{"one": "10.6.0.0/16", "two": "10.7.0.0/16"}[word]], 1)
    ),
    "AWS::EC2 rules of groups": Case(groups, absent(read_groups), lambda word: [(4789, word)] * 2),
    "AWS::EC2::NetworkInterface": Case(interface, absent(read_interface), lambda word: (word, False)),
    "AWS::Events::EventBusPolicy": Case(
        lambda word: {
            "P": resource(
                "AWS::Events::EventBusPolicy",
                StatementId="s",
                Statement={"Effect": "Allow", "Principal": "*", "Action": f"events:Put{word.title()}", "Resource": "*"},
            )
        },
        absent(
            lambda account: json.loads(account.client("events").describe_event_bus()["Policy"])["Statement"][0][
                "Action"
            ]
        ),
        lambda word: f"events:Put{word.title()}",
    ),
    "AWS::EC2::VPC and Subnet": Case(vpc, absent(read_vpc), lambda word: (word == "two",) * 2),
    "AWS::ElasticLoadBalancingV2": Case(
        balanced,
        absent(read_balanced),
        lambda word: ({"one": "80", "two": "81"}[word], [{"one": "10.5.1.10", "two": "10.5.1.11"}[word]], "network", 1),
    ),
    "AWS::IAM policies and profiles": Case(policies_of, absent(read_policies), lambda word: (word, "r")),
    "AWS::Lambda::Alias": Case(alias, absent(read_alias), lambda word: (word, "1")),
    "AWS::Events::Rule and EventBus": Case(rules, absent(read_rules), lambda word: (word, [word], [word])),
    "AWS::Lambda::Function": Case(code, absent(read_code), lambda word: ({"one": 5, "two": 6}[word], word)),
    "AWS::IAM::Group": Case(
        lambda word: {
            "G": resource(
                "AWS::IAM::Group",
                GroupName="g",
                Policies=[
                    {
                        "PolicyName": "p",
                        "PolicyDocument": {
                            "Version": "2012-10-17",
                            "Statement": [{"Sid": word, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}],
                        },
                    }
                ],
            )
        },
        absent(listed),
    ),
    "AWS::KMS::Key": Case(lambda word: {"K": resource("AWS::KMS::Key", Description=word, EnableKeyRotation=True)}, key),
    "AWS::Lambda::Permission": Case(
        lambda word: {
            "F": function(word),
            "P": resource(
                "AWS::Lambda::Permission",
                FunctionName=ref("F"),
                Action="lambda:InvokeFunction",
                Principal="events.amazonaws.com",
                SourceArn=f"arn:aws:events:eu-central-1:123456789012:rule/{word}",
            ),
        },
        absent(permission),
        lambda word: [word],
    ),
    "AWS::Logs::LogGroup": Case(
        lambda word: {
            "L": resource("AWS::Logs::LogGroup", LogGroupName="l", RetentionInDays={"one": "1", "two": 3}[word])
        },
        absent(lambda account: account.client("logs").describe_log_groups()["logGroups"][0]["retentionInDays"]),
        lambda word: {"one": 1, "two": 3}[word],
    ),
    "AWS::S3::BucketPolicy": Case(
        lambda word: {
            "B": resource("AWS::S3::Bucket", BucketName="mine"),
            "P": resource(
                "AWS::S3::BucketPolicy",
                Bucket=ref("B"),
                PolicyDocument=statement(word, "s3:GetObject", "arn:aws:s3:::mine/*"),
            ),
        },
        absent(lambda account: sid(account.client("s3").get_bucket_policy(Bucket="mine")["Policy"])),
    ),
    "AWS::SNS::Subscription": Case(
        lambda word: {
            "Q": QUEUE,
            "T": TOPIC,
            "S": resource(
                "AWS::SNS::Subscription",
                TopicArn=ref("T"),
                Protocol="sqs",
                Endpoint=ref("Q", "Arn"),
                FilterPolicy={"word": [word]},
            ),
        },
        absent(filter_policy),
    ),
    "AWS::SNS::TopicPolicy": Case(
        lambda word: {
            "T": TOPIC,
            "P": resource(
                "AWS::SNS::TopicPolicy", Topics=[ref("T")], PolicyDocument=statement(word, "sns:Publish", ref("T"))
            ),
        },
        absent(topic_policy),
    ),
    "AWS::SQS::QueuePolicy": Case(
        lambda word: {
            "Q": QUEUE,
            "P": resource(
                "AWS::SQS::QueuePolicy",
                Queues=[ref("Q")],
                PolicyDocument=statement(word, "sqs:SendMessage", ref("Q", "Arn")),
            ),
        },
        absent(queue_policy),
    ),
    "AWS::SSM::Parameter": Case(
        lambda word: {"P": resource("AWS::SSM::Parameter", Name="p", Type="String", Value=word)},
        absent(lambda account: account.client("ssm").get_parameter(Name="p")["Parameter"]["Value"]),
    ),
    "AWS::Scheduler::Schedule": Case(
        schedule, absent(lambda account: account.client("scheduler").get_schedule(Name="s")["Description"])
    ),
    "AWS::StepFunctions::StateMachine": Case(machine, absent(read_machine), lambda word: (word, word)),
}


class WholeAccount(Account):
    """The account with all its extensions: schedules and functions need one that runs."""

    whole: accounts.Account

    def client(self, service: str) -> Any:
        return self.whole.client(service)


@pytest.fixture
def stacked(aws_account: accounts.Account) -> Account:
    WholeAccount.whole = aws_account
    made = WholeAccount(aws_account.endpoint, "", "")
    made.vpc = made.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made.subnet = made.ec2.create_subnet(VpcId=made.vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made.client("iam").create_role(RoleName="any", AssumeRolePolicyDocument=document)
    return made


def template(resources: Resources) -> dict[str, Any]:
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
    body = json.dumps({"Resources": resources})
    return {"StackName": "tap", "TemplateBody": body, "Capabilities": capabilities}


def failures(account: Account) -> list[tuple[str, str, str]]:
    return [event for event in account.events("tap") if "FAILED" in event[1] or "SKIPPED" in event[1]]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_when_a_stack_has_the_type_then_it_is_made_changed_and_deleted(stacked: Account, case: Case) -> None:
    check(stacked, case)


def check(account: Account, case: Case) -> None:
    """Make a stack of the case, change it, and delete it."""
    assert case.read(account) == case.gone
    account.stacks.create_stack(**template(case.resources("one")))
    assert failures(account) == []
    assert case.read(account) == case.shown("one")
    before = physical_ids(account)
    account.stacks.update_stack(**template(case.resources("two")))
    assert failures(account) == []
    assert account.stack()["StackStatus"] == "UPDATE_COMPLETE"
    assert case.read(account) == case.shown("two")
    assert {kind for kind, found in before.items() if physical_ids(account)[kind] != found} <= REPLACED
    stack_id = account.stack()["StackId"]
    account.stacks.delete_stack(StackName="tap")
    assert account.stack(stack_id)["StackStatus"] == "DELETE_COMPLETE"
    assert not [event for event in account.events(stack_id) if "SKIPPED" in event[1]]
    assert case.read(account) == case.gone


# What the changes above replace, as the Template Reference says: a route's destination and all of a permission.
REPLACED = {"AWS::EC2::Route", "AWS::Lambda::Permission"}


def physical_ids(account: Account) -> dict[str, str]:
    found = account.stacks.describe_stack_resources(StackName="tap")["StackResources"]
    return {one["ResourceType"]: one["PhysicalResourceId"] for one in found}


def noting(done: Any, seen: list[str]) -> Any:
    """Do it, and keep its name."""

    @functools.wraps(done)
    def noted(*args: Any, **kwargs: Any) -> Any:
        seen.append(done.__name__)
        return done(*args, **kwargs)

    return noted


def with_own_interface(account: Account, words: str, tag: str = "a", **properties: Any) -> dict[str, Any]:
    user_data = base64.b64encode(words.encode()).decode()
    instance = {
        "ImageId": "ami-12345678",
        "InstanceType": "m5.large",
        "UserData": user_data,
        "Tags": [{"Key": "tag", "Value": tag}],
        "NetworkInterfaces": [{"NetworkInterfaceId": ref("Eni"), "DeviceIndex": "0"}],
        **properties,
    }
    eni = resource("AWS::EC2::NetworkInterface", SubnetId=account.subnet)
    return template({"Eni": eni, "Instance": resource("AWS::EC2::Instance", **instance)})


@pytest.mark.parametrize(
    ("change", "stopped"),
    [
        ({"words": "other"}, True),
        ({"tag": "b"}, False),
        ({"InstanceType": "m5.xlarge"}, True),
        ({"SourceDestCheck": "false"}, False),
        ({"DisableApiTermination": "true", "tag": "b"}, False),
    ],
)
def test_when_an_instance_with_its_own_interface_changes_then_it_stays(
    stacked: Account, change: dict[str, Any], stopped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = stacked
    account.stacks.create_stack(**with_own_interface(account, "words"))
    before = physical_ids(account)
    seen: list[str] = []
    backend: Any = type(ec2_backends[ACCOUNT_ID][REGION])
    for verb in ("stop_instances", "start_instances"):
        monkeypatch.setattr(backend, verb, noting(getattr(backend, verb), seen))
    account.stacks.update_stack(**with_own_interface(account, **{"words": "words", **change}))
    assert account.stack()["StackStatus"] == "UPDATE_COMPLETE"
    assert physical_ids(account) == before
    [found] = [one for r in account.ec2.describe_instances()["Reservations"] for one in r["Instances"]]
    assert found["State"]["Name"] == "running"
    assert seen == (["stop_instances", "start_instances"] if stopped else [])
    user_data = account.ec2.describe_instance_attribute(InstanceId=before["AWS::EC2::Instance"], Attribute="userData")
    assert base64.b64decode(user_data["UserData"]["Value"]).decode() == change.get("words", "words")
    assert {"Key": "tag", "Value": change.get("tag", "a")} in found["Tags"]
    assert found["InstanceType"] == change.get("InstanceType", "m5.large")
    account.ec2.modify_instance_attribute(InstanceId=found["InstanceId"], DisableApiTermination={"Value": False})


def test_when_a_state_machine_comes_from_s3_then_its_definition_is_that_object(stacked: Account) -> None:
    account, s3 = stacked, stacked.client("s3")
    s3.create_bucket(Bucket="definitions", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    definition = {"Comment": "from S3", "StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
    s3.put_object(Bucket="definitions", Key="machine.json", Body=json.dumps(definition).encode())
    where = {"Bucket": "definitions", "Key": "machine.json"}
    made = resource(
        "AWS::StepFunctions::StateMachine", StateMachineName="machine", RoleArn=ROLE, DefinitionS3Location=where
    )
    account.stacks.create_stack(**template({"M": made}))
    assert failures(account) == []
    arn = account.stacks.describe_stack_resources(StackName="tap")["StackResources"][0]["PhysicalResourceId"]
    found = account.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    assert json.loads(found["definition"]) == definition


def test_fails_when_a_service_refuses_and_its_words_are_the_reason(stacked: Account) -> None:
    bad = resource("AWS::StepFunctions::StateMachine", RoleArn=ROLE, DefinitionString="{}")
    stacked.stacks.create_stack(**template({"M": bad}))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [(_name, _status, reason)] = [event for event in stacked.events("tap") if event[1] == "CREATE_FAILED"]
    assert "Invalid State Machine Definition" in reason
    assert "(Service: Sfn, Status Code: 400" in reason


def test_fails_when_a_rule_does_what_no_rule_does(stacked: Account) -> None:
    other = stacked.ec2.create_subnet(VpcId=stacked.vpc, CidrBlock="10.0.3.0/24")["Subnet"]["SubnetId"]
    group = {"Type": "forward", "TargetGroupArn": ref("Group")}
    kind = "AWS::ElasticLoadBalancingV2::"
    rule = {
        "Actions": [{**group, "Type": "forward2"}],
        "Conditions": [{"Field": "path-pattern", "Values": ["/*"]}],
        "ListenerArn": ref("Listener"),
        "Priority": 2,
    }
    made = {
        "Balancer": resource(f"{kind}LoadBalancer", Name="alb", Subnets=[stacked.subnet, other]),
        "Group": resource(f"{kind}TargetGroup", Name="group", Port=80, Protocol="HTTP", VpcId=stacked.vpc),
        "Listener": resource(
            f"{kind}Listener", DefaultActions=[group], LoadBalancerArn=ref("Balancer"), Port=80, Protocol="HTTP"
        ),
        "Rule": resource(f"{kind}ListenerRule", **rule),
    }
    stacked.stacks.create_stack(**template(made))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    [(name, _status, reason)] = [event for event in stacked.events("tap") if event[1] == "CREATE_FAILED"]
    assert name == "Rule"
    assert "forward2" in reason


def test_when_boto3_is_mocked_in_the_process_then_stacks_are_made_as_before(
    stacked: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(*_: Any, **__: Any) -> Any:
        raise AssertionError("a client of another principal")

    stacked.client("kms")
    api_types.client.cache_clear()
    monkeypatch.setattr(boto3, "client", elsewhere)
    stacked.stacks.create_stack(**template({"K": resource("AWS::KMS::Key", Description="a key")}))
    assert failures(stacked) == []
    assert stacked.stack()["StackStatus"] == "CREATE_COMPLETE"


def test_when_a_key_is_made_without_a_use_then_it_encrypts(stacked: Account) -> None:
    made = stacked.client("kms").create_key()["KeyMetadata"]
    assert made["KeyUsage"] == "ENCRYPT_DECRYPT"

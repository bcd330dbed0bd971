"""Types of what operates a network and lies around it: each is made, changed in place, and deleted with its stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.strictmoto.cloudformation.conftest import Account
from tests.strictmoto.cloudformation.test_types import (
    CODE,
    ROLE,
    Case,
    Resources,
    absent,
    check,
    failures,
    network,
    physical_ids,
    ref,
    resource,
    stacked,  # noqa: F401
    statement,
    template,
)

NUMBERS = {"one": 1, "two": 2}
TRUST = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
STEPS = {"schemaVersion": "2.2", "description": "steps", "mainSteps": []}


def group() -> Resources:
    launch = {"ImageId": "ami-12345678", "InstanceType": "m5.large"}
    return {
        "Launch": resource("AWS::AutoScaling::LaunchConfiguration", **launch),
        "Group": resource(
            "AWS::AutoScaling::AutoScalingGroup",
            AutoScalingGroupName="group",
            LaunchConfigurationName=ref("Launch"),
            MinSize="0",
            MaxSize="2",
            DesiredCapacity="0",
            AvailabilityZones=["eu-central-1a"],
        ),
    }


def of_group(kind: str, **properties: Any) -> Resources:
    return {**group(), "Of": resource(f"AWS::AutoScaling::{kind}", AutoScalingGroupName=ref("Group"), **properties)}


def read_hook(account: Account) -> Any:
    scaling = account.client("autoscaling")
    [hook] = scaling.describe_lifecycle_hooks(AutoScalingGroupName="group")["LifecycleHooks"]
    return hook["HeartbeatTimeout"], hook["NotificationMetadata"], hook["RoleARN"]


def gateway(word: str) -> Resources:
    return {
        **network("Vpc", "Subnet"),
        "Gateway": resource(
            "AWS::EC2::TransitGateway", AutoAcceptSharedAttachments={"one": "enable", "two": "disable"}[word]
        ),
        "At": resource(
            "AWS::EC2::TransitGatewayAttachment",
            TransitGatewayId=ref("Gateway"),
            VpcId=ref("Vpc"),
            SubnetIds=[ref("Subnet")],
            Options={"ApplianceModeSupport": {"one": "enable", "two": "disable"}[word]},
        ),
        "Table": resource("AWS::EC2::TransitGatewayRouteTable", TransitGatewayId=ref("Gateway")),
        "Route": resource(
            "AWS::EC2::TransitGatewayRoute",
            TransitGatewayRouteTableId=ref("Table"),
            TransitGatewayAttachmentId=ref("At"),
            DestinationCidrBlock="10.8.0.0/16",
        ),
    }


def read_gateway(account: Account) -> Any:
    [found] = account.ec2.describe_transit_gateways()["TransitGateways"]
    [at] = account.ec2.describe_transit_gateway_vpc_attachments()["TransitGatewayVpcAttachments"]
    tags = {tag["Key"] for tag in at["Tags"]}
    return (
        found["Options"]["AutoAcceptSharedAttachments"],
        at["Options"]["ApplianceModeSupport"],
        "aws:cloudformation:logical-id" in tags,
    )


def read_prefixes(account: Account) -> Any:
    lists = account.ec2.describe_managed_prefix_lists(Filters=[{"Name": "prefix-list-name", "Values": ["mine"]}])[
        "PrefixLists"
    ]
    [found] = [one for one in lists if one["State"] != "delete-complete"]
    return [
        one["Cidr"]
        for one in account.ec2.get_managed_prefix_list_entries(PrefixListId=found["PrefixListId"])["Entries"]
    ]


def zone(word: str) -> Resources:
    alias = {"HostedZoneId": ref("Zone"), "DNSName": "a.example.com."}
    return {
        "Zone": resource("AWS::Route53::HostedZone", Name="example.com.", HostedZoneConfig={"Comment": word}),
        "Record": {
            **resource(
                "AWS::Route53::RecordSet",
                HostedZoneName="example.com.",
                Name="a.example.com.",
                Type="A",
                TTL="60",
                ResourceRecords=[{"one": "10.0.0.1", "two": "10.0.0.2"}[word]],
            ),
            "DependsOn": "Zone",
        },
        "Records": resource(
            "AWS::Route53::RecordSetGroup",
            HostedZoneId=ref("Zone"),
            RecordSets=[
                {"Name": "b.example.com.", "Type": "A", "AliasTarget": alias},
                {"Name": f"{word}.example.com.", "Type": "TXT", "TTL": 60, "ResourceRecords": [f'"{word}"']},
            ],
        ),
    }


def read_zone(account: Account) -> Any:
    route53 = account.client("route53")
    [found] = route53.list_hosted_zones()["HostedZones"]
    records = route53.list_resource_record_sets(HostedZoneId=found["Id"])["ResourceRecordSets"]
    names = sorted(one["Name"] for one in records if one["Type"] not in ("NS", "SOA"))
    addresses = [
        value["Value"] for one in records if one["Name"] == "a.example.com." for value in one["ResourceRecords"]
    ]
    return found["Config"]["Comment"], names, addresses


def document(word: str) -> Resources:
    content = {**STEPS, "description": word}
    return {"D": resource("AWS::SSM::Document", Content=content, UpdateMethod="NewVersion", Name="steps")}


def read_document(account: Account) -> Any:
    ssm = account.client("ssm")
    found = ssm.describe_document(Name="steps")["Document"]
    content = json.loads(ssm.get_document(Name="steps")["Content"])
    return found["DocumentFormat"], found["DocumentType"], content["description"]


def alarm(word: str) -> Resources:
    return {
        "A": resource(
            "AWS::CloudWatch::Alarm",
            AlarmName="alarm",
            Namespace="AWS/EC2",
            MetricName="NetworkMirrorOut",
            Dimensions=[{"Name": "InstanceId", "Value": "i-0123456789abcdef0"}],
            ComparisonOperator="GreaterThanThreshold",
            EvaluationPeriods="1",
            Period=60,
            Statistic="Sum",
            Threshold={"one": 1, "two": "2.5"}[word],
            TreatMissingData="notBreaching",
            Tags=[{"Key": "word", "Value": word}],
        )
    }


def read_alarm(account: Account) -> Any:
    [found] = account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    tags = account.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return found["Threshold"], found["ActionsEnabled"], found["TreatMissingData"], [tag["Value"] for tag in tags]


def secret(word: str) -> Resources:
    return {"S": resource("AWS::SecretsManager::Secret", Name="s", Description=word, SecretString=word)}


def read_secret(account: Account) -> Any:
    secrets = account.client("secretsmanager")
    return secrets.describe_secret(SecretId="s")["Description"], secrets.get_secret_value(SecretId="s")["SecretString"]


def share(word: str) -> Resources:
    return {
        **network("Vpc", "Subnet"),
        "I": resource("AWS::EC2::NetworkInterface", SubnetId=ref("Subnet")),
        "T": resource("AWS::EC2::TrafficMirrorTarget", NetworkInterfaceId=ref("I")),
        "S": resource(
            "AWS::RAM::ResourceShare",
            Name=word,
            Principals=[{"one": "111111111111", "two": "222222222222"}[word]],
            ResourceArns=[
                {"Fn::Sub": "arn:aws:ec2:${AWS::Region}:${AWS::AccountId}:traffic-mirror-target/${T}"},
            ],
        ),
    }


def read_share(account: Account) -> Any:
    ram = account.client("ram")
    shares = ram.get_resource_shares(resourceOwner="SELF")["resourceShares"]
    [found] = [one for one in shares if one["status"] == "ACTIVE"]
    ids = {"associationType": "PRINCIPAL", "resourceShareArns": [found["resourceShareArn"]]}
    principals = ram.get_resource_share_associations(**ids)["resourceShareAssociations"]
    return found["name"], [one["associatedEntity"] for one in principals]


def logs(word: str) -> Resources:
    counted = {"MetricName": word, "MetricNamespace": "own", "MetricValue": "1"}
    return {
        "L": resource("AWS::Logs::LogGroup", LogGroupName="l"),
        "Stream": resource("AWS::Logs::LogStream", LogGroupName=ref("L"), LogStreamName="stream"),
        "F": resource(
            "AWS::Logs::MetricFilter", LogGroupName=ref("L"), FilterPattern=word, MetricTransformations=[counted]
        ),
    }


def read_logs(account: Account) -> Any:
    [found] = account.client("logs").describe_metric_filters(logGroupName="l")["metricFilters"]
    [stream] = account.client("logs").describe_log_streams(logGroupName="l")["logStreams"]
    return found["filterPattern"], found["metricTransformations"][0]["metricName"], stream["logStreamName"]


def subscription(word: str) -> Resources:
    function = {"Code": CODE, "Handler": "index.handler", "Role": ROLE, "Runtime": "python3.13"}
    return {
        "L": resource("AWS::Logs::LogGroup", LogGroupName="l"),
        "F": resource("AWS::Lambda::Function", FunctionName="f", **function),
        "S": resource(
            "AWS::Logs::SubscriptionFilter", LogGroupName=ref("L"), FilterPattern=word, DestinationArn=ref("F", "Arn")
        ),
        "E": resource(
            "AWS::Lambda::EventInvokeConfig",
            FunctionName=ref("F"),
            Qualifier="$LATEST",
            MaximumRetryAttempts=NUMBERS[word],
        ),
    }


def read_subscription(account: Account) -> Any:
    [found] = account.client("logs").describe_subscription_filters(logGroupName="l")["subscriptionFilters"]
    config = account.client("lambda").get_function_event_invoke_config(FunctionName="f")
    return found["filterPattern"], config["MaximumRetryAttempts"]


def inline(word: str) -> Resources:
    allowed = {"Sid": word, "Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    return {
        "R": resource(
            "AWS::IAM::Role", RoleName="r", AssumeRolePolicyDocument={"Version": "2012-10-17", "Statement": [TRUST]}
        ),
        "P": resource(
            "AWS::IAM::RolePolicy",
            RoleName=ref("R"),
            PolicyName="p",
            PolicyDocument={"Version": "2012-10-17", "Statement": [allowed]},
        ),
    }


def read_inline(account: Account) -> Any:
    found = account.client("iam").get_role_policy(RoleName="r", PolicyName="p")
    return found["PolicyDocument"]["Statement"][0]["Sid"]


def around(word: str) -> Resources:
    return {
        **network("Vpc"),
        "Block": resource("AWS::EC2::VPCCidrBlock", VpcId=ref("Vpc"), CidrBlock="10.6.0.0/16"),
        "Options": resource(
            "AWS::EC2::DHCPOptions",
            DomainName="example.com",
            DomainNameServers=["AmazonProvidedDNS"],
            NetbiosNodeType=2,
            Tags=[{"Key": "word", "Value": word}],
        ),
        "Of": resource("AWS::EC2::VPCDHCPOptionsAssociation", VpcId=ref("Vpc"), DhcpOptionsId=ref("Options")),
    }


def read_around(account: Account) -> Any:
    [options] = account.ec2.describe_dhcp_options()["DhcpOptions"]
    [vpc] = [one for one in account.ec2.describe_vpcs()["Vpcs"] if one["DhcpOptionsId"] == options["DhcpOptionsId"]]
    words = [tag["Value"] for tag in options["Tags"] if tag["Key"] == "word"]
    values = {one["Key"]: one["Values"][0]["Value"] for one in options["DhcpConfigurations"]}
    return words, len(vpc["CidrBlockAssociationSet"]), values["domain-name"], values["netbios-node-type"]


def scaling(account: Account, operation: str, member: str) -> Any:
    [found] = getattr(account.client("autoscaling"), operation)(AutoScalingGroupName="group")[member]
    return found


CASES = {
    "AWS::AutoScaling::LifecycleHook": Case(
        lambda word: of_group(
            "LifecycleHook",
            LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
            HeartbeatTimeout=NUMBERS[word] * 60,
            NotificationMetadata=word,
            RoleARN=ROLE,
        ),
        absent(read_hook),
        lambda word: (NUMBERS[word] * 60, word, ROLE),
    ),
    "AWS::AutoScaling::ScalingPolicy": Case(
        lambda word: of_group(
            "ScalingPolicy",
            PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={
                "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageNetworkIn"},
                "TargetValue": NUMBERS[word],
            },
        ),
        absent(
            lambda account: scaling(account, "describe_policies", "ScalingPolicies")["TargetTrackingConfiguration"][
                "TargetValue"
            ]
        ),
        lambda word: NUMBERS[word],
    ),
    "AWS::AutoScaling::ScheduledAction": Case(
        lambda word: of_group("ScheduledAction", MinSize=0, MaxSize=NUMBERS[word], Recurrence="0 1 * * *"),
        absent(
            lambda account: scaling(account, "describe_scheduled_actions", "ScheduledUpdateGroupActions")["MaxSize"]
        ),
        lambda word: NUMBERS[word],
    ),
    "AWS::AutoScaling::WarmPool": Case(
        lambda word: of_group("WarmPool", MinSize=NUMBERS[word], PoolState="Stopped"),
        absent(
            lambda account: account.client("autoscaling").describe_warm_pool(AutoScalingGroupName="group")[
                "WarmPoolConfiguration"
            ]["MinSize"]
        ),
        lambda word: NUMBERS[word],
    ),
    "AWS::CloudWatch::Alarm": Case(
        alarm, absent(read_alarm), lambda word: ({"one": 1.0, "two": 2.5}[word], True, "notBreaching", [word])
    ),
    "AWS::EC2 DHCP options and blocks": Case(around, absent(read_around), lambda word: ([word], 2, "example.com", "2")),
    "AWS::EC2::PrefixList": Case(
        lambda word: {
            "P": resource(
                "AWS::EC2::PrefixList",
                PrefixListName="mine",
                AddressFamily="IPv4",
                MaxEntries="2",
                Entries=[{"Cidr": f"10.{NUMBERS[word]}.0.0/16", "Description": word}],
            )
        },
        absent(read_prefixes),
        lambda word: [f"10.{NUMBERS[word]}.0.0/16"],
    ),
    "AWS::EC2::TransitGateway": Case(
        gateway,
        absent(read_gateway),
        lambda word: ({"one": "enable", "two": "disable"}[word],) * 2 + (True,),
    ),
    "AWS::IAM::RolePolicy": Case(inline, absent(read_inline)),
    "AWS::Logs filters": Case(logs, absent(read_logs), lambda word: (word, word, "stream")),
    "AWS::Logs and AWS::Lambda": Case(subscription, absent(read_subscription), lambda word: (word, NUMBERS[word])),
    "AWS::RAM::ResourceShare": Case(
        share,
        absent(read_share),
        lambda word: (word, [{"one": "111111111111", "two": "222222222222"}[word]]),
    ),
    "AWS::Route53": Case(
        zone,
        absent(read_zone),
        lambda word: (
            word,
            sorted(["a.example.com.", "b.example.com.", f"{word}.example.com."]),
            [{"one": "10.0.0.1", "two": "10.0.0.2"}[word]],
        ),
    ),
    "AWS::SSM::Document": Case(document, absent(read_document), lambda word: ("JSON", "Command", word)),
    "AWS::SecretsManager::Secret": Case(secret, absent(read_secret), lambda word: (word, word)),
    "AWS::SecretsManager::ResourcePolicy": Case(
        lambda word: {
            "S": resource("AWS::SecretsManager::Secret", Name="s", SecretString="value"),
            "P": resource(
                "AWS::SecretsManager::ResourcePolicy",
                SecretId=ref("S"),
                ResourcePolicy=statement(word, "secretsmanager:GetSecretValue"),
            ),
        },
        absent(
            lambda account: json.loads(
                account.client("secretsmanager").get_resource_policy(SecretId="s")["ResourcePolicy"]
            )["Statement"][0]["Sid"]
        ),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_when_a_stack_has_the_type_then_it_is_made_changed_and_deleted(stacked: Account, case: Case) -> None:  # noqa: F811
    check(stacked, case)


GENERATED = {"SecretStringTemplate": '{"user": "a"}', "GenerateStringKey": "password", "PasswordLength": "20"}


def test_when_a_secret_is_generated_then_it_is_in_the_template_that_is_given(stacked: Account) -> None:  # noqa: F811
    made = resource("AWS::SecretsManager::Secret", GenerateSecretString=GENERATED)
    stacked.stacks.create_stack(**template({"S": made}))
    assert failures(stacked) == []
    arn = physical_ids(stacked)["AWS::SecretsManager::Secret"]
    value = json.loads(stacked.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])
    assert (value["user"], len(value["password"])) == ("a", 20)


def test_when_a_document_without_a_name_changes_then_another_takes_its_place(stacked: Account) -> None:  # noqa: F811
    def steps(word: str) -> Resources:
        return {"D": resource("AWS::SSM::Document", Content={**STEPS, "description": word}, DocumentType="Command")}

    stacked.stacks.create_stack(**template(steps("one")))
    first = physical_ids(stacked)["AWS::SSM::Document"]
    stacked.stacks.update_stack(**template(steps("two")))
    second = physical_ids(stacked)["AWS::SSM::Document"]
    assert first != second
    names = [one["Name"] for one in stacked.client("ssm").list_documents()["DocumentIdentifiers"]]
    assert second in names
    assert first not in names


def test_fails_when_a_document_with_a_name_is_to_be_replaced(stacked: Account) -> None:  # noqa: F811
    def steps(word: str) -> Resources:
        return {"D": resource("AWS::SSM::Document", Name="steps", Content={**STEPS, "description": word})}

    stacked.stacks.create_stack(**template(steps("one")))
    stacked.stacks.update_stack(**template(steps("two")))
    assert stacked.stack()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert [reason for _name, status, reason in stacked.events("tap") if status == "UPDATE_FAILED"] == [
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename steps and update "
        "the stack again."
    ]


@pytest.mark.parametrize("target", [{}, {"DestinationBucketName": {"Ref": "Logs"}}])
def test_when_a_bucket_logs_then_its_logs_go_where_the_template_says(
    stacked: Account,  # noqa: F811
    target: dict[str, Any],
) -> None:
    made = {
        "Logs": resource("AWS::S3::Bucket", BucketName="logs"),
        "B": resource("AWS::S3::Bucket", BucketName="mine", LoggingConfiguration={"LogFilePrefix": "log/", **target}),
    }
    stacked.stacks.create_stack(**template(made))
    assert failures(stacked) == []
    found = stacked.client("s3").get_bucket_logging(Bucket="mine")["LoggingEnabled"]
    assert (found["TargetBucket"], found["TargetPrefix"]) == ("logs" if target else "mine", "log/")


RECORD = {"Name": "a.example.com.", "Type": "A", "TTL": "60", "ResourceRecords": ["10.0.0.1"]}
WRONG = {
    "a record of a zone that is not there": (
        {"R": resource("AWS::Route53::RecordSet", HostedZoneName="example.com.", **RECORD)},
        "No hosted zones named example.com. found",
    ),
    "a record without values": (
        {
            "Z": resource("AWS::Route53::HostedZone", Name="example.com."),
            "R": resource("AWS::Route53::RecordSet", HostedZoneId=ref("Z"), Name="a.example.com.", Type="A"),
        },
        "Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId]",
    ),
    "a hook of a group that is not there": (
        {
            "H": resource(
                "AWS::AutoScaling::LifecycleHook",
                AutoScalingGroupName="nothing",
                LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
            )
        },
        "AutoScalingGroup name not found",
    ),
    "a secret with two values": (
        {"S": resource("AWS::SecretsManager::Secret", SecretString="a", GenerateSecretString=GENERATED)},
        "You can't specify both",
    ),
    "an alarm whose name is taken": (
        {"One": alarm("one")["A"], "Two": {**alarm("two")["A"], "DependsOn": "One"}},
        "with identifier 'alarm' already exists",
    ),
    "a property that would be lost": (
        {"D": resource("AWS::EC2::DHCPOptions", DomainName="a", Ipv6AddressPreferredLeaseTime=140)},
        "strictmoto does not make Ipv6AddressPreferredLeaseTime of AWS::EC2::DHCPOptions",
    ),
    "a part of a property that would be lost": (
        {
            "A": resource(
                "AWS::CloudWatch::Alarm",
                ComparisonOperator="GreaterThanThreshold",
                EvaluationPeriods=1,
                Threshold=1,
                Metrics=[{"Id": "a", "Expression": "1", "AccountId": "111111111111"}],
            )
        },
        "strictmoto does not make AccountId of Metrics of AWS::CloudWatch::Alarm",
    ),
}


@pytest.mark.parametrize(("resources", "said"), WRONG.values(), ids=WRONG)
def test_fails_when_a_type_cannot_be_made_as_the_template_says(
    stacked: Account,  # noqa: F811
    resources: Resources,
    said: str,
) -> None:
    stacked.stacks.create_stack(**template(resources))
    assert stacked.stack()["StackStatus"] == "ROLLBACK_COMPLETE"
    assert said in "".join(reason for _name, status, reason in stacked.events("tap") if status == "CREATE_FAILED")

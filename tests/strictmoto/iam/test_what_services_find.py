"""IAM is asked about what a service finds for a call: parameters, secrets, log groups, rules, code, items."""

from __future__ import annotations

import datetime
import io
import json
import zipfile
from typing import Any, Final

import pytest

from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, policy, refusal

REGION: Final = "eu-central-1"
IMAGE: Final = "ami-12345678"


def _but(action: str, *resources: str, **more: Any) -> list[dict[str, Any]]:
    return [{"Action": "*"}, {"Effect": "Deny", "Action": action, "Resource": list(resources) or "*", **more}]


class TestParameters:
    @pytest.mark.parametrize("name", ["secret", "/a/secret"])
    @pytest.mark.parametrize("selector", ["", ":1", ":label"])
    @pytest.mark.parametrize("by_arn", [False, True])
    def test_fails_when_a_parameter_has_a_version_or_a_label(
        self, enforcing: Enforcing, name: str, selector: str, by_arn: bool
    ) -> None:
        ssm = enforcing.client("ssm")
        ssm.put_parameter(Name=name, Value="v", Type="String")
        ssm.label_parameter_version(Name=name, Labels=["label"])
        arn = f"arn:aws:ssm:{REGION}:{HERE}:parameter/{name.lstrip('/')}"
        asked = f"{arn if by_arn else name}{selector}"
        worker = enforcing.worker("ssm", *_but("ssm:*", arn))
        assert refusal(worker.get_parameter, Name=asked)[0] == "AccessDeniedException"
        assert refusal(worker.get_parameters, Names=[asked])[0] == "AccessDeniedException"
        allowed = enforcing.worker("ssm", {"Action": "ssm:GetParameter", "Resource": arn})
        assert allowed.get_parameter(Name=asked)["Parameter"]["Value"] == "v"

    def test_fails_when_a_parameter_is_overwritten_or_tagged(self, enforcing: Enforcing) -> None:
        enforcing.client("ssm").put_parameter(Name="secret", Value="v", Type="String")
        arn = f"arn:aws:ssm:{REGION}:{HERE}:parameter/secret"
        tags = {"ResourceType": "Parameter", "ResourceId": "secret", "Tags": [{"Key": "a", "Value": "b"}]}
        worker = enforcing.worker("ssm", *_but("ssm:AddTagsToResource", arn))
        assert refusal(worker.add_tags_to_resource, **tags)[0] == "AccessDeniedException"
        overwriting = {"StringEquals": {"ssm:Overwrite": "true"}}
        worker = enforcing.worker("ssm", *_but("ssm:PutParameter", Condition=overwriting))
        given = {"Name": "secret", "Value": "w", "Type": "String", "Overwrite": True}
        assert refusal(worker.put_parameter, **given)[0] == "AccessDeniedException"
        worker = enforcing.worker(
            "ssm", *_but("ssm:GetParametersByPath", Condition={"StringEquals": {"ssm:Recursive": "true"}})
        )
        assert worker.get_parameters_by_path(Path="/")["Parameters"]
        assert refusal(worker.get_parameters_by_path, Path="/", Recursive=True)[0] == "AccessDeniedException"


class TestSecrets:
    def test_fails_when_a_filter_finds_a_secret_that_may_not_be_read(self, enforcing: Enforcing) -> None:
        arn = enforcing.client("secretsmanager").create_secret(Name="sec", SecretString="x")["ARN"]
        enforcing.client("secretsmanager").create_secret(Name="other", SecretString="x")
        by_name = [{"Key": "name", "Values": ["sec"]}]
        worker = enforcing.worker("secretsmanager", *_but("secretsmanager:GetSecretValue", arn))
        assert f"on resource: {arn}" in refusal(worker.batch_get_secret_value, Filters=by_name)[1]
        other = [{"Key": "name", "Values": ["other"]}]
        assert worker.batch_get_secret_value(Filters=other)["SecretValues"]
        worker = enforcing.worker("secretsmanager", *_but("secretsmanager:ListSecrets"))
        assert "secretsmanager:ListSecrets" in refusal(worker.batch_get_secret_value, Filters=other)[1]


class TestQueries:
    ARN: Final = f"arn:aws:logs:{REGION}:{HERE}:log-group:g"

    @pytest.mark.parametrize(
        "given",
        [
            {"logGroupName": "g"},
            {"logGroupNames": ["free", "g"]},
            {"logGroupIdentifiers": ["free", "g"]},
            {"logGroupIdentifiers": [ARN]},
        ],
    )
    def test_fails_when_one_of_the_groups_may_not_be_queried(self, enforcing: Enforcing, given: dict[str, Any]) -> None:
        logs = enforcing.client("logs")
        for name in ("g", "free"):
            logs.create_log_group(logGroupName=name)
        query = {"startTime": 0, "endTime": 1, "queryString": "fields @message"}
        worker = enforcing.worker("logs", *_but("logs:*", f"{self.ARN}:*"))
        assert refusal(worker.start_query, **query, **given)[0] == "AccessDeniedException"
        assert logs.start_query(**query, **given)["queryId"]

    def test_fails_when_no_group_or_two_kinds_of_names_are_given(self, enforcing: Enforcing) -> None:
        logs = enforcing.client("logs")
        logs.create_log_group(logGroupName="g")
        query = {"startTime": 0, "endTime": 1, "queryString": "fields @message"}
        for given in ({}, {"logGroupName": "g", "logGroupIdentifiers": ["g"]}):
            assert refusal(logs.start_query, **query, **given)[0] == "InvalidParameterException"
        unknown = refusal(logs.start_query, **query, logGroupIdentifiers=["none"])
        assert unknown[0] == "ResourceNotFoundException"


class TestGroups:
    GROUP: Final = f"arn:aws:autoscaling:{REGION}:{HERE}:autoScalingGroup:*:autoScalingGroupName/g"

    @pytest.fixture
    def made(self, enforcing: Enforcing) -> dict[str, str]:
        """A group of one instance, and its subnet."""
        ec2, scaling = enforcing.client("ec2"), enforcing.client("autoscaling")
        iam = enforcing.client("iam")
        iam.create_instance_profile(InstanceProfileName="p")
        role = enforcing.role("held", trust={"Service": "ec2.amazonaws.com"})
        iam.add_role_to_instance_profile(InstanceProfileName="p", RoleName="held")
        data = {"ImageId": IMAGE, "InstanceType": "t3.micro", "IamInstanceProfile": {"Name": "p"}}
        ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        scaling.create_auto_scaling_group(AutoScalingGroupName="g", **self._settings(subnet, 1))
        [group] = scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        return {
            "subnet": subnet,
            "instance": group["Instances"][0]["InstanceId"],
            "arn": group["AutoScalingGroupARN"],
            "role": role,
        }

    @staticmethod
    def _settings(subnet: str, count: int) -> dict[str, Any]:
        template = {"LaunchTemplateName": "template", "Version": "1"}
        return {"LaunchTemplate": template, "MinSize": count, "MaxSize": 2, "VPCZoneIdentifier": subnet}

    @pytest.mark.parametrize("exact", [False, True])
    def test_fails_when_a_group_is_named_by_an_instance_or_in_a_tag(
        self, enforcing: Enforcing, made: dict[str, str], exact: bool
    ) -> None:
        worker = enforcing.worker("autoscaling", *_but("autoscaling:*", made["arn"] if exact else self.GROUP))
        tag = {"ResourceId": "g", "ResourceType": "auto-scaling-group", "Key": "a"}
        instance = {"InstanceId": made["instance"]}
        for call, given in (
            (worker.create_or_update_tags, {"Tags": [{**tag, "Value": "b", "PropagateAtLaunch": False}]}),
            (worker.delete_tags, {"Tags": [tag]}),
            (worker.set_instance_health, {**instance, "HealthStatus": "Unhealthy"}),
            (worker.terminate_instance_in_auto_scaling_group, {**instance, "ShouldDecrementDesiredCapacity": False}),
            (worker.set_desired_capacity, {"AutoScalingGroupName": "g", "DesiredCapacity": 0}),
        ):
            assert refusal(call, **given)[0] == "AccessDenied"

    def test_fails_when_a_launch_configuration_may_not_be_deleted(self, enforcing: Enforcing) -> None:
        scaling = enforcing.client("autoscaling")
        scaling.create_launch_configuration(LaunchConfigurationName="c", ImageId=IMAGE, InstanceType="t3.micro")
        [found] = scaling.describe_launch_configurations()["LaunchConfigurations"]
        worker = enforcing.worker("autoscaling", *_but("autoscaling:*", found["LaunchConfigurationARN"]))
        assert refusal(worker.delete_launch_configuration, LaunchConfigurationName="c")[0] == "AccessDenied"

    def test_fails_when_what_a_group_launches_may_not_be_launched(
        self, enforcing: Enforcing, made: dict[str, str]
    ) -> None:
        settings = self._settings(made["subnet"], 0)
        mixed = {"LaunchTemplate": {"LaunchTemplateSpecification": settings["LaunchTemplate"]}}
        many = {name: value for name, value in settings.items() if name != "LaunchTemplate"}
        for missing, named in (("ec2:RunInstances", "ec2:RunInstances"), ("iam:PassRole", made["role"])):
            worker = enforcing.worker("autoscaling", *_but(missing))
            for call, given in (
                (worker.create_auto_scaling_group, {"AutoScalingGroupName": "h", **settings}),
                (
                    worker.create_auto_scaling_group,
                    {"AutoScalingGroupName": "h", **many, "MixedInstancesPolicy": mixed},
                ),
                (worker.update_auto_scaling_group, {"AutoScalingGroupName": "g", **settings}),
            ):
                code, message = refusal(call, **given)
                assert code == "AccessDenied"
                assert named in message
            # Without a template nothing is launched that IAM is asked about.
            worker.update_auto_scaling_group(AutoScalingGroupName="g", MaxSize=2)

    @pytest.mark.parametrize("missing", ["ec2:RunInstances", "iam:PassRole"])
    def test_fails_when_what_a_fleet_launches_may_not_be_launched(
        self, enforcing: Enforcing, made: dict[str, str], missing: str
    ) -> None:
        worker = enforcing.worker("ec2", *_but(missing))
        template = {"LaunchTemplateName": "template", "Version": "1"}
        config = {"LaunchTemplateSpecification": template, "Overrides": [{"SubnetId": made["subnet"]}]}
        capacity = {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"}
        fleet = {"Type": "instant", "TargetCapacitySpecification": capacity, "LaunchTemplateConfigs": [config]}
        assert missing in refusal(worker.create_fleet, **fleet)[1]
        role = enforcing.role("fleet", trust={"Service": "spotfleet.amazonaws.com"})
        only = {"Effect": "Deny", "Action": missing, "Resource": "*" if missing.startswith("ec2") else made["role"]}
        worker = enforcing.worker("ec2", {"Action": "*"}, only)
        launch = {"ImageId": IMAGE, "SubnetId": made["subnet"], "IamInstanceProfile": {"Name": "p"}}
        for given in ({"LaunchTemplateConfigs": [config]}, {"LaunchSpecifications": [launch]}):
            asked = {"IamFleetRole": role, "TargetCapacity": 1, **given}
            assert missing in refusal(worker.request_spot_fleet, SpotFleetRequestConfig=asked)[1]

    def test_fails_when_an_override_may_not_be_launched(self, enforcing: Enforcing, made: dict[str, str]) -> None:
        large = {"StringEquals": {"ec2:InstanceType": "m5.24xlarge"}}
        worker = enforcing.worker("autoscaling", *_but("ec2:RunInstances", Condition=large))
        settings = self._settings(made["subnet"], 0)
        template = {"LaunchTemplateSpecification": settings.pop("LaunchTemplate")}
        for kind, refused in (("m5.24xlarge", True), ("t3.nano", False)):
            mixed = {
                "LaunchTemplate": {**template, "Overrides": [{"InstanceType": "t3.small"}, {"InstanceType": kind}]}
            }
            given = {"AutoScalingGroupName": kind, **settings, "MixedInstancesPolicy": mixed}
            if refused:
                assert "ec2:RunInstances" in refusal(worker.create_auto_scaling_group, **given)[1]
            else:
                worker.create_auto_scaling_group(**given)


class TestLocks:
    FAR: Final = datetime.datetime(2040, 1, 1, tzinfo=datetime.UTC)
    NEAR: Final = datetime.datetime(2039, 1, 1, tzinfo=datetime.UTC)

    @pytest.fixture
    def s3(self, enforcing: Enforcing) -> Any:
        """S3 with a bucket that locks objects."""
        client = enforcing.client("s3")
        where = {"LocationConstraint": REGION}
        client.create_bucket(Bucket="lock", CreateBucketConfiguration=where, ObjectLockEnabledForBucket=True)
        return client

    def _kept(self, s3: Any, mode: str) -> dict[str, str]:
        put = s3.put_object(Bucket="lock", Key="k", Body=b"x", ObjectLockMode=mode, ObjectLockRetainUntilDate=self.FAR)
        return {"Bucket": "lock", "Key": "k", "VersionId": put["VersionId"]}

    @pytest.mark.parametrize(
        ("given", "action"),
        [
            ({"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": FAR}, "s3:PutObjectRetention"),
            ({"ObjectLockLegalHoldStatus": "ON"}, "s3:PutObjectLegalHold"),
            ({"Tagging": "a=b"}, "s3:PutObjectTagging"),
            ({"ACL": "private"}, "s3:PutObjectAcl"),
        ],
    )
    def test_fails_when_an_object_may_not_be_put_with_it(
        self, enforcing: Enforcing, s3: Any, given: dict[str, Any], action: str
    ) -> None:
        s3.put_object(Bucket="lock", Key="source", Body=b"x")
        worker = enforcing.worker("s3", *_but(action))
        name = {"Bucket": "lock", "Key": "k"}
        assert action in refusal(worker.put_object, **name, Body=b"x", **given)[1]
        assert action in refusal(worker.copy_object, **name, CopySource="lock/source", **given)[1]
        assert action in refusal(worker.create_multipart_upload, **name, **given)[1]
        assert worker.put_object(**name, Body=b"x")

    def test_fails_when_governance_may_not_be_bypassed(self, enforcing: Enforcing, s3: Any) -> None:
        kept = self._kept(s3, "GOVERNANCE")
        worker = enforcing.worker("s3", *_but("s3:BypassGovernanceRetention"))
        shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": self.NEAR}
        several = {"Objects": [{"Key": "k", "VersionId": kept["VersionId"]}]}
        for call, given in (
            (worker.delete_object, kept),
            (worker.delete_objects, {"Bucket": "lock", "Delete": several}),
            (worker.put_object_retention, {**kept, "Retention": shorter}),
        ):
            message = refusal(call, **given, BypassGovernanceRetention=True)[1]
            assert "s3:BypassGovernanceRetention on resource: arn:aws:s3:::lock/k" in message
        # Without the header nothing is checked, and nothing is changed.
        assert refusal(s3.put_object_retention, **kept, Retention=shorter)[0] == "AccessDenied"
        assert refusal(s3.delete_object, **kept)[0] == "AccessDenied"
        assert refusal(s3.delete_object, **kept, BypassGovernanceRetention=False)[0] == "AccessDenied"
        s3.put_object_retention(**kept, Retention=shorter, BypassGovernanceRetention=True)
        s3.delete_object(**kept, BypassGovernanceRetention=True)

    def test_fails_when_a_retention_for_compliance_is_weakened(self, s3: Any) -> None:
        kept = self._kept(s3, "COMPLIANCE")
        for mode, until in (("COMPLIANCE", self.NEAR), ("GOVERNANCE", self.FAR)):
            weaker = {"Mode": mode, "RetainUntilDate": until}
            asked = {**kept, "Retention": weaker, "BypassGovernanceRetention": True}
            assert refusal(s3.put_object_retention, **asked)[0] == "AccessDenied"
        longer = {"Mode": "COMPLIANCE", "RetainUntilDate": self.FAR + datetime.timedelta(days=1)}
        s3.put_object_retention(**kept, Retention=longer)
        assert refusal(s3.delete_object, **kept, BypassGovernanceRetention=True)[0] == "AccessDenied"

    @pytest.mark.parametrize(
        ("operator", "key", "value"),
        [
            ("NumericGreaterThan", "s3:object-lock-remaining-retention-days", "30"),
            ("DateGreaterThan", "s3:object-lock-retain-until-date", "2035-01-01T00:00:00Z"),
            ("StringEquals", "s3:object-lock-mode", "GOVERNANCE"),
            ("StringEquals", "s3:object-lock-legal-hold", "ON"),
        ],
    )
    def test_fails_when_a_condition_compares_the_lock(
        self, enforcing: Enforcing, s3: Any, operator: str, key: str, value: str
    ) -> None:
        worker = enforcing.worker("s3", *_but("s3:*", Condition={operator: {key: value}}))
        name = {"Bucket": "lock", "Key": "k"}
        lock = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": self.FAR}
        hold = {"ObjectLockLegalHoldStatus": "ON"}
        given = hold if key.endswith("hold") else lock
        assert "explicit deny" in refusal(worker.put_object, **name, Body=b"x", **given)[1]
        assert worker.put_object(**name, Body=b"x")
        kept = self._kept(s3, "GOVERNANCE")
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": self.FAR}
        document: dict[str, Any] = {"Retention": retention}
        call = worker.put_object_retention
        if given is hold:
            document, call = {"LegalHold": {"Status": "ON"}}, worker.put_object_legal_hold
        assert "explicit deny" in refusal(call, **kept, **document)[1]

    def test_fails_when_a_bucket_may_not_lock(self, enforcing: Enforcing) -> None:
        worker = enforcing.worker("s3", *_but("s3:PutBucketObjectLockConfiguration"))
        made = {"Bucket": "other", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
        assert "ObjectLock" in refusal(worker.create_bucket, **made, ObjectLockEnabledForBucket=True)[1]
        assert worker.create_bucket(**made)


class TestCode:
    @pytest.fixture
    def function(self, enforcing: Enforcing) -> dict[str, Any]:
        """What a function of code in a bucket is made with."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("m.py", "def h(event, context): return 1")
        s3 = enforcing.client("s3")
        s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="code", Key="z", Body=packed.getvalue())
        role = enforcing.role("function", trust={"Service": "lambda.amazonaws.com"})
        return {"FunctionName": "f", "Role": role, "Runtime": "python3.12", "Handler": "m.h"}

    def test_fails_when_the_code_in_a_bucket_may_not_be_read(
        self, enforcing: Enforcing, function: dict[str, Any]
    ) -> None:
        code = {"S3Bucket": "code", "S3Key": "z"}
        worker = enforcing.worker("lambda", *_but("s3:GetObject", "arn:aws:s3:::code/z"))
        assert "s3:GetObject" in refusal(worker.create_function, **function, Code=code)[1]
        assert "s3:GetObject" in refusal(worker.publish_layer_version, LayerName="l", Content=code)[1]
        enforcing.client("lambda").create_function(**function, Code=code)
        assert "s3:GetObject" in refusal(worker.update_function_code, FunctionName="f", **code)[1]
        versioned = {"FunctionName": "f", **code, "S3ObjectVersion": "v"}
        worker = enforcing.worker("lambda", *_but("s3:GetObjectVersion"))
        assert "s3:GetObjectVersion" in refusal(worker.update_function_code, **versioned)[1]

    def test_fails_when_a_layer_may_not_be_read(self, enforcing: Enforcing, function: dict[str, Any]) -> None:
        code = {"S3Bucket": "code", "S3Key": "z"}
        layer = enforcing.client("lambda").publish_layer_version(LayerName="l", Content=code)["LayerVersionArn"]
        worker = enforcing.worker("lambda", *_but("lambda:GetLayerVersion"))
        message = refusal(worker.create_function, **function, Code=code, Layers=[layer])[1]
        assert f"lambda:GetLayerVersion on resource: {layer}" in message


class TestRules:
    BUS: Final = f"arn:aws:events:{REGION}:{THERE}:event-bus/default"

    def test_fails_when_the_bus_of_a_rule_is_of_another_account(self, enforcing: Enforcing) -> None:
        worker = enforcing.worker("events", {"Action": "events:*"})
        target = {"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{HERE}:q"}
        rule = f"on resource: arn:aws:events:{REGION}:{THERE}:rule/r"
        for call, given in (
            (worker.put_rule, {"Name": "r", "EventPattern": '{"source": ["x"]}'}),
            (worker.put_targets, {"Rule": "r", "Targets": [target]}),
            (worker.disable_rule, {"Name": "r"}),
            (worker.delete_rule, {"Name": "r"}),
        ):
            assert rule in refusal(call, EventBusName=self.BUS, **given)[1]
        entry = {"Source": "s", "DetailType": "d", "Detail": "{}", "EventBusName": self.BUS}
        assert self.BUS in refusal(worker.put_events, Entries=[entry])[1]

    DETAIL: Final = {"service": ["EC2"], "eventTypeCode": ["CODE"], "userIdentity": {"principalId": ["AIDA"]}}
    PATTERN: Final = json.dumps(
        {"source": ["aws.ec2", "own"], "detail-type": ["a"], "detail": DETAIL, "$or": [{"account": ["1"]}]}
    )

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("events:source", "aws.ec2"),
            ("events:source", "own"),
            ("events:detail-type", "a"),
            ("events:detail.service", "EC2"),
            ("events:detail.eventTypeCode", "CODE"),
            ("events:detail.userIdentity.principalId", "AIDA"),
        ],
    )
    def test_fails_when_a_rule_may_not_match_a_source(self, enforcing: Enforcing, key: str, value: str) -> None:
        denied = {"ForAnyValue:StringEquals": {key: value}}
        worker = enforcing.worker("events", *_but("events:PutRule", Condition=denied))
        given = {"Name": "r", "EventPattern": self.PATTERN}
        assert "with an explicit deny" in refusal(worker.put_rule, **given)[1]
        assert worker.put_rule(Name="r", EventPattern='{"source": ["other"]}')["RuleArn"]
        assert worker.put_rule(Name="r", ScheduleExpression="rate(1 day)")["RuleArn"]

    def test_when_only_some_sources_may_be_matched_then_a_prefix_is_none_of_them(self, enforcing: Enforcing) -> None:
        condition = {"ForAllValues:StringEquals": {"events:source": ["aws.ec2"]}, "Null": {"events:source": "false"}}
        worker = enforcing.worker("events", {"Action": "events:PutRule", "Condition": condition})
        assert worker.put_rule(Name="r", EventPattern='{"source": ["aws.ec2"]}')["RuleArn"]
        for pattern in ('{"source": ["aws.ec2", "own"]}', '{"source": [{"prefix": "aws."}]}', '{"detail-type": ["a"]}'):
            assert refusal(worker.put_rule, Name="r", EventPattern=pattern)[0] == "AccessDeniedException"

    @pytest.mark.parametrize(
        ("key", "pattern"),
        [
            ("events:source", {"$or": [{"source": ["secret"]}, {"detail-type": ["x"]}]}),
            ("events:detail.service", {"detail": {"$or": [{"service": ["secret"]}, {"other": ["x"]}]}}),
        ],
    )
    def test_fails_when_an_alternative_of_a_pattern_may_not_be_matched(
        self, enforcing: Enforcing, key: str, pattern: dict[str, Any]
    ) -> None:
        denied = {"ForAnyValue:StringEquals": {key: "secret"}}
        worker = enforcing.worker("events", *_but("events:PutRule", Condition=denied))
        assert "with an explicit deny" in refusal(worker.put_rule, Name="r", EventPattern=json.dumps(pattern))[1]

    @pytest.mark.parametrize("key", ["events:creatorAccount", "events:ManagedBy", "events:eventBusInvocation"])
    def test_fails_when_a_condition_compares_what_the_account_cannot_tell(self, enforcing: Enforcing, key: str) -> None:
        condition = {"StringEqualsIfExists": {key: HERE}}
        worker = enforcing.worker("events", {"Action": "events:*", "Condition": condition})
        assert refusal(worker.put_rule, Name="r", EventPattern='{"source": ["x"]}')[0] == "AccessDeniedException"

    def test_fails_when_a_rule_may_not_have_a_target(self, enforcing: Enforcing) -> None:
        enforcing.client("events").put_rule(Name="r", ScheduleExpression="rate(1 day)")
        arn = f"arn:aws:sqs:{REGION}:{HERE}:"
        denied = {"ForAnyValue:ArnLike": {"events:TargetArn": f"{arn}no*"}}
        worker = enforcing.worker("events", *_but("events:PutTargets", Condition=denied))
        targets = [{"Id": "1", "Arn": f"{arn}yes"}, {"Id": "2", "Arn": f"{arn}none"}]
        assert "with an explicit deny" in refusal(worker.put_targets, Rule="r", Targets=targets)[1]
        assert worker.put_targets(Rule="r", Targets=targets[:1])["FailedEntryCount"] == 0


class TestListings:
    @pytest.fixture
    def s3(self, enforcing: Enforcing) -> Any:
        """S3 with a bucket of one object."""
        client = enforcing.client("s3")
        client.create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
        client.put_object(Bucket="vic", Key="k", Body=b"x")
        return client

    @pytest.mark.parametrize("method", ["list_objects", "list_objects_v2"])
    def test_when_a_prefix_is_sent_empty_then_that_is_its_value(
        self, enforcing: Enforcing, s3: Any, method: str
    ) -> None:
        condition = {"StringEquals": {"s3:prefix": ["", "home/"], "s3:delimiter": "/"}}
        worker = enforcing.worker("s3", {"Action": "s3:ListBucket", "Condition": condition})
        call = getattr(worker, method)
        assert call(Bucket="vic", Prefix="", Delimiter="/")["Contents"]
        assert refusal(call, Bucket="vic", Delimiter="/")[0] == "AccessDenied"
        assert refusal(call, Bucket="vic", Prefix="")[0] == "AccessDenied"

    def test_fails_when_attributes_are_read_of_an_object_that_may_not_be(self, enforcing: Enforcing, s3: Any) -> None:
        given = {"Bucket": "vic", "Key": "k", "ObjectAttributes": ["ETag"]}
        for one, other in (("GetObjectAttributes", "GetObject"), ("GetObject", "GetObjectAttributes")):
            worker = enforcing.worker("s3", {"Action": f"s3:{one}"})
            assert f"s3:{other}" in refusal(worker.get_object_attributes, **given)[1]
        both = enforcing.worker("s3", {"Action": ["s3:GetObject", "s3:GetObjectAttributes"]})
        assert both.get_object_attributes(**given)["ETag"]


class TestImages:
    def test_fails_when_the_snapshots_of_an_image_may_not_be_made(self, enforcing: Enforcing) -> None:
        made = enforcing.client("ec2").run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"][0]
        arns = [f"arn:aws:ec2:{REGION}:{HERE}:instance/*", f"arn:aws:ec2:{REGION}::image/*"]
        given = {"InstanceId": made["InstanceId"], "Name": "image"}
        worker = enforcing.worker("ec2", {"Action": "ec2:CreateImage", "Resource": arns})
        assert refusal(worker.create_image, **given)[0] == "UnauthorizedOperation"
        worker = enforcing.worker(
            "ec2", {"Action": "ec2:CreateImage", "Resource": [*arns, f"arn:aws:ec2:{REGION}::snapshot/*"]}
        )
        assert worker.create_image(**given)["ImageId"]


class TestStatements:
    @pytest.fixture
    def table(self, enforcing: Enforcing) -> Any:
        """DynamoDB with a table of two items."""
        client = enforcing.client("dynamodb")
        client.create_table(
            TableName="t-t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for key in ("mine", "his"):
            client.put_item(TableName="t-t", Item={"k": {"S": key}})
        return client

    @pytest.mark.parametrize(
        ("statement", "parameters"),
        [
            ("SELECT * FROM \"t-t\" WHERE k='{}'", False),
            ('select * from "t-t" where "k" = ?', True),
            ('SELECT * FROM "t-t" WHERE k=?;', True),
            ("SELECT * FROM \"t-t\" WHERE k IN ['{}', 'mine']", False),
            ("INSERT INTO \"t-t\" VALUE {{'k': '{}', 'a': 'x'}}", False),
            ("INSERT INTO \"t-t\" VALUE {{'k': ?}}", True),
            ("UPDATE \"t-t\" SET a='1' WHERE k='{}'", False),
            ('UPDATE "t-t" SET a = ? WHERE k = ?', True),
            ("DELETE FROM \"t-t\" WHERE k = '{}'", False),
            ('DELETE FROM "t-t" WHERE k=?', True),
        ],
    )
    def test_fails_when_a_statement_names_another_key(
        self, enforcing: Enforcing, table: Any, statement: str, parameters: bool
    ) -> None:
        condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine", "new"]}}
        worker = enforcing.worker("dynamodb", {"Action": "dynamodb:*", "Condition": condition})

        def one(key: str) -> dict[str, Any]:
            given = [{"S": "mine"}] * (statement.count("?") - 1) + [{"S": key}]
            return {"Statement": statement.format(key), **({"Parameters": given} if parameters else {})}

        assert refusal(worker.execute_statement, **one("his"))[0] == "AccessDeniedException"
        other = {"Statement": "SELECT * FROM \"t-t\" WHERE k = 'mine'"}
        assert refusal(worker.batch_execute_statement, Statements=[other, one("his")])[0] == "AccessDeniedException"
        several = [other, one("his")]
        assert refusal(worker.execute_transaction, TransactStatements=several)[0] == "AccessDeniedException"
        new = "new" if statement.startswith("INSERT") else "mine"
        assert "Items" in worker.execute_statement(**one(new))

    def test_fails_when_the_whole_table_is_read(self, enforcing: Enforcing, table: Any) -> None:
        worker = enforcing.worker(
            "dynamodb", *_but("dynamodb:PartiQLSelect", Condition={"Bool": {"dynamodb:FullTableScan": "true"}})
        )
        assert refusal(worker.execute_statement, Statement='SELECT * FROM "t-t"')[0] == "AccessDeniedException"
        assert worker.execute_statement(Statement="SELECT * FROM \"t-t\" WHERE k = 'his'")["Items"]

    @pytest.mark.parametrize("statement", ["SELECT", "nothing", 'SELECT * FROM "t-t" WHERE'])
    def test_fails_when_a_statement_cannot_be_read(self, table: Any, statement: str) -> None:
        assert refusal(table.execute_statement, Statement=statement)[0] == "ValidationException"
        assert refusal(table.batch_execute_statement, Statements=[{"Statement": statement}])[0] == "ValidationException"


class TestLeadingKeys:
    """Source: Amazon DynamoDB Developer Guide, "Using IAM policy conditions for fine-grained access control"."""

    @pytest.fixture
    def worker(self, enforcing: Enforcing) -> Any:
        """What may reach one item of a table, and all of another."""
        client = enforcing.client("dynamodb")
        for name in ("kept", "free"):
            client.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        arn = f"arn:aws:dynamodb:{REGION}:{HERE}:table"
        own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["mine"]}}
        return enforcing.worker(
            "dynamodb",
            {"Action": "dynamodb:*", "Resource": f"{arn}/kept", "Condition": own},
            {"Action": "dynamodb:*", "Resource": f"{arn}/free"},
        )

    def test_fails_when_an_old_query_compares_another_key(self, worker: Any) -> None:
        def asked(key: str) -> dict[str, Any]:
            return {"k": {"AttributeValueList": [{"S": key}], "ComparisonOperator": "EQ"}}

        assert refusal(worker.query, TableName="kept", KeyConditions=asked("his"))[0] == "AccessDeniedException"
        assert worker.query(TableName="kept", KeyConditions=asked("mine"))["Count"] == 0

    @pytest.mark.parametrize("by_arn", [False, True])
    @pytest.mark.parametrize("method", ["batch_write_item", "batch_get_item", "write", "get"])
    def test_when_a_call_is_about_several_tables_then_each_has_its_own_keys(
        self, worker: Any, method: str, by_arn: bool
    ) -> None:
        def call(kept: str) -> Any:
            before = f"arn:aws:dynamodb:{REGION}:{HERE}:table/" if by_arn else ""
            keys = {f"{before}kept": kept, f"{before}free": "his"}
            if method == "batch_write_item":
                puts = {name: [{"PutRequest": {"Item": {"k": {"S": key}}}}] for name, key in keys.items()}
                return worker.batch_write_item(RequestItems=puts)
            if method == "batch_get_item":
                return worker.batch_get_item(RequestItems={n: {"Keys": [{"k": {"S": key}}]} for n, key in keys.items()})
            if method == "write":
                items = [{"Put": {"TableName": name, "Item": {"k": {"S": key}}}} for name, key in keys.items()]
                return worker.transact_write_items(TransactItems=items)
            items = [{"Get": {"TableName": name, "Key": {"k": {"S": key}}}} for name, key in keys.items()]
            return worker.transact_get_items(TransactItems=items)

        call("mine")
        assert refusal(call, kept="his")[0] == "AccessDeniedException"


class TestPolicies:
    ALLOW: Final = {"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ({**ALLOW, "Principal": "*"}, "should not specify a principal"),
            ({**ALLOW, "NotPrincipal": {"AWS": "*"}}, "should not specify a principal"),
            ({**ALLOW, "Sid": "a b"}, "alpha-numeric"),
            ({**ALLOW, "NotAction": "s3:*"}, ""),
            ({**ALLOW, "Foo": 1}, ""),
        ],
    )
    def test_fails_when_a_policy_of_an_identity_is_malformed(
        self, enforcing: Enforcing, statement: dict[str, Any], said: str
    ) -> None:
        iam, text = enforcing.client("iam"), policy(statement)
        iam.create_user(UserName="u")
        iam.create_group(GroupName="g")
        enforcing.role("r")
        right = iam.create_policy(PolicyName="right", PolicyDocument=policy(self.ALLOW))["Policy"]["Arn"]
        for call, given in (
            (iam.put_user_policy, {"UserName": "u", "PolicyName": "p"}),
            (iam.put_group_policy, {"GroupName": "g", "PolicyName": "p"}),
            (iam.put_role_policy, {"RoleName": "r", "PolicyName": "p"}),
            (iam.create_policy, {"PolicyName": "p"}),
            (iam.create_policy_version, {"PolicyArn": right}),
        ):
            code, message = refusal(call, PolicyDocument=text, **given)
            assert code == "MalformedPolicyDocument"
            assert said in message

    @pytest.mark.parametrize("name", ["role/*", "user/a*", "role/a?"])
    def test_fails_when_a_trust_policy_has_a_wildcard_in_an_arn(self, enforcing: Enforcing, name: str) -> None:
        enforcing.role("r")
        principal = {"AWS": f"arn:aws:iam::{HERE}:{name}"}
        text = policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
        iam = enforcing.client("iam")
        for call in (iam.create_role, iam.update_assume_role_policy):
            document = "AssumeRolePolicyDocument" if call == iam.create_role else "PolicyDocument"
            code, message = refusal(call, RoleName="r", **{document: text})
            assert (code, message) == (
                "MalformedPolicyDocument",
                f'Invalid principal in policy: "AWS":"arn:aws:iam::{HERE}:{name}"',
            )

    def test_fails_when_a_policy_is_deleted_that_is_used(self, enforcing: Enforcing) -> None:
        iam = enforcing.client("iam")
        arn = iam.create_policy(PolicyName="b", PolicyDocument=policy(self.ALLOW))["Policy"]["Arn"]
        enforcing.role("bounded", PermissionsBoundary=arn)
        assert refusal(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
        iam.delete_role_permissions_boundary(RoleName="bounded")
        iam.attach_role_policy(RoleName="bounded", PolicyArn=arn)
        assert refusal(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
        iam.detach_role_policy(RoleName="bounded", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)

    def test_fails_when_a_policy_of_a_type_is_attached_that_is_not_enabled(self, enforcing: Enforcing) -> None:
        organizations = enforcing.client("organizations")
        organizations.create_organization(FeatureSet="ALL")
        member = organizations.create_account(Email="x@example.com", AccountName="m")["CreateAccountStatus"]
        kind = "SERVICE_CONTROL_POLICY"
        made = {"Content": policy({**self.ALLOW, "Effect": "Deny"}), "Name": "d", "Description": "d", "Type": kind}
        identity = organizations.create_policy(**made)["Policy"]["PolicySummary"]["Id"]
        given = {"PolicyId": identity, "TargetId": member["AccountId"]}
        assert refusal(organizations.attach_policy, **given)[0] == "PolicyTypeNotEnabledException"
        root = organizations.list_roots()["Roots"][0]["Id"]
        organizations.enable_policy_type(RootId=root, PolicyType=kind)
        organizations.attach_policy(**given)


def test_when_flow_logs_go_to_a_bucket_then_their_creator_needs_permission_for_the_delivery(
    enforcing: Enforcing,
) -> None:
    enforcing.client("s3").create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    asked = {
        "ResourceIds": [vpc],
        "ResourceType": "VPC",
        "TrafficType": "ALL",
        "LogDestinationType": "s3",
        "LogDestination": "arn:aws:s3:::vic",
    }
    making = {"Action": "ec2:CreateFlowLogs"}
    code, message = refusal(enforcing.worker("ec2", making).create_flow_logs, **asked)
    assert (code, "logs:CreateLogDelivery" in message) == ("UnauthorizedOperation", True)
    able = enforcing.worker(
        "ec2", making, {"Action": ["logs:CreateLogDelivery", "s3:GetBucketPolicy", "s3:PutBucketPolicy"]}
    )
    assert able.create_flow_logs(**asked)["FlowLogIds"]

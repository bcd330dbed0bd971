"""Auto Scaling keeps the sizes of its groups, and knows their instances, as AWS does."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account

pytestmark = pytest.mark.rehearsal


class Groups:
    """A subnet, a launch template, and groups of them."""

    def __init__(self, account: Account) -> None:
        """Make what groups need."""
        self.account = account
        self.ec2, self.scaling = account.client("ec2"), account.client("autoscaling")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zone = self.ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=zone)
        self.subnet = made["Subnet"]["SubnetId"]
        self.image = "ami-12c6146b"
        data = {"ImageId": self.image, "InstanceType": "m5.large"}
        self.ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)

    def make(self, name: str = "g", **sizes: Any) -> list[str]:
        """Make a group of one to three instances and return the ids of those it has."""
        self.scaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            LaunchTemplate={"LaunchTemplateName": "template", "Version": "1"},
            VPCZoneIdentifier=self.subnet,
            **{"MinSize": 1, "MaxSize": 3, **sizes},
        )
        return list(self.states(name))

    def states(self, name: str = "g") -> dict[str, str]:
        """Return the state of each instance of a group."""
        return {one["InstanceId"]: one["LifecycleState"] for one in self.group(name)["Instances"]}

    def group(self, name: str = "g") -> Any:
        """Return a group."""
        [found] = self.scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
        return found

    def launch(self) -> str:
        """Return the id of an instance of no group."""
        made = self.ec2.run_instances(
            ImageId=self.image, MinCount=1, MaxCount=1, InstanceType="m5.large", SubnetId=self.subnet
        )
        return str(made["Instances"][0]["InstanceId"])

    def stand_by(self, instance: str) -> None:
        """Move an instance to standby, with the capacity decremented."""
        self.scaling.enter_standby(
            AutoScalingGroupName="g", InstanceIds=[instance], ShouldDecrementDesiredCapacity=True
        )

    def refusal(self, operation: str, **given: Any) -> tuple[str, str]:
        """Return the code and the message of the refusal of a call about the group."""
        with pytest.raises(ClientError) as refused:
            getattr(self.scaling, operation)(**{"AutoScalingGroupName": "g", **given})
        error = refused.value.response["Error"]
        return error["Code"], error["Message"]


@pytest.fixture
def groups(aws_account: Account) -> Groups:
    return Groups(aws_account)


class TestStandby:
    """What is in standby does not count in the capacity, and is not terminated by the group."""

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_when_a_group_scales_in_then_what_is_in_standby_stays(self, groups: Groups, place: int) -> None:
        ids = groups.make(MinSize=0, DesiredCapacity=3)
        groups.stand_by(ids[place])
        groups.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
        states = groups.states()
        assert states.pop(ids[place]) == "Standby"
        assert list(states.values()) == ["InService"]
        groups.scaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
        assert groups.states() == {ids[place]: "Standby"}
        [shown] = groups.ec2.describe_instances(InstanceIds=[ids[place]])["Reservations"][0]["Instances"]
        assert shown["State"]["Name"] == "running"
        assert not groups.group()["Instances"][0]["ProtectedFromScaleIn"]

    def test_when_a_policy_scales_in_then_what_is_in_standby_stays_and_the_minimum_is_kept(
        self, groups: Groups
    ) -> None:
        ids = groups.make(DesiredCapacity=3)
        groups.stand_by(ids[0])
        groups.scaling.put_scaling_policy(
            AutoScalingGroupName="g", PolicyName="in", AdjustmentType="ChangeInCapacity", ScalingAdjustment=-1
        )
        for _ in range(2):
            groups.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="in")
        assert groups.group()["DesiredCapacity"] == 1
        assert sorted(groups.states().values()) == ["InService", "Standby"]
        assert groups.states()[ids[0]] == "Standby"

    def test_when_sizes_change_then_what_is_in_standby_does_not_count(self, groups: Groups) -> None:
        ids = groups.make(DesiredCapacity=3)
        groups.stand_by(ids[0])
        groups.scaling.update_auto_scaling_group(AutoScalingGroupName="g", MaxSize=2)
        assert sorted(groups.states()) == sorted(ids)
        groups.scaling.update_auto_scaling_group(AutoScalingGroupName="g", MaxSize=1)
        assert sorted(groups.states().values()) == ["InService", "Standby"]

    def test_when_one_in_standby_is_detached_then_the_capacity_stays(self, groups: Groups) -> None:
        ids = groups.make(DesiredCapacity=2)
        groups.stand_by(ids[0])
        groups.scaling.detach_instances(
            AutoScalingGroupName="g", InstanceIds=[ids[0]], ShouldDecrementDesiredCapacity=True
        )
        assert groups.states() == {ids[1]: "InService"}
        assert groups.group()["DesiredCapacity"] == 1


class TestTargets:
    """What leaves a group leaves its target groups."""

    def test_when_instances_leave_then_they_are_no_targets(self, groups: Groups) -> None:
        elbv2 = groups.account.client("elbv2")
        made = elbv2.create_target_group(Name="web", Protocol="TCP", Port=80, VpcId=groups.vpc)
        arn = made["TargetGroups"][0]["TargetGroupArn"]
        groups.make(MinSize=0, DesiredCapacity=3, TargetGroupARNs=[arn])

        def targets() -> list[str]:
            health = elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            return sorted(one["Target"]["Id"] for one in health)

        scaling, given = groups.scaling, {"AutoScalingGroupName": "g"}
        for decrement in (True, False):
            ids = list(groups.states())
            scaling.detach_instances(**given, InstanceIds=ids[:1], ShouldDecrementDesiredCapacity=decrement)
            assert targets() == sorted(groups.states())
            assert ids[0] not in targets()
        scaling.terminate_instance_in_auto_scaling_group(
            InstanceId=next(iter(groups.states())), ShouldDecrementDesiredCapacity=False
        )
        assert targets() == sorted(groups.states())
        scaling.set_desired_capacity(**given, DesiredCapacity=1)
        assert targets() == list(groups.states())


class TestSizes:
    """A group stays within its sizes."""

    def test_fails_when_the_name_is_taken(self, groups: Groups) -> None:
        ids = groups.make()
        with pytest.raises(ClientError, match=r"\(AlreadyExists\).*A group with the name g already exists"):
            groups.make()
        assert list(groups.states()) == ids

    def test_fails_when_a_group_with_instances_is_deleted_without_force(self, groups: Groups) -> None:
        ids = groups.make(DesiredCapacity=2)
        assert groups.refusal("delete_auto_scaling_group")[0] == "ResourceInUse"
        groups.stand_by(ids[0])
        groups.scaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
        reservations = groups.ec2.describe_instances(InstanceIds=ids)["Reservations"]
        assert {one["State"]["Name"] for found in reservations for one in found["Instances"]} == {"terminated"}
        groups.make("empty", MinSize=0)
        groups.scaling.delete_auto_scaling_group(AutoScalingGroupName="empty")

    @pytest.mark.parametrize(
        ("operation", "given", "match"),
        [
            ("set_desired_capacity", {"DesiredCapacity": 9}, "value 9 is above max value 3"),
            ("set_desired_capacity", {"DesiredCapacity": 0}, "value 0 is below min value 1"),
            ("update_auto_scaling_group", {"MinSize": 4}, "Max bound, 3, must be greater"),
            ("update_auto_scaling_group", {"MaxSize": 0}, "Max bound, 0, must be greater"),
            ("update_auto_scaling_group", {"DesiredCapacity": 4}, "Desired capacity:4 must be between"),
            ("update_auto_scaling_group", {"DesiredCapacity": 1, "MinSize": 2}, "Desired capacity:1 must be between"),
        ],
    )
    def test_fails_when_a_size_cannot_be(self, groups: Groups, operation: str, given: Any, match: str) -> None:
        groups.make(DesiredCapacity=2)
        code, message = groups.refusal(operation, **given)
        assert code == "ValidationError"
        assert match in message
        group = groups.group()
        assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"], len(group["Instances"])) == (1, 3, 2, 2)

    @pytest.mark.parametrize("sizes", [{"MinSize": 4}, {"DesiredCapacity": 4}, {"DesiredCapacity": 0}])
    def test_fails_when_a_group_is_made_with_sizes_that_cannot_be(self, groups: Groups, sizes: Any) -> None:
        with pytest.raises(ClientError, match=r"\(ValidationError\).*must be"):
            groups.make(**sizes)
        assert groups.scaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
        assert groups.ec2.describe_instances()["Reservations"] == []

    def test_when_the_bounds_move_then_the_capacity_follows(self, groups: Groups) -> None:
        groups.make()
        for sizes, capacity in (({"MinSize": 2}, 2), ({"MinSize": 0, "MaxSize": 1}, 1)):
            groups.scaling.update_auto_scaling_group(AutoScalingGroupName="g", **sizes)
            assert (groups.group()["DesiredCapacity"], len(groups.states())) == (capacity, capacity)

    def test_fails_when_an_instance_leaves_below_the_minimum(self, groups: Groups) -> None:
        ids = groups.make()
        code, message = groups.refusal("detach_instances", InstanceIds=ids, ShouldDecrementDesiredCapacity=True)
        assert code == "ValidationError"
        assert "To detach 1 instance" in message
        with pytest.raises(ClientError, match=r"\(ValidationError\).*desiredSize equals minSize \(1\)"):
            groups.scaling.terminate_instance_in_auto_scaling_group(
                InstanceId=ids[0], ShouldDecrementDesiredCapacity=True
            )
        assert list(groups.states()) == ids


class TestMembers:
    """Instances are attached where they can be, and what is no member is refused."""

    def test_fails_when_an_instance_cannot_be_attached(self, groups: Groups) -> None:
        ids, stopped = groups.make(DesiredCapacity=2), groups.launch()
        groups.ec2.stop_instances(InstanceIds=[stopped])
        groups.make("other")
        for instances, match in (
            ([groups.launch(), groups.launch()], "To attach 2 more instance"),
            ([ids[0]], "already part of AutoScalingGroup:g"),
            ([next(iter(groups.states("other")))], "already part of AutoScalingGroup:other"),
            ([stopped], "not in correct state"),
            (["i-0123456789abcdef0"], "i-0123456789abcdef0 does not exist"),
        ):
            code, message = groups.refusal("attach_instances", InstanceIds=instances)
            assert code == "ValidationError"
            assert match in message
        assert list(groups.states()) == ids

    def test_when_an_instance_changes_its_group_then_the_new_one_has_it(self, groups: Groups) -> None:
        [first] = groups.make(MinSize=0, DesiredCapacity=1)
        groups.make("other", MinSize=0)
        groups.scaling.detach_instances(
            AutoScalingGroupName="g", InstanceIds=[first], ShouldDecrementDesiredCapacity=True
        )
        groups.scaling.attach_instances(AutoScalingGroupName="other", InstanceIds=[first])
        [shown] = groups.scaling.describe_auto_scaling_instances()["AutoScalingInstances"]
        assert (shown["InstanceId"], shown["AutoScalingGroupName"]) == (first, "other")
        assert groups.group("other")["DesiredCapacity"] == 1

    def test_fails_when_an_instance_is_of_no_group(self, groups: Groups) -> None:
        groups.make()
        given: dict[str, Any] = {"InstanceIds": [groups.launch()]}
        for operation, more in (
            ("detach_instances", {"ShouldDecrementDesiredCapacity": False}),
            ("set_instance_protection", {"ProtectedFromScaleIn": True}),
        ):
            code, message = groups.refusal(operation, **given, **more)
            assert code == "ValidationError"
            assert "is not part of Auto Scaling group g" in message

    @pytest.mark.parametrize("operation", ["suspend_processes", "resume_processes"])
    def test_fails_when_a_process_is_unknown(self, groups: Groups, operation: str) -> None:
        groups.make()
        groups.scaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
        code, message = groups.refusal(operation, ScalingProcesses=["Launch", "Start"])
        assert code == "ValidationError"
        assert "Invalid scaling process: Start." in message
        assert [one["ProcessName"] for one in groups.group()["SuspendedProcesses"]] == ["Launch"]


TOMORROW = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
SCHEDULED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing to do": ({}, "At least one of MinSize, MaxSize and DesiredCapacity"),
    "a minimum above the maximum": ({"MinSize": 3, "MaxSize": 2}, "greater than or equal to min bound, 3"),
    "a capacity above the maximum": ({"MaxSize": 2, "DesiredCapacity": 3}, "Desired capacity:3 must be between"),
    "a capacity below the minimum": ({"MinSize": 2, "DesiredCapacity": 1}, "Desired capacity:1 must be between"),
    "a size below zero": ({"MaxSize": -1}, "MaxSize, -1, must be at least 0"),
    "a start that has passed": ({"MinSize": 1, "StartTime": "2020-01-01T00:00:00Z"}, "start time is in the past"),
    "an end before the start": (
        {"MinSize": 1, "StartTime": TOMORROW, "EndTime": TOMORROW - datetime.timedelta(hours=1)},
        "end time is not after the start time",
    ),
    "a recurrence that is none": ({"MinSize": 1, "Recurrence": "daily"}, "recurrence string: daily is invalid"),
}


@pytest.mark.parametrize(("given", "said"), SCHEDULED.values(), ids=SCHEDULED)
def test_fails_when_an_action_is_scheduled_that_cannot_be_done(
    groups: Groups, given: dict[str, Any], said: str
) -> None:
    groups.make()
    with pytest.raises(ClientError) as error:
        groups.scaling.put_scheduled_update_group_action(
            AutoScalingGroupName="g", ScheduledActionName="a", **{"StartTime": TOMORROW, **given}
        )
    answer = error.value.response["Error"]
    assert (answer["Code"], said in answer["Message"]) == ("ValidationError", True), answer
    whole = {"ScheduledActionName": "a", "StartTime": TOMORROW, **given}
    [failed] = groups.scaling.batch_put_scheduled_update_group_action(
        AutoScalingGroupName="g", ScheduledUpdateGroupActions=[whole]
    )["FailedScheduledUpdateGroupActions"]
    assert failed["ErrorCode"] == "ValidationError"
    assert groups.scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"] == []


def test_when_two_groups_have_an_action_of_one_name_then_each_has_its_own(groups: Groups) -> None:
    groups.make("one")
    groups.make("two")
    for size, group in enumerate(("one", "two"), 1):
        groups.scaling.put_scheduled_update_group_action(
            AutoScalingGroupName=group, ScheduledActionName="night", MaxSize=size, Recurrence="0 1 * * *"
        )

    def sizes() -> dict[str, int]:
        found = groups.scaling.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
        return {one["AutoScalingGroupName"]: one["MaxSize"] for one in found}

    assert sizes() == {"one": 1, "two": 2}
    groups.scaling.delete_scheduled_action(AutoScalingGroupName="one", ScheduledActionName="night")
    assert sizes() == {"two": 2}
    with pytest.raises(ClientError, match="Scheduled action name not found"):
        groups.scaling.delete_scheduled_action(AutoScalingGroupName="one", ScheduledActionName="night")


class TestPolicies:
    def put(self, groups: Groups, group: str, adjustment: int) -> str:
        made = groups.scaling.put_scaling_policy(
            AutoScalingGroupName=group,
            PolicyName="by",
            AdjustmentType="ChangeInCapacity",
            ScalingAdjustment=adjustment,
        )
        return str(made["PolicyARN"])

    def capacities(self, groups: Groups) -> list[int]:
        return [groups.group(name)["DesiredCapacity"] for name in ("g", "other")]

    def test_when_two_groups_have_a_policy_of_one_name_then_each_has_its_own(self, groups: Groups) -> None:
        groups.make(DesiredCapacity=2)
        groups.make("other", DesiredCapacity=2)
        own, others = self.put(groups, "g", 1), self.put(groups, "other", -1)
        groups.scaling.execute_policy(AutoScalingGroupName="g", PolicyName="by")
        assert self.capacities(groups) == [3, 2]
        groups.scaling.execute_policy(PolicyName=others)
        assert self.capacities(groups) == [3, 1]
        describe = groups.scaling.describe_policies
        assert {one["PolicyARN"] for one in describe(PolicyNames=["by"])["ScalingPolicies"]} == {own, others}
        [found] = describe(PolicyNames=[others])["ScalingPolicies"]
        assert (found["AutoScalingGroupName"], found["ScalingAdjustment"]) == ("other", -1)
        groups.scaling.delete_policy(AutoScalingGroupName="other", PolicyName="by")
        [found] = describe()["ScalingPolicies"]
        assert found["PolicyARN"] == own

    def test_when_a_policy_is_put_again_then_it_is_the_same_one(self, groups: Groups) -> None:
        groups.make(DesiredCapacity=1)
        assert self.put(groups, "g", 2) == self.put(groups, "g", 1)
        groups.scaling.execute_policy(PolicyName="by")
        assert groups.group()["DesiredCapacity"] == 2

    @pytest.mark.parametrize("operation", ["execute_policy", "delete_policy"])
    def test_fails_when_no_policy_or_several_are_named(self, groups: Groups, operation: str) -> None:
        groups.make()
        groups.make("other")
        self.put(groups, "other", 1)
        code, message = groups.refusal(operation, PolicyName="by")
        assert (code, message) == ("ValidationError", "Policy by not found")
        self.put(groups, "g", 1)
        with pytest.raises(ClientError, match="Group name must be provided"):
            getattr(groups.scaling, operation)(PolicyName="by")

    def test_when_a_group_is_deleted_then_its_policies_are_too(self, groups: Groups) -> None:
        groups.make()
        groups.make("other")
        self.put(groups, "g", 1)
        kept = self.put(groups, "other", 1)
        groups.scaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
        assert [one["PolicyARN"] for one in groups.scaling.describe_policies()["ScalingPolicies"]] == [kept]

    def test_fails_when_a_policy_is_put_under_an_arn(self, groups: Groups) -> None:
        """The policy of that ARN stays."""
        groups.make(DesiredCapacity=1)
        arn = self.put(groups, "g", 1)
        with pytest.raises(ClientError, match="PolicyName must be the name of the policy, not an ARN"):
            groups.scaling.put_scaling_policy(
                AutoScalingGroupName="g", PolicyName=arn, AdjustmentType="ExactCapacity", ScalingAdjustment=0
            )
        [kept] = groups.scaling.describe_policies()["ScalingPolicies"]
        assert (kept["PolicyARN"], kept["ScalingAdjustment"]) == (arn, 1)

    @pytest.mark.parametrize(
        ("metric", "capacity"),
        [(50, 5), (59.9, 5), (60, 7), (900, 7), (49.9, 3), (45, 3), (40.1, 3), (40, 2), (-1, 2)],
    )
    def test_when_a_policy_of_steps_is_executed_then_the_metric_decides(
        self, groups: Groups, metric: float, capacity: int
    ) -> None:
        """Above the threshold a lower bound is included, below it an upper one."""
        groups.make(DesiredCapacity=4, MaxSize=9)
        steps = [(0, 10, 1), (10, None, 3), (-10, 0, -1), (None, -10, -2)]
        self.put_steps(groups, steps)
        groups.scaling.execute_policy(PolicyName="steps", MetricValue=metric, BreachThreshold=50)
        assert groups.group()["DesiredCapacity"] == capacity

    def put_steps(self, groups: Groups, steps: list[tuple[int | None, int | None, int]]) -> None:
        names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound", "ScalingAdjustment")
        groups.scaling.put_scaling_policy(
            AutoScalingGroupName="g",
            PolicyName="steps",
            PolicyType="StepScaling",
            AdjustmentType="ChangeInCapacity",
            StepAdjustments=[
                {name: value for name, value in zip(names, step, strict=True) if value is not None} for step in steps
            ],
        )

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            ({}, "MetricValue and BreachThreshold are required"),
            ({"MetricValue": 60}, "MetricValue and BreachThreshold are required"),
            ({"MetricValue": 40, "BreachThreshold": 50}, "no step adjustment for MetricValue 40"),
        ],
    )
    def test_fails_when_no_step_is_meant(self, groups: Groups, given: dict[str, float], match: str) -> None:
        groups.make(DesiredCapacity=1)
        self.put_steps(groups, [(0, None, 1)])
        with pytest.raises(ClientError, match=match) as error:
            groups.scaling.execute_policy(PolicyName="steps", **given)
        assert error.value.response["Error"]["Code"] == "ValidationError"
        assert groups.group()["DesiredCapacity"] == 1

    def test_fails_when_a_policy_has_no_steps(self, groups: Groups) -> None:
        groups.make(DesiredCapacity=1)
        self.put(groups, "g", 1)
        with pytest.raises(ClientError, match="only supported for policies of type StepScaling"):
            groups.scaling.execute_policy(PolicyName="by", MetricValue=1, BreachThreshold=1)
        metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}
        groups.scaling.put_scaling_policy(
            AutoScalingGroupName="g",
            PolicyName="tracks",
            PolicyType="TargetTrackingScaling",
            TargetTrackingConfiguration={**metric, "TargetValue": 50},
        )
        code, message = groups.refusal("execute_policy", PolicyName="tracks")
        assert (code, message) == ("ValidationError", "A policy of type TargetTrackingScaling cannot be executed")

    @pytest.mark.parametrize(
        ("given", "match"),
        [
            (
                {"AdjustmentType": "ChangeInCapacity"},
                "ScalingAdjustment is required for a policy of type SimpleScaling",
            ),
            ({"ScalingAdjustment": 1}, "AdjustmentType of a policy of type SimpleScaling must be one of"),
            (
                {"PolicyType": "StepScaling", "AdjustmentType": "ExactCapacity", "ScalingAdjustment": 1},
                "ScalingAdjustment cannot be used with a policy of type StepScaling",
            ),
            (
                {"PolicyType": "StepScaling", "AdjustmentType": "ExactCapacity"},
                "StepAdjustments is required for a policy of type StepScaling",
            ),
            ({"PolicyType": "TargetTrackingScaling"}, "TargetTrackingConfiguration is required"),
            ({"PolicyType": "Nope"}, "PolicyType must be one of: .*, not Nope"),
            ({"AdjustmentType": "ExactCapacity", "ScalingAdjustment": -1}, "must not be negative"),
            (
                {"PolicyType": "TargetTrackingScaling", "TargetTrackingConfiguration": {"TargetValue": 50}},
                "must have exactly one of: PredefinedMetricSpecification, CustomizedMetricSpecification",
            ),
            (
                {
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingConfiguration": {
                        "TargetValue": 50,
                        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                        "CustomizedMetricSpecification": {
                            "MetricName": "m",
                            "Namespace": "n",
                            "Statistic": "Average",
                        },
                    },
                },
                "must have exactly one of",
            ),
        ],
    )
    def test_fails_when_a_policy_lacks_what_its_type_requires(
        self, groups: Groups, given: dict[str, Any], match: str
    ) -> None:
        groups.make()
        with pytest.raises(ClientError, match=match):
            groups.scaling.put_scaling_policy(AutoScalingGroupName="g", PolicyName="by", **given)
        assert groups.scaling.describe_policies()["ScalingPolicies"] == []

    @pytest.mark.parametrize(
        ("bounds", "match"),
        [
            ([(None, None)], "cannot both be null"),
            ([(0, 10), (20, None)], "cannot have a gap: one ends at 10, the next begins at 20"),
            ([(0, 10), (5, None)], "cannot overlap: one ends at 10, the next begins at 5"),
            ([(0, None), (10, None)], "cannot overlap"),
            ([(None, 0), (None, -5)], "cannot overlap"),
            ([(10, 0)], "must be above its lower bound 10"),
            ([(5, 5)], "must be above its lower bound 5"),
            ([(-10, 0)], "must have a null lower bound"),
            ([(10, 20), (0, 10)], "must have a null upper bound"),
        ],
    )
    def test_fails_when_steps_do_not_fit_one_another(
        self, groups: Groups, bounds: list[tuple[float | None, float | None]], match: str
    ) -> None:
        """Source: Auto Scaling API Reference, StepAdjustment."""
        groups.make()
        names = ("MetricIntervalLowerBound", "MetricIntervalUpperBound")
        steps = [
            {"ScalingAdjustment": 1, **{name: end for name, end in zip(names, ends, strict=True) if end is not None}}
            for ends in bounds
        ]
        with pytest.raises(ClientError, match=match):
            groups.scaling.put_scaling_policy(
                AutoScalingGroupName="g",
                PolicyName="by",
                PolicyType="StepScaling",
                AdjustmentType="ChangeInCapacity",
                StepAdjustments=steps,
            )
        assert groups.scaling.describe_policies()["ScalingPolicies"] == []

    @pytest.mark.parametrize(
        ("before", "percent", "least", "after"),
        [(4, 25, None, 5), (4, 25, 2, 6), (4, 10, None, 5), (5, 50, None, 7), (4, -10, None, 3), (5, -50, None, 3)],
    )
    def test_when_a_policy_scales_by_percent_then_it_is_towards_zero_and_by_one_at_least(
        self, groups: Groups, before: int, percent: int, least: int | None, after: int
    ) -> None:
        groups.make(DesiredCapacity=before, MaxSize=9)
        groups.scaling.put_scaling_policy(
            AutoScalingGroupName="g",
            PolicyName="by",
            AdjustmentType="PercentChangeInCapacity",
            ScalingAdjustment=percent,
            **({"MinAdjustmentMagnitude": least} if least else {}),
        )
        groups.scaling.execute_policy(PolicyName="by")
        assert groups.group()["DesiredCapacity"] == after

"""EventBridge hears of the states of instances, and of what Auto Scaling groups launch and terminate."""

from __future__ import annotations

import collections
from typing import Any

from tests.strictmoto.events.conftest import Events

ZONE = "eu-central-1a"


def listening(events: Events, source: str) -> str:
    url, arn = events.queue()
    events.rule({"Arn": arn}, pattern={"source": [source]})
    return url


def states(heard: list[Any]) -> collections.Counter[str]:
    return collections.Counter(event["detail"]["state"] for event in heard)


def test_when_an_instance_changes_its_state_then_each_state_is_heard_of(events: Events) -> None:
    url, ec2 = listening(events, "aws.ec2"), events.account.client("ec2")
    image = "ami-12c6146b"
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    heard = events.heard(url, 2)
    assert states(heard) == {"pending": 1, "running": 1}
    event = heard[0]
    assert event["detail-type"] == "EC2 Instance State-change Notification"
    assert event["resources"] == [f"arn:aws:ec2:eu-central-1:123456789012:instance/{made}"]
    assert event["detail"]["instance-id"] == made
    for change, expected in (
        (ec2.stop_instances, {"stopping": 1, "stopped": 1}),
        (ec2.start_instances, {"pending": 1, "running": 1}),
        (ec2.terminate_instances, {"shutting-down": 1, "terminated": 1}),
    ):
        change(InstanceIds=[made])
        assert states(events.heard(url, 2)) == expected
    # Nothing changes any more.
    ec2.terminate_instances(InstanceIds=[made])
    assert events.silent(url)


def test_when_a_group_launches_and_terminates_then_both_are_heard_of(events: Events) -> None:
    url, scaling = listening(events, "aws.autoscaling"), events.account.client("autoscaling")
    image = "ami-12c6146b"
    scaling.create_launch_configuration(LaunchConfigurationName="l", ImageId=image, InstanceType="m5.large")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="group",
        LaunchConfigurationName="l",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=2,
        AvailabilityZones=[ZONE],
    )
    heard = events.heard(url, 2)
    ids = {event["detail"]["EC2InstanceId"] for event in heard}
    group = scaling.describe_auto_scaling_groups()["AutoScalingGroups"][0]
    assert ids == {one["InstanceId"] for one in group["Instances"]}
    for event in heard:
        assert event["detail-type"] == "EC2 Instance Launch Successful"
        assert event["resources"][0] == group["AutoScalingGroupARN"]
        detail = event["detail"]
        assert (detail["AutoScalingGroupName"], detail["Origin"], detail["Destination"]) == (
            "group",
            "EC2",
            "AutoScalingGroup",
        )
        assert detail["Details"]["Availability Zone"] == ZONE
    first, second = sorted(ids)
    scaling.terminate_instance_in_auto_scaling_group(InstanceId=first, ShouldDecrementDesiredCapacity=True)
    scaling.set_desired_capacity(AutoScalingGroupName="group", DesiredCapacity=0)
    ended = events.heard(url, 2)
    assert {event["detail-type"] for event in ended} == {"EC2 Instance Terminate Successful"}
    assert {event["detail"]["EC2InstanceId"] for event in ended} == {first, second}

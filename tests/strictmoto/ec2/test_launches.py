"""What instances are launched with: by a request, a launch template, an Auto Scaling group and a stack."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from moto.ec2.models import ec2_backends

from strictmoto.account import ACCOUNT_ID, REGION, Account
from tests.strictmoto.ec2.mirroring.network import refused

IMAGE = "ami-12345678"


@dataclass
class Place:
    """Where instances are launched, and what with."""

    account: Account
    ec2: Any
    subnet: str
    group: str
    profile: dict[str, Any]

    def template(self, **data: Any) -> str:
        """Make a launch template; return its id."""
        made = self.ec2.create_launch_template(
            LaunchTemplateName="sensor", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "m5.large", **data}
        )
        return str(made["LaunchTemplate"]["LaunchTemplateId"])

    def full(self) -> dict[str, Any]:
        """What a template says of an instance."""
        return {
            "NetworkInterfaces": [{"DeviceIndex": 0, "Groups": [self.group], "DeleteOnTermination": True}],
            "IamInstanceProfile": {"Arn": self.profile["Arn"]},
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
            "EbsOptimized": True,
            "Monitoring": {"Enabled": True},
            "BlockDeviceMappings": [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 9}}],
            "TagSpecifications": [
                {"ResourceType": kind, "Tags": [{"Key": "of", "Value": kind}]}
                for kind in ("instance", "volume", "network-interface")
            ],
        }

    def is_full(self, instance: dict[str, Any]) -> None:
        """Expect all of that."""
        assert instance["SubnetId"] == self.subnet
        assert [one["GroupId"] for one in instance["SecurityGroups"]] == [self.group]
        assert instance["IamInstanceProfile"] == {"Arn": self.profile["Arn"], "Id": self.profile["InstanceProfileId"]}
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 2
        assert (instance["EbsOptimized"], instance["Monitoring"]["State"]) == (True, "enabled")
        [device] = instance["BlockDeviceMappings"]
        interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
        for kind, found in (
            ("instance", instance["InstanceId"]),
            ("volume", device["Ebs"]["VolumeId"]),
            ("network-interface", interface),
        ):
            named = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [found]}])["Tags"]
            assert {"of": kind}.items() <= {tag["Key"]: tag["Value"] for tag in named}.items()

    def only(self) -> dict[str, Any]:
        """The one instance that there is."""
        [found] = [one for held in self.ec2.describe_instances()["Reservations"] for one in held["Instances"]]
        return dict(found)

    def attribute(self, instance: str, name: str) -> Any:
        described = self.ec2.describe_instance_attribute(InstanceId=instance, Attribute=name)
        return described[name[0].upper() + name[1:]]["Value"]


@pytest.fixture
def place(aws_account: Account) -> Place:
    ec2, iam = aws_account.client("ec2"), aws_account.client("iam")
    vpc = ec2.create_vpc(CidrBlock="10.20.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.20.0.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="own", Description="own", VpcId=vpc)["GroupId"]
    profile = iam.create_instance_profile(InstanceProfileName="sensor")["InstanceProfile"]
    return Place(aws_account, ec2, subnet, group, profile)


def run(place: Place, **given: Any) -> list[dict[str, Any]]:
    """Launch, and describe what was launched."""
    made = place.ec2.run_instances(**{"MinCount": 1, "MaxCount": 1, **given})["Instances"]
    described = place.ec2.describe_instances(InstanceIds=[one["InstanceId"] for one in made])["Reservations"]
    return [one for held in described for one in held["Instances"]]


@pytest.mark.parametrize("by", ["request", "template", "stack"])
def test_fails_when_what_was_launched_as_protected_is_terminated(place: Place, by: str) -> None:
    """RunInstances, DisableApiTermination."""
    protected = {"DisableApiTermination": True}
    if by == "request":
        run(place, ImageId=IMAGE, SubnetId=place.subnet, **protected)
    elif by == "template":
        run(place, SubnetId=place.subnet, LaunchTemplate={"LaunchTemplateId": place.template(**protected)})
    else:
        properties = {"ImageId": IMAGE, "SubnetId": place.subnet, **protected}
        body = json.dumps({"Resources": {"One": {"Type": "AWS::EC2::Instance", "Properties": properties}}})
        place.account.client("cloudformation").create_stack(StackName="one", TemplateBody=body)
    instance = place.only()["InstanceId"]
    assert place.attribute(instance, "disableApiTermination") is True
    with refused("OperationNotPermitted", "disableApiTermination"):
        place.ec2.terminate_instances(InstanceIds=[instance])
    place.ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
    place.ec2.terminate_instances(InstanceIds=[instance])


def test_when_a_template_says_something_then_the_instance_has_it(place: Place) -> None:
    data = place.full()
    data["NetworkInterfaces"][0]["SubnetId"] = place.subnet
    for instance in run(place, LaunchTemplate={"LaunchTemplateId": place.template(**data)}, MinCount=2, MaxCount=2):
        place.is_full(instance)


def test_when_the_request_says_it_too_then_the_request_counts(place: Place) -> None:
    template = place.template(**place.full())
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "of", "Value": "the request"}]}]
    [instance] = run(
        place,
        LaunchTemplate={"LaunchTemplateId": template},
        NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": place.subnet}],
        MetadataOptions={"HttpTokens": "optional"},
        EbsOptimized=False,
        TagSpecifications=tags,
    )
    assert (instance["MetadataOptions"]["HttpTokens"], instance["EbsOptimized"]) == ("optional", False)
    assert place.group not in [one["GroupId"] for one in instance["SecurityGroups"]]
    [interface] = place.ec2.describe_network_interfaces(Filters=[{"Name": "tag:of", "Values": ["the request"]}])[
        "NetworkInterfaces"
    ]
    assert interface["Attachment"]["InstanceId"] == instance["InstanceId"]


def test_when_interfaces_are_tagged_at_launch_then_those_that_are_made_have_the_tags(place: Place) -> None:
    existing = place.ec2.create_network_interface(SubnetId=place.subnet)["NetworkInterface"]["NetworkInterfaceId"]
    given = [{"DeviceIndex": 0, "SubnetId": place.subnet}, {"DeviceIndex": 1, "NetworkInterfaceId": existing}]
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]
    run(place, ImageId=IMAGE, NetworkInterfaces=given, TagSpecifications=tags)
    found = place.ec2.describe_network_interfaces(Filters=[{"Name": "tag:a", "Values": ["b"]}])["NetworkInterfaces"]
    assert [one["Attachment"]["DeviceIndex"] for one in found] == [0]


def test_when_a_group_launches_by_a_template_then_by_its_version(place: Place) -> None:
    template = place.template(**place.full())
    place.ec2.create_launch_template_version(LaunchTemplateId=template, LaunchTemplateData={"ImageId": IMAGE})
    place.ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion="2")
    groups = place.account.client("autoscaling")
    groups.create_auto_scaling_group(
        AutoScalingGroupName="sensors",
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=place.subnet,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
    )
    place.is_full(place.only())
    groups.update_auto_scaling_group(AutoScalingGroupName="sensors", MinSize=0, DesiredCapacity=0)


def test_fails_when_a_launch_names_a_profile_that_is_not_there(place: Place) -> None:
    """What Auto Scaling says of a launch template has what EC2 says of it."""
    absent = {"IamInstanceProfile": {"Name": "absent"}}
    with refused("InvalidParameterValue", "Invalid IAM Instance Profile name"):
        run(place, ImageId=IMAGE, SubnetId=place.subnet, **absent)
    with refused("ValidationError", "Invalid IAM Instance Profile name"):
        place.account.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName="sensors",
            MinSize=1,
            MaxSize=1,
            VPCZoneIdentifier=place.subnet,
            LaunchTemplate={"LaunchTemplateId": place.template(**absent)},
        )
    assert place.ec2.describe_instances()["Reservations"] == []


@pytest.mark.parametrize("named", ["Arn", "InstanceProfileName"])
def test_when_a_group_launches_by_a_configuration_then_the_instance_has_what_it_says(place: Place, named: str) -> None:
    groups = place.account.client("autoscaling")
    groups.create_launch_configuration(
        LaunchConfigurationName="sensor",
        ImageId=IMAGE,
        InstanceType="m5.large",
        EbsOptimized=True,
        IamInstanceProfile=place.profile[named],
        InstanceMonitoring={"Enabled": False},
        MetadataOptions={"HttpTokens": "required"},
    )
    groups.create_auto_scaling_group(
        AutoScalingGroupName="sensors",
        MinSize=1,
        MaxSize=1,
        VPCZoneIdentifier=place.subnet,
        LaunchConfigurationName="sensor",
    )
    found = place.only()
    assert found["IamInstanceProfile"]["Arn"] == place.profile["Arn"]
    assert (found["MetadataOptions"]["HttpTokens"], found["EbsOptimized"]) == ("required", True)
    assert found["Monitoring"]["State"] == "disabled"


def test_when_a_template_is_tagged_then_what_it_launches_is_not(place: Place) -> None:
    """Its own tags are no part of its data, so that a launch from it needs no permission to tag."""
    own, launched = ({"Key": "of", "Value": value} for value in ("template", "instance"))
    data = {"ImageId": IMAGE, "InstanceType": "m5.large"}
    of_instances = [{"ResourceType": "instance", "Tags": [launched]}]
    for name, given in (("plain", {}), ("tagging", {"TagSpecifications": of_instances})):
        template = place.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={**data, **given},
            TagSpecifications=[{"ResourceType": "launch-template", "Tags": [own]}],
        )["LaunchTemplate"]
        assert template["Tags"] == [own]
        [version] = place.ec2.describe_launch_template_versions(LaunchTemplateName=name)["LaunchTemplateVersions"]
        assert version["LaunchTemplateData"] == {**data, **given}


def test_when_an_instance_is_started_again_then_that_is_its_launch(place: Place) -> None:
    instance = place.ec2.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1, SubnetId=place.subnet)["Instances"][0]
    moved = datetime(2026, 1, 2, tzinfo=UTC)
    ec2_backends[ACCOUNT_ID][REGION].get_instance(instance["InstanceId"]).launch_time = moved
    place.ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    assert place.only()["LaunchTime"] == moved
    place.ec2.stop_instances(InstanceIds=[instance["InstanceId"]])
    assert place.only()["LaunchTime"] == moved
    place.ec2.start_instances(InstanceIds=[instance["InstanceId"]])
    assert place.only()["LaunchTime"] > moved

"""An instance with everything that containment can change, beside those that the company has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

from strictmoto.account import Account
from strictmoto.company import IMAGE, Company

PAYMENTS: Final = "payments"
"""Name of the instance, its Auto Scaling group, its role, its target groups and its classic load balancer."""
_TRACKED_SECONDS: Final = 3600


def found_payments(account: Account, company: Company) -> Company:
    """Add the instance `payments` to the company and return it.

    It is the only one of its Auto Scaling group, and has two network interfaces, two volumes that end with it, a role,
    targets by instance (two ports, and one that the group made) and by address, and a classic load balancer. All
    instances of its VPC have a time for which connections are tracked: AWS cannot take back one that was not set.
    """
    ec2 = account.client("ec2")
    group_targets = _target_group(account, company, f"{PAYMENTS}-group", "instance")
    instance = _in_its_group(account, company, group_targets)
    second = ec2.create_network_interface(
        SubnetId=company.shop.private[0],
        Groups=[company.security_groups["backup"], company.security_groups["administration"]],
    )["NetworkInterface"]["NetworkInterfaceId"]
    ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=instance, DeviceIndex=1)
    found = _described(ec2, instance)
    _with_volumes(ec2, found)
    ec2.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
    _with_role(account, instance)
    _balanced(account, company, found)
    interfaces = (found["NetworkInterfaces"][0]["NetworkInterfaceId"], second)
    whole = replace(
        company,
        instances={**company.instances, PAYMENTS: instance},
        interfaces={**company.interfaces, PAYMENTS: interfaces},
    )
    for name in ("database", "legacy", PAYMENTS):
        for interface in whole.interfaces[name]:
            ec2.modify_network_interface_attribute(
                NetworkInterfaceId=interface,
                ConnectionTrackingSpecification={"TcpEstablishedTimeout": _TRACKED_SECONDS},
            )
    return whole


def _described(ec2: Any, instance: str) -> dict[str, Any]:
    found: dict[str, Any] = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    return found


def _in_its_group(account: Account, company: Company, targets: str) -> str:
    template = {
        "ImageId": IMAGE,
        "InstanceType": "m5.large",
        "SecurityGroupIds": [company.security_groups["web"], company.security_groups["backup"]],
    }
    account.client("ec2").create_launch_template(LaunchTemplateName=PAYMENTS, LaunchTemplateData=template)
    scaling = account.client("autoscaling")
    scaling.create_auto_scaling_group(
        AutoScalingGroupName=PAYMENTS,
        LaunchTemplate={"LaunchTemplateName": PAYMENTS, "Version": "$Latest"},
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=1,
        VPCZoneIdentifier=company.shop.private[0],
        TargetGroupARNs=[targets],
    )
    [group] = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[PAYMENTS])["AutoScalingGroups"]
    [member] = group["Instances"]
    return str(member["InstanceId"])


def _with_volumes(ec2: Any, instance: dict[str, Any]) -> None:
    zone, name = instance["Placement"]["AvailabilityZone"], instance["InstanceId"]
    data = ec2.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"]
    ec2.attach_volume(VolumeId=data, InstanceId=name, Device="/dev/sdf")
    devices = [mapping["DeviceName"] for mapping in _described(ec2, name)["BlockDeviceMappings"]]
    ec2.modify_instance_attribute(
        InstanceId=name,
        BlockDeviceMappings=[{"DeviceName": device, "Ebs": {"DeleteOnTermination": True}} for device in devices],
    )


def _with_role(account: Account, instance: str) -> None:
    iam = account.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName=PAYMENTS, AssumeRolePolicyDocument=json.dumps(trust))
    iam.create_instance_profile(InstanceProfileName=PAYMENTS)
    iam.add_role_to_instance_profile(InstanceProfileName=PAYMENTS, RoleName=PAYMENTS)
    account.client("ec2").associate_iam_instance_profile(InstanceId=instance, IamInstanceProfile={"Name": PAYMENTS})


def _target_group(account: Account, company: Company, name: str, kind: str) -> str:
    made = account.client("elbv2").create_target_group(
        Name=name, Protocol="TCP", Port=80, VpcId=company.shop.id, TargetType=kind
    )
    return str(made["TargetGroups"][0]["TargetGroupArn"])


def _balanced(account: Account, company: Company, instance: dict[str, Any]) -> None:
    name, elbv2, elb = instance["InstanceId"], account.client("elbv2"), account.client("elb")
    by_instance = _target_group(account, company, f"{PAYMENTS}-by-instance", "instance")
    elbv2.register_targets(TargetGroupArn=by_instance, Targets=[{"Id": name, "Port": 8080}, {"Id": name, "Port": 8081}])
    by_address = _target_group(account, company, f"{PAYMENTS}-by-address", "ip")
    address = instance["PrivateIpAddress"]
    elbv2.register_targets(TargetGroupArn=by_address, Targets=[{"Id": address, "Port": 5432}])
    listener = {"Protocol": "tcp", "LoadBalancerPort": 80, "InstancePort": 80}
    elb.create_load_balancer(LoadBalancerName=PAYMENTS, Listeners=[listener], Subnets=[instance["SubnetId"]])
    elb.register_instances_with_load_balancer(LoadBalancerName=PAYMENTS, Instances=[{"InstanceId": name}])

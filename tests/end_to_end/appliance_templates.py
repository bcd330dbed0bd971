"""Templates that need all that the role of an appliance's stack may do: the product's template is not public."""

from __future__ import annotations

from typing import Final

IMAGE: Final = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
NESTED: Final = """
Parameters:
  Interface: {Type: String}
  Name: {Type: String}
  Use: {Type: String, Default: some}
Resources:
  Target:
    Type: AWS::EC2::TrafficMirrorTarget
    Properties:
      NetworkInterfaceId: !Ref Interface
      Tags: [{Key: Name, Value: !Sub "${Name}.target"}]
  Filter:
    Type: AWS::EC2::TrafficMirrorFilter
    Properties:
      Tags: [{Key: Name, Value: !Sub "${Name}.filter"}, {Key: Use, Value: !Ref Use}]
"""
_MORE: Final = """
  Management:
    Type: AWS::EC2::NetworkInterfaceAttachment
    Properties:
      DeviceIndex: "1"
      InstanceId: !Ref Appliance
      NetworkInterfaceId: !Ref Interface
"""


def everything(template: str, key: str, snapshot: str) -> str:
    """Return a template whose appliance is made otherwise.

    It has the image that a parameter names, a key, a disk from a snapshot, an interface of its own beside that of the
    template, and a public address.

    Args:
        template: the published one.
        key: name of a key pair.
        snapshot: id of a snapshot.
    """
    own = f"""      SubnetId: !Ref MgmtTrafficMirrorSubnetID
      SecurityGroupIds: [!Ref SecurityGroup]
      KeyName: {key}
      BlockDeviceMappings:
        - DeviceName: /dev/xvdb
          Ebs: {{SnapshotId: {snapshot}, DeleteOnTermination: true}}
"""
    for old, new in (
        ("Parameters:\n", f"Parameters:\n  Image: {{Type: AWS::SSM::Parameter::Value<String>, Default: {IMAGE}}}\n"),
        ('!Equals [!Ref PublicEIP, "true"]', '!Equals ["true", "true"]'),
        ('!FindInMap [Images, !Ref "AWS::Region", Appliance]', "!Ref Image"),
        ('      NetworkInterfaces:\n        - NetworkInterfaceId: !Ref Interface\n          DeviceIndex: "0"\n', own),
        ("    DependsOn: Appliance\n", "    DependsOn: Management\n"),
        ("\nOutputs:", f"{_MORE}\nOutputs:"),
    ):
        template = _replaced(template, old, new)
    return template


def updated(template: str) -> str:
    """Return what `everything` returns as an operator may change it: all of it in place."""
    for old, new in (
        ("      InstanceType: m5.xlarge\n", "      InstanceType: m5.xlarge\n      UserData: IyEvYmluL3NoCg==\n"),
        ("FromPort: 22\n          ToPort: 22\n", "FromPort: 2222\n          ToPort: 2222\n"),
        (
            "      Tags:\n        - Key: Name\n          Value: !Sub ${AWS::StackName}.security-group\n",
            "      SecurityGroupEgress: [{IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 0.0.0.0/0}]\n"
            "      Tags:\n        - Key: Purpose\n          Value: packets\n",
        ),
        ("      Description: Packet Basics management and mirror target\n", "      Description: Changed\n"),
        ("      Description: Packet Basics - everything\n", _SERVICES),
        ("      TrafficDirection: ingress\n", "      Description: Changed\n      TrafficDirection: ingress\n"),
        ("      SessionNumber:", "      Description: Changed\n      SessionNumber:"),
    ):
        template = _replaced(template, old, new)
    return template


_SERVICES: Final = "      Description: Packet Basics - everything\n      NetworkServices: [amazon-dns]\n"


def with_role(template: str, more: str) -> str:
    """Return a template in which the appliance has a role of its own, in a profile, with one more property."""
    role = f"""
  ApplianceRole:
    Type: AWS::IAM::Role
    Properties:
      {more}
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{{Effect: Allow, Principal: {{Service: ec2.amazonaws.com}}, Action: sts:AssumeRole}}]
      Policies:
        - PolicyName: appliance
          PolicyDocument:
            Version: "2012-10-17"
            Statement: [{{Effect: Allow, Action: ec2:DescribeTags, Resource: "*"}}]

  ApplianceProfile:
    Type: AWS::IAM::InstanceProfile
    Properties:
      Roles: [!Ref ApplianceRole]
"""
    given = "      IamInstanceProfile: !Ref ApplianceProfile\n      InstanceType: m5.xlarge\n"
    template = _replaced(template, "      InstanceType: m5.xlarge\n", given)
    return _replaced(template, "\nOutputs:", f"{role}\nOutputs:")


def nesting(template: str, url: str) -> str:
    """Return a template in which another one, `NESTED`, makes target and filter, and none makes a session."""
    before, _, rest = template.partition("  Target:\n")
    nested = f"""  Nested:
    Type: AWS::CloudFormation::Stack
    DependsOn: Appliance
    Properties:
      TemplateURL: {url}
      Parameters:
        Interface: !Ref Interface
        Name: !Ref AWS::StackName
"""
    return f"{before}{nested}\nOutputs:{rest.partition('Outputs:')[2]}"


def nested_updated(template: str) -> str:
    """Return what `nesting` returns with a change of the stack within it, in place."""
    return _replaced(
        template, "        Name: !Ref AWS::StackName\n", "        Name: !Ref AWS::StackName\n        Use: all\n"
    )


def _replaced(template: str, old: str, new: str) -> str:
    if old not in template:
        raise ValueError(f"the template has no {old!r}")
    return template.replace(old, new)

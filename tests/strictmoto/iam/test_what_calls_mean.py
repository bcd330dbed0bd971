"""IAM is asked about what a service acts on, however a call names it: a Deny on a resource holds for all its names."""

from __future__ import annotations

import gzip
import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Signing

from strictmoto.identity.principals import Credentials
from tests.strictmoto.iam.conftest import HERE, THERE, Enforcing, policy, refusal

pytestmark = pytest.mark.long

REGION: Final = "eu-central-1"
QUEUE: Final = f"arn:aws:sqs:{REGION}:{HERE}:prot"


def _but(action: str, *resources: str) -> list[dict[str, Any]]:
    return [{"Action": "*"}, {"Effect": "Deny", "Action": action, "Resource": list(resources)}]


def _send(enforcing: Enforcing, credentials: Credentials, path: str, headers: dict[str, str], body: bytes) -> int:
    """Return the status of a call of SQS that boto3 would not make."""
    url = enforcing.account.endpoint + path
    request = AWSRequest("POST", url, headers, body)
    SigV4Auth(Signing(credentials.access_key_id, credentials.secret_access_key), "sqs", REGION).add_auth(request)
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        connection.request("POST", path, body, dict(request.headers.items()))
        return connection.getresponse().status


class TestQueues:
    JSON: Final = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "AmazonSQS.SendMessage"}

    @pytest.fixture
    def denied(self, enforcing: Enforcing) -> Credentials:
        """A user who may do everything, but for one queue."""
        enforcing.client("sqs").create_queue(QueueName="prot")
        enforcing.client("sqs").create_queue(QueueName="free")
        return enforcing.user("u", *_but("sqs:*", QUEUE))

    @pytest.mark.parametrize(("name", "status"), [("prot", 403), ("free", 200)])
    def test_fails_when_the_path_names_it(
        self, enforcing: Enforcing, denied: Credentials, name: str, status: int
    ) -> None:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = b"Action=SendMessage&MessageBody=x&Version=2012-11-05"
        assert _send(enforcing, denied, f"/{HERE}/{name}", form, body) == status

    @pytest.mark.parametrize(("name", "status"), [("prot", 403), ("free", 200)])
    def test_fails_when_it_is_named_without_a_url(
        self, enforcing: Enforcing, denied: Credentials, name: str, status: int
    ) -> None:
        body = json.dumps({"QueueUrl": name, "MessageBody": "x"}).encode()
        assert _send(enforcing, denied, "/", self.JSON, body) == status

    @pytest.mark.parametrize(("name", "status"), [("prot", 403), ("free", 200)])
    def test_fails_when_the_body_is_packed(
        self, enforcing: Enforcing, denied: Credentials, name: str, status: int
    ) -> None:
        url = f"{enforcing.account.endpoint}/{HERE}/{name}"
        body = gzip.compress(json.dumps({"QueueUrl": url, "MessageBody": "x"}).encode())
        assert _send(enforcing, denied, "/", {**self.JSON, "Content-Encoding": "gzip"}, body) == status

    @pytest.mark.parametrize(
        "url",
        [
            "{}/queue/prot",
            "{}/" + HERE + "//prot",
            "{}/x/" + HERE + "/prot",
            "{}/" + HERE + "/prot/",
            "{}/" + HERE + "/prot?a=b",
            "http://x/prot",
            "/prot",
            "https://sqs.us-east-1.amazonaws.com/" + HERE + "/prot",
        ],
    )
    def test_fails_when_the_address_is_that_of_no_queue_here(self, enforcing: Enforcing, url: str) -> None:
        enforcing.client("sqs").create_queue(QueueName="prot")
        sqs = enforcing.worker("sqs", {"Action": "sqs:*"})
        address = url.format(enforcing.account.endpoint)
        assert refusal(sqs.send_message, QueueUrl=address, MessageBody="x")[0] == "InvalidAddress"

    def test_when_a_queue_of_another_account_may_be_used_then_its_messages_are_there(
        self, enforcing: Enforcing
    ) -> None:
        own = enforcing.client("sqs")
        own.create_queue(QueueName="prot")
        enforcing.account.enforces_iam = False
        iam = enforcing.client("iam", role_arn=f"arn:aws:iam::{THERE}:role/founder")
        arn = enforcing.role("owner", {"Action": "*"}, owner=iam)
        enforcing.account.enforces_iam = True
        far = enforcing.client("sqs", role_arn=arn)
        url = far.create_queue(QueueName="prot")["QueueUrl"]
        worker = enforcing.worker("sqs", {"Action": "sqs:*"})
        owner = {"QueueName": "prot", "QueueOwnerAWSAccountId": THERE}
        assert f":{THERE}:prot" in refusal(worker.get_queue_url, **owner)[1]
        everyone = {"Principal": "*", "Action": "sqs:*", "Resource": f"arn:aws:sqs:{REGION}:{THERE}:prot"}
        far.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(everyone)})
        assert worker.get_queue_url(**owner)["QueueUrl"] == url
        worker.send_message(QueueUrl=url, MessageBody="x")
        assert far.receive_message(QueueUrl=url)["Messages"]
        here = own.get_queue_url(QueueName="prot")["QueueUrl"]
        assert "Messages" not in own.receive_message(QueueUrl=here)


class TestStacks:
    TEMPLATE: Final = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    OTHER: Final = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}, "T": {"Type": "AWS::SNS::Topic"}}})

    @pytest.fixture
    def change_set(self, enforcing: Enforcing) -> dict[str, Any]:
        """A change set of the stack `prod`."""
        stacks = enforcing.client("cloudformation")
        stacks.create_stack(StackName="prod", TemplateBody=self.TEMPLATE)
        made = stacks.create_change_set(StackName="prod", ChangeSetName="c", TemplateBody=self.OTHER)
        return {"Id": made["Id"], "StackId": made["StackId"]}

    @pytest.mark.parametrize("call", ["describe_change_set", "execute_change_set", "delete_change_set"])
    @pytest.mark.parametrize("denied", ["arn:aws:cloudformation:*:*:stack/prod/*", "StackId"])
    def test_fails_when_a_change_set_is_named_by_its_arn(
        self, enforcing: Enforcing, change_set: dict[str, Any], call: str, denied: str
    ) -> None:
        stacks = enforcing.worker("cloudformation", *_but("cloudformation:*", change_set.get(denied, denied)))
        assert refusal(getattr(stacks, call), ChangeSetName=change_set["Id"])[0] == "AccessDenied"

    def test_when_the_stack_of_a_change_set_is_allowed_then_it_is(
        self, enforcing: Enforcing, change_set: dict[str, Any]
    ) -> None:
        allowed = {"Action": "cloudformation:*", "Resource": change_set["StackId"]}
        stacks = enforcing.worker("cloudformation", allowed)
        assert stacks.describe_stacks(StackName="prod")["Stacks"]
        assert stacks.describe_change_set(ChangeSetName=change_set["Id"])["StackName"] == "prod"

    def test_fails_when_a_name_is_denied_by_the_whole_arn(
        self, enforcing: Enforcing, change_set: dict[str, Any]
    ) -> None:
        stacks = enforcing.worker("cloudformation", *_but("cloudformation:*", change_set["StackId"]))
        assert refusal(stacks.get_template, StackName="prod")[0] == "AccessDenied"

    @pytest.mark.parametrize("named", ["Id", "name"])
    def test_fails_when_a_change_set_has_another_name(
        self, enforcing: Enforcing, change_set: dict[str, Any], named: str
    ) -> None:
        def only(name: str) -> dict[str, Any]:
            condition = {"StringEquals": {"cloudformation:ChangeSetName": name}}
            return {"Action": "cloudformation:DescribeChangeSet", "Condition": condition}

        given = {"ChangeSetName": change_set["Id"]}
        if named == "name":
            given = {"ChangeSetName": "c", "StackName": "prod"}
        assert enforcing.worker("cloudformation", only("c")).describe_change_set(**given)
        other = enforcing.worker("cloudformation", only("d"))
        assert refusal(other.describe_change_set, **given)[0] == "AccessDenied"

    @pytest.mark.parametrize(
        ("key", "given", "value"),
        [
            ("StackPolicyUrl", {"StackPolicyURL": "https://b.s3.amazonaws.com/p"}, "https://b.s3.amazonaws.com/p"),
            ("TemplateUrl", {"TemplateURL": "https://b.s3.amazonaws.com/t"}, "https://b.s3.amazonaws.com/t"),
            ("RoleArn", {"RoleARN": f"arn:aws:iam::{HERE}:role/r"}, f"arn:aws:iam::{HERE}:role/r"),
            ("ResourceTypes", {"ResourceTypes": ["AWS::SQS::Queue"]}, "AWS::SQS::Queue"),
        ],
    )
    def test_fails_when_a_condition_compares_what_a_stack_is_given(
        self, enforcing: Enforcing, key: str, given: dict[str, Any], value: str
    ) -> None:
        condition = {"ForAnyValue:StringEquals": {f"cloudformation:{key}": value}}
        deny = {"Effect": "Deny", "Action": "cloudformation:*", "Condition": condition}
        stacks = enforcing.worker("cloudformation", {"Action": "*"}, deny)
        body = {} if "TemplateURL" in given else {"TemplateBody": self.TEMPLATE}
        for call in (stacks.create_stack, stacks.update_stack):
            code, message = refusal(call, StackName="s", **body, **given)
            assert code == "AccessDenied"
            assert "explicit deny" in message

    def test_fails_when_a_template_has_other_types_than_those_that_are_listed(self, enforcing: Enforcing) -> None:
        stacks = enforcing.client("cloudformation")
        made = {"StackName": "s", "TemplateBody": self.OTHER}
        for listed in (["AWS::SQS::Queue"], ["AWS::SQS::*"]):
            assert refusal(stacks.create_stack, **made, ResourceTypes=listed)[0] == "ValidationError"
            more = {"ChangeSetName": "c", "ChangeSetType": "CREATE", "ResourceTypes": listed}
            assert refusal(stacks.create_change_set, **made, **more)[0] == "ValidationError"
        assert stacks.create_stack(**made, ResourceTypes=["AWS::SQS::*", "AWS::SNS::Topic"])["StackId"]
        assert refusal(stacks.update_stack, **made, ResourceTypes=["AWS::SQS::*"])[0] == "ValidationError"


class TestObjects:
    @pytest.fixture
    def bucket(self, enforcing: Enforcing) -> str:
        s3 = enforcing.client("s3")
        s3.create_bucket(Bucket="vic", CreateBucketConfiguration={"LocationConstraint": REGION})
        s3.put_object(Bucket="vic", Key="se cret", Body=b"x")
        return "vic"

    def test_fails_when_the_source_of_a_copy_is_quoted(self, enforcing: Enforcing, bucket: str) -> None:
        s3 = enforcing.worker("s3", *_but("s3:GetObject", "arn:aws:s3:::vic/se cret"))
        assert refusal(s3.copy_object, Bucket=bucket, Key="copy", CopySource="vic/se cret")[0] == "AccessDenied"

    def test_fails_when_an_acl_or_tags_may_not_be_set(self, enforcing: Enforcing, bucket: str) -> None:
        s3 = enforcing.worker("s3", {"Action": "s3:PutObject"})
        assert s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert "s3:PutObjectAcl" in refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x", ACL="private")[1]
        assert "s3:PutObjectTagging" in refusal(s3.put_object, Bucket=bucket, Key="k", Body=b"x", Tagging="a=b")[1]
        maker = enforcing.worker("s3", {"Action": "s3:CreateBucket"})
        made = {"Bucket": "second", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
        assert "s3:PutBucketAcl" in refusal(maker.create_bucket, ACL="private", **made)[1]

    def test_fails_when_a_version_may_not_be_deleted(self, enforcing: Enforcing, bucket: str) -> None:
        s3 = enforcing.worker("s3", {"Action": "s3:DeleteObject"})
        several = {"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "v"}]}
        message = refusal(s3.delete_objects, Bucket=bucket, Delete=several)[1]
        assert "s3:DeleteObjectVersion on resource: arn:aws:s3:::vic/b" in message
        assert s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})["Deleted"]

    def test_when_a_part_is_copied_then_it_is_put(self, enforcing: Enforcing, bucket: str) -> None:
        s3 = enforcing.worker("s3", {"Action": ["s3:PutObject", "s3:GetObject"]})
        upload = s3.create_multipart_upload(Bucket=bucket, Key="copy")["UploadId"]
        source = "vic/se cret"
        assert s3.upload_part_copy(Bucket=bucket, Key="copy", UploadId=upload, PartNumber=1, CopySource=source)


def test_when_a_user_or_a_group_is_made_then_its_id_begins_as_on_aws(enforcing: Enforcing) -> None:
    iam = enforcing.client("iam")
    assert iam.create_user(UserName="u")["User"]["UserId"].startswith("AIDA")
    assert iam.create_group(GroupName="g")["Group"]["GroupId"].startswith("AGPA")


class TestInstances:
    def test_fails_when_a_group_is_named(self, enforcing: Enforcing) -> None:
        ec2 = enforcing.client("ec2")
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        group = ec2.create_security_group(GroupName="prot", Description="d", VpcId=vpc)["GroupId"]
        worker = enforcing.worker("ec2", *_but("ec2:*", f"arn:aws:ec2:{REGION}:{HERE}:security-group/{group}"))
        assert refusal(worker.delete_security_group, GroupName="prot")[0] == "UnauthorizedOperation"

    @pytest.fixture
    def template(self, enforcing: Enforcing) -> dict[str, Any]:
        """A launch template with an image and a tag."""
        ec2 = enforcing.client("ec2")
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "b"}]}]
        data = {"ImageId": image, "InstanceType": "t3.micro", "TagSpecifications": tags}
        made = ec2.create_launch_template(LaunchTemplateName="lt", LaunchTemplateData=data)
        return {"id": made["LaunchTemplate"]["LaunchTemplateId"], **data}

    @pytest.mark.parametrize("version", ["1", "$Latest", "$Default", None])
    def test_fails_when_a_template_holds_the_image(
        self, enforcing: Enforcing, template: dict[str, Any], version: str | None
    ) -> None:
        worker = enforcing.worker("ec2", *_but("ec2:*", f"arn:aws:ec2:{REGION}::image/{template['ImageId']}"))
        given = {"LaunchTemplateName": "lt", **({"Version": version} if version else {})}
        assert refusal(worker.run_instances, LaunchTemplate=given, MinCount=1, MaxCount=1)[0] == "UnauthorizedOperation"

    def test_fails_when_a_template_holds_the_type(self, enforcing: Enforcing, template: dict[str, Any]) -> None:
        other = {"Action": "ec2:RunInstances", "Condition": {"StringEqualsIfExists": {"ec2:InstanceType": "t3.nano"}}}
        worker = enforcing.worker("ec2", other, {"Action": "ec2:CreateTags"})
        given = {"LaunchTemplateId": template["id"]}
        assert refusal(worker.run_instances, LaunchTemplate=given, MinCount=1, MaxCount=1)[0] == "UnauthorizedOperation"
        assert worker.run_instances(LaunchTemplate=given, InstanceType="t3.nano", MinCount=1, MaxCount=1)["Instances"]

    def test_fails_when_a_template_holds_tags_that_may_not_be_given(
        self, enforcing: Enforcing, template: dict[str, Any]
    ) -> None:
        worker = enforcing.worker("ec2", {"Action": "ec2:RunInstances"})
        given = {"LaunchTemplateId": template["id"]}
        assert "ec2:CreateTags" in refusal(worker.run_instances, LaunchTemplate=given, MinCount=1, MaxCount=1)[1]

    @pytest.mark.parametrize(
        ("key", "value", "given"),
        [
            ("ec2:AssociatePublicIpAddress", "true", {"NetworkInterfaces": [{"DeviceIndex": 0, "Associate": True}]}),
            ("ec2:MetadataHttpTokens", "optional", {}),
            ("ec2:InstanceType", "m5.24xlarge", {"InstanceType": "m5.24xlarge"}),
        ],
    )
    def test_fails_when_a_deny_compares_what_is_launched(
        self, enforcing: Enforcing, template: dict[str, Any], key: str, value: str, given: dict[str, Any]
    ) -> None:
        for interface in given.get("NetworkInterfaces", ()):
            interface["AssociatePublicIpAddress"] = interface.pop("Associate", True)
        deny = {"Effect": "Deny", "Action": "ec2:RunInstances", "Condition": {"StringEquals": {key: value}}}
        worker = enforcing.worker("ec2", {"Action": "ec2:*"}, deny)
        arguments = {"ImageId": template["ImageId"], "MinCount": 1, "MaxCount": 1, **given}
        assert refusal(worker.run_instances, **arguments)[0] == "UnauthorizedOperation"

    def test_fails_when_the_default_subnet_or_group_may_not_be_used(
        self, enforcing: Enforcing, template: dict[str, Any]
    ) -> None:
        arguments = {"ImageId": template["ImageId"], "MinCount": 1, "MaxCount": 1}
        made = enforcing.worker("ec2", {"Action": "ec2:*"}).run_instances(**arguments)["Instances"][0]
        subnet, group = made["SubnetId"], made["NetworkInterfaces"][0]["Groups"][0]["GroupId"]
        cases: list[tuple[str, dict[str, Any]]] = [
            (f"subnet/{subnet}", {"SecurityGroupIds": [group]}),
            (f"subnet/{subnet}", {"NetworkInterfaces": [{"DeviceIndex": 0}]}),
            (f"security-group/{group}", {"SubnetId": subnet}),
            (f"security-group/{group}", {"NetworkInterfaces": [{"DeviceIndex": 0, "SubnetId": subnet}]}),
        ]
        for arn, others in cases:
            worker = enforcing.worker("ec2", *_but("ec2:RunInstances", f"arn:aws:ec2:{REGION}:{HERE}:{arn}"))
            code, message = refusal(worker.run_instances, **arguments, **others)
            assert (code, arn in message) == ("UnauthorizedOperation", True)

    def test_when_an_interface_is_given_then_no_default_is_asked_about(
        self, enforcing: Enforcing, template: dict[str, Any]
    ) -> None:
        ec2 = enforcing.client("ec2")
        subnet = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"][0]
        interface = ec2.create_network_interface(SubnetId=subnet["SubnetId"])["NetworkInterface"]["NetworkInterfaceId"]
        deny = [f"arn:aws:ec2:{REGION}:{HERE}:{kind}/*" for kind in ("subnet", "security-group")]
        worker = enforcing.worker("ec2", *_but("ec2:RunInstances", *deny))
        given = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
        arguments = {"ImageId": template["ImageId"], "MinCount": 1, "MaxCount": 1}
        assert worker.run_instances(**arguments, NetworkInterfaces=given)["Instances"]


@dataclass
class Net:
    """A network with what contains traffic in it, and clients that may do everything but to one resource."""

    enforcing: Enforcing
    ec2: Any
    vpc: str
    subnet: str
    acl: str

    def denied(self, resource: str) -> Any:
        """Return a client that may do everything but to a resource."""
        return self.enforcing.worker("ec2", *_but("ec2:*", f"arn:aws:ec2:{REGION}:{HERE}:{resource}"))

    def allowed(self, action: str, *resources: str) -> Any:
        """Return a client that may do one thing to some resources."""
        arns = [f"arn:aws:ec2:{REGION}:{HERE}:{one}" for one in resources]
        return self.enforcing.worker("ec2", {"Action": f"ec2:{action}", "Resource": arns})


@pytest.fixture
def net(enforcing: Enforcing) -> Net:
    ec2 = enforcing.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.40.0.0/24")["Subnet"]["SubnetId"]
    acl = ec2.describe_network_acls(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["NetworkAcls"][0]["NetworkAclId"]
    return Net(enforcing, ec2, vpc, subnet, acl)


def _entry(net: Net, **given: Any) -> dict[str, Any]:
    rule = {"RuleNumber": 50, "Protocol": "-1", "RuleAction": "deny", "Egress": False, "CidrBlock": "0.0.0.0/0"}
    return {"NetworkAclId": net.acl, **rule, **given}


class TestNetworks:
    def test_fails_when_a_network_acl_may_not_be_changed(self, net: Net) -> None:
        assert net.allowed("CreateNetworkAclEntry", f"network-acl/{net.acl}").create_network_acl_entry(**_entry(net))
        denied = net.denied("network-acl/*")
        entry = {"NetworkAclId": net.acl, "RuleNumber": 50, "Egress": False}
        refused = [
            refusal(denied.create_network_acl_entry, **_entry(net, RuleNumber=51)),
            refusal(denied.replace_network_acl_entry, **_entry(net)),
            refusal(denied.delete_network_acl_entry, **entry),
            refusal(denied.create_network_acl, VpcId=net.vpc),
        ]
        assert {code for code, _ in refused} == {"UnauthorizedOperation"}

    @pytest.mark.parametrize("key", ["aws:ResourceTag/prot", "ec2:ResourceTag/prot"])
    def test_fails_when_a_network_acl_has_a_tag_that_a_deny_names(self, net: Net, key: str) -> None:
        net.ec2.create_tags(Resources=[net.acl], Tags=[{"Key": "prot", "Value": "1"}])
        deny = {"Effect": "Deny", "Action": "ec2:*", "Condition": {"StringEquals": {key: "1"}}}
        worker = net.enforcing.worker("ec2", {"Action": "ec2:*"}, deny)
        assert refusal(worker.create_network_acl_entry, **_entry(net))[0] == "UnauthorizedOperation"
        tags = {"Resources": [net.acl], "Tags": [{"Key": "prot"}]}
        assert refusal(worker.delete_tags, **tags)[0] == "UnauthorizedOperation"

    def test_fails_when_a_network_acl_is_of_a_vpc_that_a_deny_names(self, net: Net) -> None:
        vpc = {"ec2:Vpc": f"arn:aws:ec2:{REGION}:{HERE}:vpc/{net.vpc}"}
        deny = {"Effect": "Deny", "Action": "ec2:*", "Condition": {"ArnEquals": vpc}}
        worker = net.enforcing.worker("ec2", {"Action": "ec2:*"}, deny)
        assert refusal(worker.create_network_acl_entry, **_entry(net))[0] == "UnauthorizedOperation"

    def test_fails_when_the_network_acl_or_the_subnet_of_an_association_may_not_be(self, net: Net) -> None:
        other = net.ec2.create_network_acl(VpcId=net.vpc)["NetworkAcl"]["NetworkAclId"]
        [held] = net.ec2.describe_network_acls(NetworkAclIds=[net.acl])["NetworkAcls"][0]["Associations"]
        given = {"AssociationId": held["NetworkAclAssociationId"], "NetworkAclId": other}
        for resource in (f"network-acl/{other}", f"subnet/{net.subnet}"):
            code, message = refusal(net.denied(resource).replace_network_acl_association, **given)
            assert (code, resource in message) == ("UnauthorizedOperation", True)
        allowed = net.allowed("ReplaceNetworkAclAssociation", f"network-acl/{other}", f"subnet/{net.subnet}")
        assert allowed.replace_network_acl_association(**given)["NewAssociationId"]

    def test_fails_when_the_route_table_of_an_association_may_not_be(self, net: Net) -> None:
        table = net.ec2.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
        other = net.ec2.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
        held = net.ec2.associate_route_table(RouteTableId=table, SubnetId=net.subnet)["AssociationId"]
        for resource in (f"route-table/{table}", f"subnet/{net.subnet}"):
            denied = net.denied(resource)
            assert refusal(denied.disassociate_route_table, AssociationId=held)[0] == "UnauthorizedOperation"
            replaced = {"AssociationId": held, "RouteTableId": other}
            assert refusal(denied.replace_route_table_association, **replaced)[0] == "UnauthorizedOperation"
        allowed = net.allowed("DisassociateRouteTable", f"route-table/{table}", f"subnet/{net.subnet}")
        assert allowed.disassociate_route_table(AssociationId=held)

    def test_when_a_route_is_made_then_only_the_route_table_is_asked_about(self, net: Net) -> None:
        table = net.ec2.create_route_table(VpcId=net.vpc)["RouteTable"]["RouteTableId"]
        gateway = net.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
        net.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=net.vpc)
        route = {"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0"}
        assert net.allowed("CreateRoute", f"route-table/{table}").create_route(GatewayId=gateway, **route)
        assert refusal(net.denied(f"route-table/{table}").delete_route, **route)[0] == "UnauthorizedOperation"

    def test_fails_when_an_address_is_named_by_itself(self, net: Net) -> None:
        address = net.ec2.allocate_address(Domain="vpc")
        interface = net.ec2.create_network_interface(SubnetId=net.subnet)["NetworkInterface"]["NetworkInterfaceId"]
        named = {"PublicIp": address["PublicIp"]}
        denied = net.denied(f"elastic-ip/{address['AllocationId']}")
        for call, more in (
            (denied.release_address, {}),
            (denied.associate_address, {"NetworkInterfaceId": interface}),
            (denied.disassociate_address, {}),
        ):
            assert refusal(call, **named, **more)[0] == "UnauthorizedOperation"

    @pytest.mark.parametrize(
        ("resource", "make", "undo", "given"),
        [
            (
                "dhcp-options",
                "DhcpOptions",
                "delete",
                {"DhcpConfigurations": [{"Key": "domain-name", "Values": ["a"]}]},
            ),
            ("transit-gateway", "TransitGateway", "delete", {}),
            ("vpc-peering-connection", "VpcPeeringConnection", "accept", {"VpcId": None, "PeerVpcId": None}),
            ("customer-gateway", "CustomerGateway", "delete", {"BgpAsn": 65000, "PublicIp": "192.0.2.1"}),
            ("vpn-gateway", "VpnGateway", "delete", {}),
            ("egress-only-internet-gateway", "EgressOnlyInternetGateway", "delete", {"VpcId": None}),
        ],
    )
    def test_fails_when_another_kind_may_not_be_deleted(
        self, net: Net, resource: str, make: str, undo: str, given: dict[str, Any]
    ) -> None:
        name = resource.replace("-", "_")
        typed = {"Type": "ipsec.1"} if resource in ("customer-gateway", "vpn-gateway") else {}
        arguments = {key: net.vpc if value is None else value for key, value in given.items()}
        made = getattr(net.ec2, f"create_{name}")(**typed, **arguments)[make]
        wanted = {f"{make}Id": made[f"{make}Id"]}
        denied = net.denied(f"{resource}/{made[f'{make}Id']}")
        assert refusal(getattr(denied, f"{undo}_{name}"), **wanted)[0] == "UnauthorizedOperation"

    def test_fails_when_the_vpc_of_the_accepter_may_not_be_peered(self, net: Net) -> None:
        far = net.ec2.create_vpc(CidrBlock="10.41.0.0/16")["Vpc"]["VpcId"]
        made = net.ec2.create_vpc_peering_connection(VpcId=net.vpc, PeerVpcId=far)["VpcPeeringConnection"]
        given = {"VpcPeeringConnectionId": made["VpcPeeringConnectionId"]}
        assert refusal(net.denied(f"vpc/{far}").accept_vpc_peering_connection, **given)[0] == "UnauthorizedOperation"

    def test_fails_when_a_key_pair_is_named_by_its_id_and_a_template_by_its_name(self, net: Net) -> None:
        tags = [{"ResourceType": "key-pair", "Tags": [{"Key": "prot", "Value": "1"}]}]
        key = net.ec2.create_key_pair(KeyName="k", TagSpecifications=tags)["KeyPairId"]
        deny = {"Effect": "Deny", "Action": "ec2:*", "Condition": {"StringEquals": {"aws:ResourceTag/prot": "1"}}}
        for worker in (net.denied("key-pair/k"), net.enforcing.worker("ec2", {"Action": "ec2:*"}, deny)):
            assert refusal(worker.delete_key_pair, KeyPairId=key)[0] == "UnauthorizedOperation"
        data = {"InstanceType": "t3.micro"}
        net.ec2.create_launch_template(LaunchTemplateName="template", LaunchTemplateData=data)
        denied = net.denied("launch-template/lt-*")
        for call, more in (
            (denied.delete_launch_template, {}),
            (denied.create_launch_template_version, {"LaunchTemplateData": data}),
            (denied.modify_launch_template, {"DefaultVersion": "1"}),
        ):
            assert refusal(call, LaunchTemplateName="template", **more)[0] == "UnauthorizedOperation"

    def test_fails_when_the_instance_of_a_profile_or_of_a_volume_may_not_be_changed(self, net: Net) -> None:
        launched = net.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=net.subnet)
        instance = launched["Instances"][0]["InstanceId"]
        iam = net.enforcing.client("iam")
        iam.create_instance_profile(InstanceProfileName="p")
        held = net.ec2.associate_iam_instance_profile(InstanceId=instance, IamInstanceProfile={"Name": "p"})
        given = {"AssociationId": held["IamInstanceProfileAssociation"]["AssociationId"]}
        [mapping] = net.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0][
            "BlockDeviceMappings"
        ]
        volume = mapping["Ebs"]["VolumeId"]
        denied = net.denied(f"instance/{instance}")
        for call, arguments in (
            (denied.disassociate_iam_instance_profile, given),
            (denied.replace_iam_instance_profile_association, {**given, "IamInstanceProfile": {"Name": "p"}}),
            (denied.detach_volume, {"VolumeId": volume}),
            (net.denied(f"volume/{volume}").create_snapshots, {"InstanceSpecification": {"InstanceId": instance}}),
        ):
            assert refusal(call, **arguments)[0] == "UnauthorizedOperation"

    def test_when_a_text_has_the_form_of_an_id_then_it_names_nothing(self, net: Net) -> None:
        launched = net.ec2.run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1, SubnetId=net.subnet)
        instance = launched["Instances"][0]["InstanceId"]
        volume = net.ec2.describe_volumes()["Volumes"][0]["VolumeId"]
        resources = [f"arn:aws:ec2:{REGION}:{HERE}:volume/*", f"arn:aws:ec2:{REGION}::snapshot/*"]
        worker = net.enforcing.worker(
            "ec2", {"Action": ["ec2:CreateSnapshot", "ec2:CreateTags", "ec2:DeleteTags"], "Resource": resources}
        )
        tags = [{"Key": "InstanceId", "Value": instance}]
        specification = {"ResourceType": "snapshot", "Tags": tags}
        made = worker.create_snapshot(VolumeId=volume, Description=instance, TagSpecifications=[specification])
        worker.create_tags(Resources=[made["SnapshotId"]], Tags=tags)
        worker.delete_tags(Resources=[made["SnapshotId"]], Tags=tags)


class TestTagsOnCreation:
    INSTANCE: Final = f"arn:aws:ec2:{REGION}:{HERE}:instance/*"
    VOLUME: Final = f"arn:aws:ec2:{REGION}:{HERE}:volume/*"
    LAUNCH: Final[dict[str, Any]] = {"ImageId": "ami-12345678", "MinCount": 1, "MaxCount": 1}

    def _tagged(self, **tags: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": "v"}]} for kind, key in tags.items()]

    def test_fails_when_another_kind_has_the_tag_that_is_wanted(self, enforcing: Enforcing) -> None:
        absent = {"Null": {"aws:RequestTag/Owner": "true"}}
        deny = {"Effect": "Deny", "Action": "ec2:RunInstances", "Resource": self.INSTANCE, "Condition": absent}
        worker = enforcing.worker("ec2", {"Action": "ec2:*"}, deny)
        given = {**self.LAUNCH, "TagSpecifications": self._tagged(volume="Owner")}
        assert refusal(worker.run_instances, **given)[0] == "UnauthorizedOperation"
        assert worker.run_instances(**self.LAUNCH, TagSpecifications=self._tagged(instance="Owner"))["Instances"]

    def test_when_each_kind_may_have_its_tag_then_it_is_given(self, enforcing: Enforcing) -> None:
        def only(arn: str, key: str) -> dict[str, Any]:
            condition = {"ForAllValues:StringEquals": {"aws:TagKeys": [key]}}
            return {"Action": "ec2:CreateTags", "Resource": arn, "Condition": condition}

        worker = enforcing.worker(
            "ec2", {"Action": "ec2:RunInstances"}, only(self.INSTANCE, "I"), only(self.VOLUME, "V")
        )
        swapped = self._tagged(instance="V", volume="I")
        assert worker.run_instances(**self.LAUNCH, TagSpecifications=self._tagged(instance="I", volume="V"))
        assert "ec2:CreateTags" in refusal(worker.run_instances, **self.LAUNCH, TagSpecifications=swapped)[1]


class TestSecretsAndKeys:
    def test_fails_when_a_secret_is_named(self, enforcing: Enforcing) -> None:
        arn = enforcing.client("secretsmanager").create_secret(Name="s", SecretString="x")["ARN"]
        denied = enforcing.worker("secretsmanager", *_but("secretsmanager:GetSecretValue", arn))
        for name in ("s", arn, arn[:-7]):
            assert refusal(denied.get_secret_value, SecretId=name)[0] == "AccessDeniedException"
        assert refusal(denied.batch_get_secret_value, SecretIdList=["s"])[0] == "AccessDeniedException"
        allowed = enforcing.worker("secretsmanager", {"Action": "secretsmanager:GetSecretValue", "Resource": arn})
        assert allowed.get_secret_value(SecretId="s")["SecretString"] == "x"

    def test_fails_when_a_key_has_an_alias_or_made_the_ciphertext(self, enforcing: Enforcing) -> None:
        kms = enforcing.client("kms")
        key = kms.create_key()["KeyMetadata"]["Arn"]
        kms.create_alias(AliasName="alias/z", TargetKeyId=key)
        worker = enforcing.worker("kms", *_but("kms:*", key))
        assert refusal(worker.encrypt, KeyId="alias/z", Plaintext=b"x")[0] == "AccessDeniedException"
        ciphertext = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
        assert refusal(worker.decrypt, CiphertextBlob=ciphertext)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ('SELECT * FROM "t"', "Select"),
        ("SELECT * FROM t WHERE i = '1'", "Select"),
        ("INSERT INTO \"t\" VALUE {'i': '1'}", "Insert"),
        ("UPDATE \"t\" SET a = '1' WHERE i = '1'", "Update"),
        ("DELETE FROM \"t\" WHERE i = '1'", "Delete"),
    ],
)
def test_fails_when_a_statement_names_the_table(enforcing: Enforcing, statement: str, kind: str) -> None:
    enforcing.client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "i", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "i", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    table = f"arn:aws:dynamodb:{REGION}:{HERE}:table/t"
    worker = enforcing.worker("dynamodb", *_but("dynamodb:*", table))
    for refused in (
        refusal(worker.execute_statement, Statement=statement),
        refusal(worker.batch_execute_statement, Statements=[{"Statement": statement}]),
        refusal(worker.execute_transaction, TransactStatements=[{"Statement": statement}]),
    ):
        assert f"dynamodb:PartiQL{kind} on resource: {table}" in refused[1]


def test_fails_when_the_tagging_api_tags_what_may_not_be_tagged(enforcing: Enforcing) -> None:
    vpc = enforcing.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    arn = f"arn:aws:ec2:{REGION}:{HERE}:vpc/{vpc}"
    worker = enforcing.worker("resourcegroupstaggingapi", *_but("ec2:CreateTags", "*"))
    assert "ec2:CreateTags" in refusal(worker.tag_resources, ResourceARNList=[arn], Tags={"a": "b"})[1]


class TestPaths:
    PROTECTED: Final = f"arn:aws:iam::{HERE}:role/protected/*"

    def test_fails_when_a_role_is_of_a_path(self, enforcing: Enforcing) -> None:
        enforcing.role("r", {"Action": "none:None"}, Path="/protected/")
        denied = enforcing.worker("iam", *_but("iam:*", self.PROTECTED))
        given = {"PolicyName": "p", "PolicyDocument": policy({"Action": "s3:*"})}
        assert refusal(denied.put_role_policy, RoleName="r", **given)[0] == "AccessDenied"
        allowed = enforcing.worker("iam", {"Action": "iam:PutRolePolicy", "Resource": self.PROTECTED})
        assert allowed.put_role_policy(RoleName="r", **given)

    def test_fails_when_a_role_is_made_under_another_path(self, enforcing: Enforcing) -> None:
        worker = enforcing.worker("iam", {"Action": "iam:CreateRole", "Resource": f"arn:aws:iam::{HERE}:role/free*"})
        trust = policy({"Principal": {"AWS": HERE}, "Action": "sts:AssumeRole"})
        arguments = {"RoleName": "free1", "AssumeRolePolicyDocument": trust}
        assert refusal(worker.create_role, Path="/admin/", **arguments)[0] == "AccessDenied"
        assert worker.create_role(**arguments)

    def test_fails_when_a_service_linked_role_is_under_a_denied_path(self, enforcing: Enforcing) -> None:
        worker = enforcing.worker("iam", *_but("iam:*", f"arn:aws:iam::{HERE}:role/aws-service-role/*"))
        name = "autoscaling.amazonaws.com"
        assert refusal(worker.create_service_linked_role, AWSServiceName=name)[0] == "AccessDenied"

    def test_fails_when_users_groups_and_policies_are_of_a_path(self, enforcing: Enforcing) -> None:
        iam = enforcing.client("iam")
        iam.create_user(UserName="u", Path="/protected/")
        iam.create_group(GroupName="g", Path="/protected/")
        under = [f"arn:aws:iam::{HERE}:{kind}/protected/*" for kind in ("user", "group", "policy", "instance-profile")]
        worker = enforcing.worker("iam", *_but("iam:*", *under))
        for call, arguments in (
            (worker.create_access_key, {"UserName": "u"}),
            (worker.delete_group, {"GroupName": "g"}),
            (worker.update_user, {"UserName": "worker", "NewPath": "/protected/"}),
            (
                worker.create_policy,
                {"PolicyName": "p", "Path": "/protected/", "PolicyDocument": policy({"Action": "s3:*"})},
            ),
            (worker.create_instance_profile, {"InstanceProfileName": "i", "Path": "/protected/"}),
        ):
            assert refusal(call, **arguments)[0] == "AccessDenied"


@pytest.mark.parametrize("service", ["sqs", "iam", "sns"])
def test_fails_when_a_tag_is_taken_away_that_a_deny_names(enforcing: Enforcing, service: str) -> None:
    deny = {"Effect": "Deny", "Action": "*", "Condition": {"ForAnyValue:StringEquals": {"aws:TagKeys": "prot"}}}
    worker = enforcing.worker(service, {"Action": "*"}, deny)
    url = enforcing.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    topic = enforcing.client("sns").create_topic(Name="t")["TopicArn"]
    enforcing.client("iam").create_user(UserName="u")
    call, arguments = {
        "sqs": ("untag_queue", {"QueueUrl": url}),
        "iam": ("untag_user", {"UserName": "u"}),
        "sns": ("untag_resource", {"ResourceArn": topic}),
    }[service]
    assert refusal(getattr(worker, call), TagKeys=["prot"], **arguments)
    assert getattr(worker, call)(TagKeys=["other"], **arguments)

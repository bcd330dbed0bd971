"""A mirror target that is shared through AWS RAM, seen and used from other accounts."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from strictmoto.account import Account

OWNER = "123456789012"
MEMBER = "444455556666"
STRANGER = "777788889999"


class Member:
    """An account with a filter, and with sources to mirror."""

    def __init__(self, account: Account, number: str) -> None:
        role = f"arn:aws:iam::{number}:role/ir" if number != OWNER else None
        self.ec2: Any = account.client("ec2", role_arn=role)
        self.ram: Any = account.client("ram", role_arn=role)
        self.subnet = self.ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.filter = self.ec2.create_traffic_mirror_filter()["TrafficMirrorFilter"]["TrafficMirrorFilterId"]

    def interface(self) -> str:
        made = self.ec2.create_network_interface(SubnetId=self.subnet)["NetworkInterface"]
        return str(made["NetworkInterfaceId"])

    def mirror(self, target: str) -> dict[str, Any]:
        made = self.ec2.create_traffic_mirror_session(
            NetworkInterfaceId=self.interface(),
            TrafficMirrorTargetId=target,
            TrafficMirrorFilterId=self.filter,
            SessionNumber=1,
        )
        session: dict[str, Any] = made["TrafficMirrorSession"]
        return session

    def targets(self, **options: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ec2.describe_traffic_mirror_targets(**options)["TrafficMirrorTargets"]
        return found

    def accept(self) -> None:
        for invitation in self.ram.get_resource_share_invitations()["resourceShareInvitations"]:
            self.ram.accept_resource_share_invitation(
                resourceShareInvitationArn=invitation["resourceShareInvitationArn"]
            )


class Sharing(Member):
    """The owner of a target, and how it shares it."""

    def __init__(self, account: Account) -> None:
        super().__init__(account, OWNER)
        self.sink = self.interface()
        made = self.ec2.create_traffic_mirror_target(
            NetworkInterfaceId=self.sink,
            TagSpecifications=[{"ResourceType": "traffic-mirror-target", "Tags": [{"Key": "Name", "Value": "sensor"}]}],
        )
        self.target: str = made["TrafficMirrorTarget"]["TrafficMirrorTargetId"]

    def share(self, *principals: str, external: bool = True) -> str:
        made = self.ram.create_resource_share(
            name="sensor",
            allowExternalPrincipals=external,
            principals=list(principals),
            resourceArns=[f"arn:aws:ec2:eu-central-1:{OWNER}:traffic-mirror-target/{self.target}"],
        )
        return str(made["resourceShare"]["resourceShareArn"])


@pytest.fixture
def owner(aws_account: Account) -> Sharing:
    return Sharing(aws_account)


@pytest.fixture
def member(aws_account: Account) -> Member:
    return Member(aws_account, MEMBER)


def test_when_a_share_is_accepted_then_the_target_is_seen_with_its_owner_and_used(
    owner: Sharing, member: Member
) -> None:
    owner.share(MEMBER)
    member.accept()
    (seen,) = member.targets(TrafficMirrorTargetIds=[owner.target])
    assert (seen["OwnerId"], seen["NetworkInterfaceId"], seen["Tags"]) == (OWNER, owner.sink, [])
    session = member.mirror(owner.target)
    assert session["OwnerId"] == MEMBER
    # The owner sees it, too.
    (found,) = owner.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    assert (found["TrafficMirrorSessionId"], found["OwnerId"]) == (session["TrafficMirrorSessionId"], MEMBER)


def test_fails_when_the_share_is_not_accepted(owner: Sharing, member: Member) -> None:
    share = owner.share(MEMBER)
    assert member.targets() == []
    with pytest.raises(ClientError, match="InvalidTrafficMirrorTargetId.NotFound"):
        member.mirror(owner.target)
    asked = {"associationType": "PRINCIPAL", "resourceShareArns": [share]}
    (association,) = owner.ram.get_resource_share_associations(**asked)["resourceShareAssociations"]
    assert (association["status"], association["external"]) == ("ASSOCIATING", True)
    (invitation,) = member.ram.get_resource_share_invitations()["resourceShareInvitations"]
    assert (invitation["senderAccountId"], invitation["status"]) == (OWNER, "PENDING")
    arn = invitation["resourceShareInvitationArn"]
    member.ram.reject_resource_share_invitation(resourceShareInvitationArn=arn)
    with pytest.raises(ClientError, match="ResourceShareInvitationAlreadyRejectedException"):
        member.ram.accept_resource_share_invitation(resourceShareInvitationArn=arn)
    assert member.targets() == []


def test_fails_when_it_was_shared_with_another_account(owner: Sharing, aws_account: Account) -> None:
    owner.share(MEMBER)
    stranger = Member(aws_account, STRANGER)
    stranger.accept()
    with pytest.raises(ClientError, match="InvalidTrafficMirrorTargetId.NotFound"):
        stranger.mirror(owner.target)


def test_when_the_share_is_deleted_then_the_target_is_gone_and_sessions_stay(owner: Sharing, member: Member) -> None:
    share = owner.share(MEMBER)
    member.accept()
    session = member.mirror(owner.target)["TrafficMirrorSessionId"]
    owner.ram.delete_resource_share(resourceShareArn=share)
    assert member.targets() == []
    with pytest.raises(ClientError, match="InvalidTrafficMirrorTargetId.NotFound"):
        member.mirror(owner.target)
    (kept,) = member.ec2.describe_traffic_mirror_sessions()["TrafficMirrorSessions"]
    assert kept["TrafficMirrorSessionId"] == session
    member.ec2.modify_traffic_mirror_session(TrafficMirrorSessionId=session, Description="still here")


def test_when_a_share_stays_in_the_organization_then_no_invitation_is_needed(owner: Sharing, member: Member) -> None:
    owner.share(MEMBER, external=False)
    assert member.ram.get_resource_share_invitations()["resourceShareInvitations"] == []
    assert member.mirror(owner.target)["TrafficMirrorTargetId"] == owner.target
    (share,) = member.ram.get_resource_shares(resourceOwner="OTHER-ACCOUNTS")["resourceShares"]
    assert share["owningAccountId"] == OWNER
    (resource,) = member.ram.list_resources(resourceOwner="OTHER-ACCOUNTS")["resources"]
    assert resource["type"] == "ec2:TrafficMirrorTarget"


def test_when_there_is_an_organization_then_its_members_share_and_others_are_refused(
    owner: Sharing, aws_account: Account
) -> None:
    organizations = aws_account.client("organizations")
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Arn"]
    account = organizations.create_account(AccountName="shop", Email="shop@example.com")["CreateAccountStatus"]
    owner.share(organization, external=False)
    assert Member(aws_account, account["AccountId"]).mirror(owner.target)
    with pytest.raises(ClientError, match="OperationNotPermittedException"):
        owner.share(STRANGER, external=False)


def test_fails_when_the_sources_of_all_accounts_are_more_than_the_interface_takes(
    owner: Sharing, member: Member
) -> None:
    owner.share(MEMBER, external=False)
    for _ in range(5):
        owner.mirror(owner.target)
        member.mirror(owner.target)
    for account in (owner, member):
        with pytest.raises(ClientError, match="TrafficMirrorSourcesPerTargetLimitExceeded"):
            account.mirror(owner.target)


def test_when_a_target_that_others_use_is_deleted_then_only_the_owner_can_and_sessions_stay(
    owner: Sharing, member: Member
) -> None:
    owner.share(MEMBER, external=False)
    session = member.mirror(owner.target)["TrafficMirrorSessionId"]
    with pytest.raises(ClientError, match="InvalidTrafficMirrorTargetId.NotFound"):
        member.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=owner.target)
    owner.ec2.delete_traffic_mirror_target(TrafficMirrorTargetId=owner.target)
    (kept,) = member.ec2.describe_traffic_mirror_sessions(TrafficMirrorSessionIds=[session])["TrafficMirrorSessions"]
    assert kept["TrafficMirrorTargetId"] == owner.target


@pytest.mark.parametrize(("region", "partition"), [("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")])
def test_when_a_target_is_shared_in_another_partition_then_it_is_as_in_aws(
    aws_account: Account, region: str, partition: str
) -> None:
    """ARNs of resources, accounts and organizations begin with the partition."""
    role = f"arn:{partition}:iam::{MEMBER}:role/ir"
    ec2, ram = (aws_account.client(service, region=region) for service in ("ec2", "ram"))
    organizations = aws_account.client("organizations", region=region)
    organization = organizations.create_organization(FeatureSet="ALL")["Organization"]["Arn"]
    assert organization.startswith(f"arn:{partition}:organizations::")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    sink = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    target = ec2.create_traffic_mirror_target(NetworkInterfaceId=sink)["TrafficMirrorTarget"]["TrafficMirrorTargetId"]
    arn = f"arn:{partition}:ec2:{region}:{OWNER}:traffic-mirror-target/{target}"
    share = ram.create_resource_share(name="sensors", resourceArns=[arn], principals=[MEMBER, organization])
    other = aws_account.client("ec2", region=region, role_arn=role)
    theirs = aws_account.client("ram", region=region, role_arn=role)
    [invitation] = theirs.get_resource_share_invitations()["resourceShareInvitations"]
    theirs.accept_resource_share_invitation(resourceShareInvitationArn=invitation["resourceShareInvitationArn"])
    [seen] = other.describe_traffic_mirror_targets()["TrafficMirrorTargets"]
    assert (seen["TrafficMirrorTargetId"], seen["OwnerId"]) == (target, OWNER)
    for wrong, code in ((arn.replace(partition, "aws"), "MalformedArn"), ("nobody", "InvalidParameter")):
        given = {"resourceArns": [wrong]} if code == "MalformedArn" else {"principals": [wrong]}
        with pytest.raises(ClientError, match=code):
            ram.associate_resource_share(resourceShareArn=share["resourceShare"]["resourceShareArn"], **given)

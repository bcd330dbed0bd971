"""Temporary credentials: what they keep of the call that made them, and what they may not call."""

from __future__ import annotations

from typing import Any, Final

import pytest

from strictmoto.identity.principals import Credentials
from tests.strictmoto.iam.conftest import HERE, Enforcing, policy, refusal, session_of

ASSUMABLE: Final = policy(
    {"Principal": {"AWS": HERE}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}
)


def _role(enforcing: Enforcing, name: str, *statements: dict[str, Any], trust: str = ASSUMABLE) -> str:
    iam = enforcing.client("iam")
    arn = str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"])
    iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=policy(*statements))
    return arn


def _assume(enforcing: Enforcing, credentials: Credentials, arn: str, **more: Any) -> Credentials:
    sts = enforcing.signed("sts", credentials)
    return session_of(sts.assume_role(RoleArn=arn, RoleSessionName="session", **more))


class TestChains:
    @pytest.fixture
    def alice(self, enforcing: Enforcing) -> Credentials:
        """A session with an identity and tags, one of which goes on."""
        user = enforcing.user("u", {"Action": "sts:*"})
        tags = [{"Key": "team", "Value": "x"}, {"Key": "plain", "Value": "y"}]
        first = _role(enforcing, "first", {"Action": "sts:*"})
        return _assume(enforcing, user, first, SourceIdentity="alice", Tags=tags, TransitiveTagKeys=["team"])

    @pytest.mark.parametrize(
        ("key", "value", "denied"),
        [
            ("aws:SourceIdentity", "alice", True),
            ("aws:PrincipalTag/team", "x", True),
            ("aws:PrincipalTag/plain", "y", False),
        ],
    )
    def test_when_it_assumes_a_role_then_its_identity_and_transitive_tags_go_on(
        self, enforcing: Enforcing, alice: Credentials, key: str, value: str, denied: bool
    ) -> None:
        deny = {"Effect": "Deny", "Action": "ec2:*", "Condition": {"StringEquals": {key: value}}}
        second = _assume(enforcing, alice, _role(enforcing, "second", {"Action": "*"}, deny))
        ec2 = enforcing.signed("ec2", second)
        if denied:
            assert refusal(ec2.describe_vpcs)[0] == "UnauthorizedOperation"
        else:
            assert ec2.describe_vpcs()["Vpcs"]

    def test_fails_when_it_changes_the_identity(self, enforcing: Enforcing, alice: Credentials) -> None:
        second = _role(enforcing, "second", {"Action": "*"})
        sts = enforcing.signed("sts", alice)
        given = {"RoleArn": second, "RoleSessionName": "session"}
        assert refusal(sts.assume_role, SourceIdentity="bob", **given)[0] == "AccessDenied"


class TestDevices:
    @pytest.fixture
    def device(self, enforcing: Enforcing) -> str:
        """The device of the user u."""
        iam = enforcing.client("iam")
        self.user = enforcing.user("u", {"Action": "*"})
        serial = str(iam.create_virtual_mfa_device(VirtualMFADeviceName="d")["VirtualMFADevice"]["SerialNumber"])
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
        iam.enable_mfa_device(UserName="u", SerialNumber=serial, **codes)
        return serial

    def test_when_a_user_shows_one_then_a_role_that_asks_for_it_can_be_assumed(
        self, enforcing: Enforcing, device: str
    ) -> None:
        with_device = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
        trusted = {"Principal": {"AWS": HERE}, "Action": "sts:AssumeRole", "Condition": with_device}
        own = {"Action": "ec2:*", "Condition": with_device}
        arn = _role(enforcing, "guarded", own, trust=policy(trusted))
        sts = enforcing.signed("sts", self.user)
        given = {"RoleArn": arn, "RoleSessionName": "session"}
        assert refusal(sts.assume_role, **given)[0] == "AccessDenied"
        stranger = device.replace("mfa/d", "mfa/nope")
        assert refusal(sts.assume_role, SerialNumber=stranger, TokenCode="123456", **given)[0] == "AccessDenied"
        session = session_of(sts.assume_role(SerialNumber=device, TokenCode="123456", **given))
        # What is done in the session has no trace of it.
        assert refusal(enforcing.signed("ec2", session).describe_vpcs)[0] == "UnauthorizedOperation"
        token = session_of(sts.get_session_token(SerialNumber=device, TokenCode="123456"))
        assert enforcing.signed("sts", token).assume_role(**given)["Credentials"]

    def test_when_a_session_was_got_with_one_then_its_age_is_a_key_and_it_may_call_iam(
        self, enforcing: Enforcing, device: str
    ) -> None:
        young = {"NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}}
        policies = policy({"Action": "*", "Condition": young}, {"Action": "sts:*"})
        enforcing.client("iam").put_user_policy(UserName="u", PolicyName="work", PolicyDocument=policies)
        sts = enforcing.signed("sts", self.user)
        shown = session_of(sts.get_session_token(SerialNumber=device, TokenCode="123456"))
        assert enforcing.signed("iam", shown).list_users()["Users"]
        plain = session_of(sts.get_session_token())
        assert refusal(enforcing.signed("ec2", plain).describe_vpcs)[0] == "UnauthorizedOperation"


def test_fails_when_a_session_without_a_device_calls_iam_or_more_of_sts(enforcing: Enforcing) -> None:
    user = enforcing.user("u", {"Action": "*"})
    session = session_of(enforcing.signed("sts", user).get_session_token())
    assert refusal(enforcing.signed("iam", session).list_users)[0] == "InvalidClientTokenId"
    sts = enforcing.signed("sts", session)
    assert refusal(sts.get_federation_token, Name="bob")[0] == "AccessDenied"
    assert sts.get_caller_identity()["Account"] == HERE
    assert enforcing.signed("ec2", session).describe_vpcs()["Vpcs"]


def test_when_a_user_is_federated_then_user_and_session_must_both_allow(enforcing: Enforcing) -> None:
    user = enforcing.user("u", {"Action": ["ec2:*", "sts:*"]})
    sts = enforcing.signed("sts", user)
    nothing = session_of(sts.get_federation_token(Name="bob"))
    assert refusal(enforcing.signed("ec2", nothing).describe_vpcs)[0] == "UnauthorizedOperation"
    allowed = session_of(sts.get_federation_token(Name="bob", Policy=policy({"Action": ["ec2:*", "s3:*"]})))
    assert enforcing.signed("ec2", allowed).describe_vpcs()["Vpcs"]
    assert refusal(enforcing.signed("s3", allowed).list_buckets)[0] == "AccessDenied"
    assert refusal(enforcing.signed("iam", allowed).list_users)[0] == "InvalidClientTokenId"


def test_fails_when_a_star_names_services_or_providers_only(enforcing: Enforcing) -> None:
    sqs = enforcing.client("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    worker = enforcing.signed("sqs", enforcing.user("u", {"Action": "none:None"}))
    for principal, allowed in (
        ({"Service": "*"}, False),
        ({"Federated": "*"}, False),
        ({"AWS": "*"}, True),
        ("*", True),
    ):
        statement = {"Principal": principal, "Action": "sqs:SendMessage", "Resource": "*"}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy(statement)})
        if allowed:
            assert worker.send_message(QueueUrl=url, MessageBody="x")["MessageId"]
        else:
            assert refusal(worker.send_message, QueueUrl=url, MessageBody="x")[0] == "AccessDenied"


class TestRolesThatAreMadeAgain:
    """A session is one of the role that it was issued for: another role of its name gives it nothing."""

    @pytest.mark.parametrize("called_before", [True, False])
    def test_fails_when_the_role_is_deleted_and_made_again(self, enforcing: Enforcing, called_before: bool) -> None:
        user = enforcing.user("u", {"Action": "sts:*"})
        old = _assume(enforcing, user, _role(enforcing, "again", {"Action": "iam:ListRoles"}))
        if called_before:
            enforcing.signed("iam", old).list_roles()
        iam = enforcing.client("iam")
        iam.delete_role_policy(RoleName="again", PolicyName="work")
        iam.delete_role(RoleName="again")
        calls = (
            enforcing.signed("iam", old).list_users,
            enforcing.signed("iam", old).list_roles,
            enforcing.signed("sts", old).get_caller_identity,
        )
        assert [refusal(call)[0] for call in calls] == ["InvalidClientTokenId"] * 3
        arn = _role(enforcing, "again", {"Action": "iam:List*"})
        assert [refusal(call)[0] for call in calls] == ["InvalidClientTokenId"] * 3
        assert refusal(enforcing.signed("ec2", old).describe_vpcs)[0] == "AuthFailure"
        new = enforcing.signed("iam", _assume(enforcing, user, arn))
        assert new.list_users()["Users"]

    def test_when_a_role_is_made_again_then_the_identities_of_its_sessions_differ(self, enforcing: Enforcing) -> None:
        user = enforcing.user("u", {"Action": "sts:*"})
        found = set()
        for _ in range(2):
            session = _assume(enforcing, user, _role(enforcing, "again", {"Action": "sts:*"}))
            identity = enforcing.signed("sts", session).get_caller_identity()
            [role] = [one for one in enforcing.client("iam").list_roles()["Roles"] if one["RoleName"] == "again"]
            assert identity["UserId"] == f"{role['RoleId']}:session"
            found.add(identity["UserId"])
            enforcing.client("iam").delete_role_policy(RoleName="again", PolicyName="work")
            enforcing.client("iam").delete_role(RoleName="again")
        assert len(found) == 2

    def test_when_iam_is_not_enforced_then_a_role_need_not_be_there(self, enforcing: Enforcing) -> None:
        enforcing.account.enforces_iam = False
        client = enforcing.client("iam", role_arn=f"arn:aws:iam::{HERE}:role/none")
        assert client.list_users()["Users"]

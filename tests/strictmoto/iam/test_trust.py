"""Who may assume which role: trust policies, limits of sessions, tokens of identity providers, services."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Final

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from joserfc import jwk, jwt

from strictmoto.identity import principals
from tests.strictmoto.iam.conftest import HERE, ROOT, THERE, Enforcing, client_of, policy, refusal
from tests.strictmoto.signing import own_api
from tests.strictmoto.test_call_rules import packed

REGION: Final = "eu-central-1"
WORKER: Final = f"arn:aws:iam::{HERE}:role/worker-0"
SESSION: Final = f"arn:aws:sts::{HERE}:assumed-role/worker-0/strictmoto"
ADMINISTRATOR: Final = f"arn:aws:iam::{HERE}:user/administrator"
MAY: Final = {"Action": "sts:AssumeRole"}
# botocore would refuse what the account shall refuse.
_ONCE: Final = Config(retries={"total_max_attempts": 1})
_UNCHECKED: Final = Config(parameter_validation=False, retries={"total_max_attempts": 1})


def assume(sts: Any, role: str, **more: Any) -> Any:
    return sts.assume_role(RoleArn=role, RoleSessionName="next", **more)


def no(role: str, action: str = "sts:AssumeRole", who: str = SESSION) -> tuple[str, str]:
    return "AccessDenied", f"User: {who} is not authorized to perform: {action} on resource: {role}"


def administrator_of(enforcing: Enforcing, config: Config | None = None) -> Any:
    """STS, called by the account's administrator."""
    keys = principals.administrator("aws").as_arguments()
    return boto3.client("sts", REGION, endpoint_url=enforcing.account.endpoint, config=config or _ONCE, **keys)


def trusting(enforcing: Enforcing, *statements: dict[str, Any], name: str = "next", owner: Any = None) -> str:
    """Make a role with a trust policy of its own; return its ARN."""
    filled = [{"Action": "sts:AssumeRole", **one} for one in statements]
    iam = owner or enforcing.client("iam")
    return str(iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(*filled))["Role"]["Arn"])


@pytest.mark.parametrize(
    ("principal", "statements", "allowed"),
    [
        ({"AWS": WORKER}, (), True),
        ({"AWS": SESSION}, (), True),
        ({"AWS": ROOT}, (), False),
        ({"AWS": ROOT}, (MAY,), True),
        ({"AWS": HERE}, (MAY,), True),
        ({"AWS": "*"}, (), True),
        ({"AWS": f"arn:aws:iam::{HERE}:role/other"}, (MAY,), False),
        ({"AWS": THERE}, (MAY,), False),
        ({"Service": "lambda.amazonaws.com"}, (MAY,), False),
        ({"Federated": f"arn:aws:iam::{HERE}:oidc-provider/issuer.example"}, (MAY,), False),
        ({"AWS": WORKER}, ({"Effect": "Deny", **MAY},), False),
    ],
)
def test_when_a_role_is_assumed_then_its_trust_policy_decides(
    enforcing: Enforcing, principal: Any, statements: Any, allowed: bool
) -> None:
    sts = enforcing.worker("sts", *statements)
    role = trusting(enforcing, {"Principal": principal})
    if allowed:
        assert assume(sts, role)["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{HERE}:assumed-role/next/next"
    else:
        assert refusal(assume, sts=sts, role=role) == no(role)


def test_fails_when_the_role_does_not_exist(enforcing: Enforcing) -> None:
    role = f"arn:aws:iam::{HERE}:role/nobody"
    assert refusal(assume, sts=enforcing.worker("sts", MAY), role=role) == no(role)
    assert refusal(assume, sts=enforcing.client("sts"), role="nobody-of-this-account")[0] == "ValidationError"


def test_fails_when_root_assumes_a_role(enforcing: Enforcing) -> None:
    """Whatever the trust policy says, and with a session of root's, too; an administrator may."""
    role = trusting(enforcing, {"Principal": {"AWS": ROOT}})
    root = enforcing.client("sts")
    refused = "AccessDenied", "Roles may not be assumed by root accounts."
    assert refusal(assume, sts=root, role=role) == refused
    session = client_of(enforcing, "sts", root.get_session_token()["Credentials"])
    assert refusal(assume, sts=session, role=role) == refused
    assert assume(administrator_of(enforcing), role)
    assert enforcing.client("sts", role_arn=role).get_caller_identity()["Arn"].endswith("/next/strictmoto")


def test_when_the_account_assumes_a_role_then_its_administrator_does(enforcing: Enforcing) -> None:
    """One user, made where a role is assumed first, again after a reset, and found by IAM as any other."""
    iam = enforcing.client("iam")
    assert iam.list_users()["Users"] == []
    for _ in range(2):
        enforcing.client("ec2", role_arn=enforcing.role("any"))
        enforcing.client("ec2", role_arn=f"arn:aws:iam::{HERE}:role/any")
        assert [user["UserName"] for user in iam.list_users()["Users"]] == ["administrator"]
        assumed = enforcing.account.recorder.records(action="AssumeRole")
        assert {record.principal for record in assumed} == {ADMINISTRATOR}
        enforcing.account.reset()


@pytest.fixture
def there(enforcing: Enforcing) -> Any:
    """IAM of another account."""
    enforcing.account.enforces_iam = False
    found = enforcing.client("iam", role_arn=f"arn:aws:iam::{THERE}:role/founder")
    made = {"RoleName": "founder", "AssumeRolePolicyDocument": policy({"Principal": {"AWS": HERE}, **MAY})}
    found.create_role(**made)
    found.put_role_policy(RoleName="founder", PolicyName="all", PolicyDocument=policy({"Action": "*"}))
    enforcing.account.enforces_iam = True
    return found


@pytest.mark.parametrize(
    ("principal", "statements", "allowed"),
    [
        ({"AWS": WORKER}, (MAY,), True),
        ({"AWS": WORKER}, (), False),
        ({"AWS": HERE}, (MAY,), True),
        ({"AWS": f"arn:aws:iam::{THERE}:root"}, (MAY,), False),
    ],
)
def test_when_the_role_is_of_another_account_then_both_must_allow(
    enforcing: Enforcing, there: Any, principal: Any, statements: Any, allowed: bool
) -> None:
    sts = enforcing.worker("sts", *statements)
    role = trusting(enforcing, {"Principal": principal}, owner=there)
    if allowed:
        assert assume(sts, role)["AssumedRoleUser"]["Arn"].startswith(f"arn:aws:sts::{THERE}:assumed-role/next")
    else:
        assert refusal(assume, sts=sts, role=role) == no(role)


@pytest.mark.parametrize(
    ("condition", "given", "allowed"),
    [
        ({"StringEquals": {"sts:ExternalId": "secret"}}, {"ExternalId": "secret"}, True),
        ({"StringEquals": {"sts:ExternalId": "secret"}}, {"ExternalId": "guess"}, False),
        ({"StringEquals": {"sts:ExternalId": "secret"}}, {}, False),
        ({"StringLike": {"sts:RoleSessionName": "ne*"}}, {}, True),
        ({"StringLike": {"sts:RoleSessionName": "${aws:username}"}}, {}, False),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}}, {}, False),
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, {}, False),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{HERE}:role/worker-*"}}, {}, True),
    ],
)
def test_when_a_trust_policy_has_conditions_then_they_hold(
    enforcing: Enforcing, condition: Any, given: Any, allowed: bool
) -> None:
    sts = enforcing.worker("sts")
    role = trusting(enforcing, {"Principal": {"AWS": WORKER}, "Condition": condition})
    if allowed:
        assert assume(sts, role, **given)
    else:
        assert refusal(assume, sts=sts, role=role, **given) == no(role)


@pytest.mark.parametrize("inside", [True, False])
def test_when_an_organization_is_trusted_then_its_accounts_are_and_no_others(
    enforcing: Enforcing, there: Any, inside: bool
) -> None:
    organizations = enforcing.client("organizations")
    own = organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    sts = enforcing.worker("sts", MAY)
    trusted = {"Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": own}}}
    if inside:
        assert assume(sts, trusting(enforcing, trusted, owner=there))
    else:
        outsider = enforcing.client("sts", role_arn=f"arn:aws:iam::{THERE}:role/founder")
        role = trusting(enforcing, trusted)
        assert refusal(assume, sts=outsider, role=role)[0] == "AccessDenied"


def test_when_a_session_is_tagged_then_the_trust_policy_must_allow_that_and_the_tags_count(
    enforcing: Enforcing,
) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    plain = trusting(enforcing, {"Principal": {"AWS": ROOT}}, name="plain")
    administrator = administrator_of(enforcing)
    assert refusal(assume, sts=administrator, role=plain, Tags=tags) == no(plain, "sts:TagSession", ADMINISTRATOR)
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    role = enforcing.role("tagged", {"Action": "ec2:DescribeVpcs", "Condition": condition})
    for given, allowed in ((tags, True), ([], False)):
        found = assume(administrator, role, **({"Tags": given} if given else {}))["Credentials"]
        ec2 = client_of(enforcing, "ec2", found)
        if allowed:
            assert ec2.describe_vpcs()
        else:
            assert refusal(ec2.describe_vpcs)[0] == "UnauthorizedOperation"


@pytest.mark.parametrize("by", ["trust", "identity"])
def test_when_a_session_is_tagged_then_conditions_compare_the_tags_that_it_asks_for(
    enforcing: Enforcing, by: str
) -> None:
    """Both actions have them: sts:AssumeRole and sts:TagSession."""
    action = ["sts:AssumeRole", "sts:TagSession"]
    condition = {
        "StringEquals": {"aws:RequestTag/team": ["blue", "green"]},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]},
        "Null": {"aws:TagKeys": "false"},
    }
    limited, open_ = {"Action": action, "Condition": condition}, {"Action": action}
    sts = enforcing.worker("sts", limited if by == "identity" else open_)
    role = trusting(enforcing, {"Principal": {"AWS": HERE}, **(limited if by == "trust" else open_)})

    def tags(**given: str) -> list[dict[str, str]]:
        return [{"Key": key, "Value": value} for key, value in given.items()]

    assert assume(sts, role, Tags=tags(team="blue"))
    for others in (tags(team="red"), tags(team="blue", cost="1")):
        assert refusal(assume, sts=sts, role=role, Tags=others) == no(role)
    assert refusal(assume, sts=sts, role=role) == no(role)


def test_fails_when_a_deny_forbids_a_tag_of_a_session(enforcing: Enforcing) -> None:
    denied = {"Effect": "Deny", "Action": "sts:TagSession", "Condition": {"StringEquals": {"aws:RequestTag/a": "1"}}}
    action = ["sts:AssumeRole", "sts:TagSession"]
    role = trusting(enforcing, {"Principal": {"AWS": HERE}, "Action": action})
    sts = enforcing.worker("sts", {"Action": action}, denied)
    assert assume(sts, role, Tags=[{"Key": "a", "Value": "2"}])
    refused = refusal(assume, sts=sts, role=role, Tags=[{"Key": "a", "Value": "1"}])
    assert refused[0] == "AccessDenied"
    assert "not authorized to perform: sts:TagSession" in refused[1]


def test_when_a_session_has_policies_then_they_limit_it(enforcing: Enforcing) -> None:
    role = enforcing.role("wide", {"Action": "ec2:*"})
    administrator = administrator_of(enforcing)
    reading = "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess"
    for limit in ({"Policy": policy({"Action": "ec2:Describe*"})}, {"PolicyArns": [{"arn": reading}]}):
        ec2 = client_of(enforcing, "ec2", assume(administrator, role, **limit)["Credentials"])
        assert ec2.describe_vpcs()
        code, message = refusal(ec2.create_vpc, CidrBlock="10.9.0.0/16")
        assert code == "UnauthorizedOperation"
        assert message.endswith("because no session policy allows the ec2:CreateVpc action")


def test_when_a_session_is_asked_for_then_it_lasts_as_long_as_the_role_allows(enforcing: Enforcing) -> None:
    administrator = administrator_of(enforcing)
    long = enforcing.role("long", MaxSessionDuration=7200)
    assert assume(administrator, long, DurationSeconds=7200)
    assert refusal(assume, sts=administrator, role=long, DurationSeconds=7201) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    unchecked = administrator_of(enforcing, _UNCHECKED)
    assert refusal(assume, sts=unchecked, role=long, DurationSeconds=899)[0] == "ValidationError"


def test_when_a_role_assumes_a_role_then_for_an_hour_at_most(enforcing: Enforcing) -> None:
    sts = enforcing.worker("sts")
    long = enforcing.role("long", trust=WORKER, MaxSessionDuration=7200)
    assert assume(sts, long, DurationSeconds=3600)
    assert refusal(assume, sts=sts, role=long, DurationSeconds=3601) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    )


@pytest.mark.parametrize(("name", "valid"), [("a@b.c", True), ("a", False), ("a b", False), ("a" * 65, False)])
def test_when_a_session_is_named_then_with_what_names_may_hold(enforcing: Enforcing, name: str, valid: bool) -> None:
    role = enforcing.role("any")
    sts = administrator_of(enforcing, _UNCHECKED)
    asked = {"RoleArn": role, "RoleSessionName": name}
    if valid:
        assert sts.assume_role(**asked)
    else:
        assert refusal(sts.assume_role, **asked)[0] == "ValidationError"


class TestTokens:
    ISSUER = "https://token.actions.example"
    KEY = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig"})

    @pytest.fixture
    def role(self, enforcing: Enforcing) -> str:
        enforcing.account.issuers.add(self.ISSUER, [self.KEY.as_dict(private=False)])
        iam = enforcing.client("iam")
        provider = iam.create_open_id_connect_provider(
            Url=self.ISSUER, ClientIDList=["sts.amazonaws.com"], ThumbprintList=["0" * 40]
        )["OpenIDConnectProviderArn"]
        name = self.ISSUER.removeprefix("https://")
        condition = {
            "StringEquals": {f"{name}:aud": "sts.amazonaws.com"},
            "StringLike": {f"{name}:sub": "repo:northwind/infra:*"},
        }
        trusted = {
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
        return trusting(enforcing, trusted, name="deploy")

    def token(self, key: Any = None, *, alg: str = "RS256", **claims: Any) -> str:
        given = {
            "iss": self.ISSUER,
            "aud": "sts.amazonaws.com",
            "sub": "repo:northwind/infra:ref:refs/heads/main",
            "exp": int(time.time()) + 300,
            **claims,
        }
        return jwt.encode({"alg": alg, "kid": "one"}, given, key or self.KEY, algorithms=[alg])

    def exchange(self, enforcing: Enforcing, role: str, token: str, **more: Any) -> Any:
        sts = client_of(enforcing, "sts", None, Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}))
        asked = {"RoleArn": role, "RoleSessionName": "ci", "WebIdentityToken": token, **more}
        return sts.assume_role_with_web_identity(**asked)

    def test_when_a_token_is_shown_then_its_claims_are_what_the_trust_policy_compares(
        self, enforcing: Enforcing, role: str
    ) -> None:
        made = self.exchange(enforcing, role, self.token())
        assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{HERE}:assumed-role/deploy/ci"

    def test_when_an_audience_is_added_then_its_tokens_are_taken_until_it_is_removed(
        self, enforcing: Enforcing, role: str
    ) -> None:
        iam = enforcing.client("iam")
        (provider,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        asked = {"OpenIDConnectProviderArn": provider["Arn"], "ClientID": "others"}

        def audiences() -> list[str]:
            found = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=provider["Arn"])
            return list(found["ClientIDList"])

        # Each twice: both are idempotent.
        for _ in range(2):
            iam.add_client_id_to_open_id_connect_provider(**asked)
        assert audiences() == ["sts.amazonaws.com", "others"]
        with pytest.raises(ClientError) as not_trusted:
            self.exchange(enforcing, role, self.token(aud="others"))
        # The provider takes it, and this role's trust policy does not.
        assert not_trusted.value.response["Error"]["Code"] == "AccessDenied"
        for _ in range(2):
            iam.remove_client_id_from_open_id_connect_provider(**asked)
        assert audiences() == ["sts.amazonaws.com"]
        with pytest.raises(ClientError) as unknown:
            self.exchange(enforcing, role, self.token(aud="others"))
        assert unknown.value.response["Error"]["Code"] == "InvalidIdentityToken"

    def test_fails_when_an_audience_is_one_too_many_or_the_provider_is_not_there(
        self, enforcing: Enforcing, role: str
    ) -> None:
        iam = enforcing.client("iam")
        (provider,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        for number in range(99):
            iam.add_client_id_to_open_id_connect_provider(
                OpenIDConnectProviderArn=provider["Arn"], ClientID=f"audience-{number}"
            )
        for arn, code in ((provider["Arn"], "LimitExceeded"), (f"{provider['Arn']}-none", "NoSuchEntity")):
            with pytest.raises(ClientError) as refused:
                iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="one-more")
            assert refused.value.response["Error"]["Code"] == code

    @pytest.mark.parametrize(
        ("claims", "code"),
        [
            ({"sub": "repo:others/infra:ref:refs/heads/main"}, "AccessDenied"),
            ({"aud": "others"}, "InvalidIdentityToken"),
            ({"iss": "https://others.example"}, "InvalidIdentityToken"),
            ({"exp": 1}, "ExpiredTokenException"),
        ],
    )
    def test_fails_when_the_token_is_not_what_is_trusted(
        self, enforcing: Enforcing, role: str, claims: Any, code: str
    ) -> None:
        assert refusal(self.exchange, enforcing=enforcing, role=role, token=self.token(**claims))[0] == code

    def test_fails_when_another_user_has_signed_or_none(self, enforcing: Enforcing, role: str) -> None:
        other = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        head, claims, signature = self.token().split(".")
        wider = self.token(other, sub="repo:northwind/infra:x").split(".")[1]
        unsigned = base64.urlsafe_b64encode(b'{"alg": "none"}').decode().rstrip("=")
        secret = jwk.OctKey.generate_key(256, {"kid": "one"})
        for token in (
            self.token(other),
            f"{head}.{wider}.{signature}",
            f"{head}.{claims}.",
            self.token(secret, alg="HS256"),
            f"{unsigned}.{claims}.",
        ):
            code, message = refusal(self.exchange, enforcing=enforcing, role=role, token=token)
            assert (code, message.partition(":")[0]) == (
                "InvalidIdentityToken",
                "The ID Token provided could not be verified",
            )

    def test_fails_when_the_providers_keys_are_not_registered(self, enforcing: Enforcing, role: str) -> None:
        """AWS's answer where it does not reach the provider; the account's own API registers keys as well."""
        enforcing.account.issuers.clear()
        asked: dict[str, Any] = {"enforcing": enforcing, "role": role, "token": self.token()}
        assert refusal(self.exchange, **asked) == (
            "InvalidIdentityToken",
            "Couldn't retrieve verification key from your identity provider.",
        )
        for keys, status in (([{"kty": "none"}], 400), ([self.KEY.as_dict(private=False)], 200)):
            given = {"url": f"{self.ISSUER}/", "keys": keys}
            assert own_api(enforcing.account, "POST", "/issuers", given)[0] == status
        assert self.exchange(**asked)

    def test_fails_when_it_is_no_token_or_another_role(self, enforcing: Enforcing, role: str) -> None:
        assert refusal(self.exchange, enforcing=enforcing, role=role, token="nonsense")[0] == "InvalidIdentityToken"
        other = enforcing.role("other")
        assert refusal(self.exchange, enforcing=enforcing, role=other, token=self.token()) == (
            "AccessDenied",
            "Not authorized to perform sts:AssumeRoleWithWebIdentity",
        )


class TestServices:
    DEFINITION = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})

    def machine(self, enforcing: Enforcing, role: str) -> Any:
        states = enforcing.client("stepfunctions")
        return states.create_state_machine(name="m", definition=self.DEFINITION, roleArn=role)

    def schedule(self, enforcing: Enforcing, role: str) -> Any:
        target = {"Arn": f"arn:aws:sqs:{REGION}:{HERE}:q", "RoleArn": role}
        window = {"Mode": "OFF"}
        return enforcing.client("scheduler").create_schedule(
            Name="s", ScheduleExpression="rate(1 hour)", FlexibleTimeWindow=window, Target=target
        )

    def target(self, enforcing: Enforcing, role: str) -> Any:
        events = enforcing.client("events")
        events.put_rule(Name="r", EventPattern='{"source": ["x"]}')
        machine = f"arn:aws:states:{REGION}:{HERE}:stateMachine:m"
        return events.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": machine, "RoleArn": role}])

    def function(self, enforcing: Enforcing, role: str) -> Any:
        return enforcing.client("lambda").create_function(
            FunctionName="f", Role=role, Runtime="python3.12", Handler="f.f", Code={"ZipFile": packed()}
        )

    def stack(self, enforcing: Enforcing, role: str) -> Any:
        template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
        return enforcing.client("cloudformation").create_stack(StackName="s", TemplateBody=template, RoleARN=role)

    @pytest.mark.parametrize(
        ("kind", "service", "code"),
        [
            ("machine", "states.amazonaws.com", "AccessDeniedException"),
            ("schedule", "scheduler.amazonaws.com", "ValidationException"),
            ("target", "events.amazonaws.com", "ValidationException"),
            ("function", "lambda.amazonaws.com", "InvalidParameterValueException"),
            ("stack", "cloudformation.amazonaws.com", "ValidationError"),
        ],
    )
    def test_when_a_service_is_given_a_role_then_it_must_exist_and_trust_the_service(
        self, enforcing: Enforcing, kind: str, service: str, code: str
    ) -> None:
        make = getattr(self, kind)
        assert refusal(make, enforcing=enforcing, role=f"arn:aws:iam::{HERE}:role/nobody")[0] == code
        assert refusal(make, enforcing=enforcing, role=enforcing.role("users"))[0] == code
        elsewhere = {"StringEquals": {"aws:SourceAccount": THERE}}
        deputy = trusting(enforcing, {"Principal": {"Service": service}, "Condition": elsewhere}, name="deputy")
        assert refusal(make, enforcing=enforcing, role=deputy)[0] == code
        role = enforcing.role("own", trust={"Service": service})
        assert make(enforcing, role)

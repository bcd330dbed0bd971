"""Credentials that are missing, expired, of another account or refused, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, SSLError

from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.workspace.credentials import Tried, try_credentials
from tapstack.workspace.state import stack_names

ROLE = "arn:aws:iam::444455556666:role/deploy"
CALLER = "arn:aws:iam::111122223333:user/ana"
SIGN_IN = "sign in (aws sso login), set AWS_PROFILE, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
Answer = dict[str, Any] | Exception


class Aws:
    """AWS, as far as it is asked: answers by operation, and what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.answers: dict[str, Answer] = {
            "GetCallerIdentity": {"Arn": CALLER, "Account": "111122223333"},
            "AssumeRole": {
                "Credentials": {"AccessKeyId": "ASIA", "SecretAccessKey": "secret", "SessionToken": "token"},
                "AssumedRoleUser": {"Arn": "arn:aws:sts::444455556666:assumed-role/deploy/tapstack"},
            },
            "HeadBucket": head(200, "eu-central-1"),
        }

    def call(self, client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        self.asked.append((operation, client.meta.region_name, arguments))
        answer = self.answers[operation]
        if isinstance(answer, Exception):
            raise answer
        return answer


def head(status: int, region: str) -> dict[str, Any]:
    return {"ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {"x-amz-bucket-region": region}}}


def refusal(operation: str, code: str, message: str, status: int = 403) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": message}, **head(status, "eu-central-1")}
    return ClientError(answer, operation)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Aws:
    """Keys in the environment, and no other credentials anywhere."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = Aws()
    monkeypatch.setattr(BaseClient, "_make_api_call", lambda client, *given: found.call(client, *given))
    return found


def deployment(more: str = "", backend: str = "{local: {}}") -> Deployment:
    return parse_deployment(
        f"backend: {backend}\nsites:\n"
        "  a: {region: eu-west-1, vpc_id: vpc-0a1b2c3d4e5f60718, targets: {t: {network_interface_id: eni-00000001}}"
        f"{more}}}\n"
    )


def tried(given: Deployment) -> Tried:
    return try_credentials(given, stack_names(given))


class TestSites:
    def test_when_they_are_good_then_it_is_known_who_deploys_where(self, aws: Aws) -> None:
        found = tried(deployment(", allowed_account_ids: ['111122223333']"))
        assert (found.errors, found.warnings) == ([], [])
        assert (found.access["a"].arn, found.access["a"].account) == (CALLER, "111122223333")
        assert [(operation, region) for operation, region, _ in aws.asked] == [("GetCallerIdentity", "eu-west-1")]

    def test_when_a_site_has_a_role_then_that_is_assumed_as_terraform_does(self, aws: Aws) -> None:
        role = f", assume_role: {{role_arn: '{ROLE}', external_id: xy, session_name: tap}}"
        found = tried(deployment(role + ", allowed_account_ids: ['444455556666']"))
        assert found.errors == []
        assert found.access["a"].account == "444455556666"
        operation, region, arguments = aws.asked[-1]
        assert (operation, region) == ("AssumeRole", "eu-west-1")
        assert (arguments["RoleArn"], arguments["ExternalId"], arguments["RoleSessionName"]) == (ROLE, "xy", "tap")

    def test_fails_when_the_account_is_another_one_and_names_both(self, aws: Aws) -> None:
        assert tried(deployment(", allowed_account_ids: ['444455556666', '777788889999']")).errors == [
            f"site a: {CALLER} is in account 111122223333, and allowed_account_ids has 444455556666, 777788889999: "
            "use credentials of that account, or give assume_role a role in it"
        ]

    def test_fails_when_the_role_cannot_be_assumed_and_names_who_tried(self, aws: Aws) -> None:
        aws.answers["AssumeRole"] = refusal("AssumeRole", "AccessDenied", "not authorized to perform: sts:AssumeRole")
        assert tried(deployment(f", assume_role: {{role_arn: '{ROLE}'}}")).errors == [
            f"site a: {CALLER} cannot assume the role {ROLE}: "
            "'not authorized to perform: sts:AssumeRole' (AccessDenied)"
        ]

    def test_fails_when_there_are_none(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        assert tried(deployment()).errors == [f"no AWS credentials were found: {SIGN_IN}"]
        assert aws.asked == []

    def test_fails_when_the_profile_is_unknown(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_PROFILE", "nobody")
        [error] = tried(deployment()).errors
        assert error == "AWS credentials cannot be used: The config profile (nobody) could not be found"

    def test_fails_when_the_address_to_ask_is_none(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")
        assert tried(deployment()).errors == ["AWS credentials cannot be used: Invalid endpoint: localhost"]

    @pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException"])
    def test_fails_when_they_have_expired(self, aws: Aws, code: str) -> None:
        aws.answers["GetCallerIdentity"] = refusal("GetCallerIdentity", code, "The security token is expired")
        assert tried(deployment()).errors == [f"the AWS credentials have expired: {SIGN_IN}"]

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            (
                "InvalidClientTokenId",
                "AWS does not know the credentials, or the Region is not enabled for their account",
            ),
            ("SignatureDoesNotMatch", "AWS refuses the credentials"),
        ],
    )
    def test_fails_when_aws_refuses_them_and_repeats_its_words(self, aws: Aws, code: str, message: str) -> None:
        aws.answers["GetCallerIdentity"] = refusal("GetCallerIdentity", code, "its words")
        assert tried(deployment()).errors == [f"{message}: 'its words' ({code})"]

    def test_fails_when_the_sign_in_of_a_profile_has_expired_and_names_the_command(
        self, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("AWS_PROFILE", "work")
        (tmp_path / "config").write_text(
            "[profile work]\nsso_session = company\nsso_account_id = 111122223333\nsso_role_name = deploy\n"
            "[sso-session company]\nsso_start_url = https://company.awsapps.com/start\nsso_region = eu-central-1\n"
            "sso_registration_scopes = sso:account:access\n"
        )
        monkeypatch.setattr(BaseClient, "_make_api_call", signed(aws))
        [error] = tried(deployment()).errors
        assert error.startswith("the sign-in is missing or has expired: aws sso login --profile work (")

    def test_fails_when_a_profile_asks_for_a_code_and_does_not_prompt(
        self, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_PROFILE", "work")
        (tmp_path / "config").write_text(
            "[profile keys]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = secret\n"
            f"[profile work]\nsource_profile = keys\nrole_arn = {ROLE}\nmfa_serial = {CALLER.replace('user', 'mfa')}\n"
        )
        monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("it prompts"))
        monkeypatch.setattr(BaseClient, "_make_api_call", signed(aws))
        [error] = tried(deployment()).errors
        assert error.startswith("the profile asks for an MFA code, and Terraform cannot: sign in by another way")

    def test_fails_when_a_pipelines_identity_is_refused_and_names_role_and_file(
        self, aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        (tmp_path / "identity").write_text("e.y.J")
        monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "identity"))
        operation = "AssumeRoleWithWebIdentity"
        aws.answers[operation] = refusal(operation, "AccessDenied", f"Not authorized to perform sts:{operation}")
        monkeypatch.setattr(BaseClient, "_make_api_call", signed(aws))
        [error] = tried(deployment()).errors
        assert error == (
            f"the role {ROLE} cannot be assumed with the web identity in {tmp_path / 'identity'}: "
            "'Not authorized to perform sts:AssumeRoleWithWebIdentity' (AccessDenied)"
        )
        assert "e.y.J" not in error

    @pytest.mark.parametrize(
        "error",
        [
            EndpointConnectionError(endpoint_url="https://sts"),
            ConnectTimeoutError(endpoint_url="https://sts"),
            SSLError(endpoint_url="https://sts", error="self-signed certificate"),
        ],
    )
    def test_when_aws_cannot_be_reached_then_it_warns_once_and_goes_on(self, aws: Aws, error: Exception) -> None:
        aws.answers["GetCallerIdentity"] = error
        found = tried(deployment())
        assert (found.errors, found.access) == ([], {})
        assert found.warnings == [f"AWS credentials could not be tried: {error}"]

    def test_when_two_sites_are_wrong_then_both_are_reported(self, aws: Aws) -> None:
        given = parse_deployment(
            "sites:\n"
            + "".join(
                f"  {name}: {{region: eu-west-1, vpc_id: vpc-0a1b2c3d4e5f6071{name}, "
                "targets: {t: {network_interface_id: eni-00000001}}, allowed_account_ids: ['444455556666']}\n"
                for name in "ab"
            )
        )
        assert [error.split(":")[0] for error in tried(given).errors] == ["site a", "site b"]
        assert len(aws.asked) == 1  # who calls does not depend on the site


def signed(aws: Aws) -> Callable[..., Any]:
    """Ask as `aws` does, once the credentials are resolved, which is where some of them fail."""

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation == "GetCallerIdentity":
            client._request_signer._credentials.get_frozen_credentials()
        return aws.call(client, operation, arguments)

    return call


class TestBucket:
    S3 = "{s3: {bucket: states, region: eu-central-1, key_prefix: security}}"

    def test_when_it_is_there_then_there_is_no_message(self, aws: Aws) -> None:
        found = tried(deployment(backend=self.S3))
        assert (found.errors, found.warnings) == ([], [])
        assert aws.asked[-1] == ("HeadBucket", "eu-central-1", {"Bucket": "states"})

    def test_when_the_backend_has_a_role_then_that_asks(self, aws: Aws) -> None:
        given = self.S3.replace("key_prefix", "role_arn: 'arn:aws:iam::444455556666:role/state', key_prefix")
        assert tried(deployment(backend=given)).errors == []
        assert [operation for operation, *_ in aws.asked] == ["GetCallerIdentity", "AssumeRole", "HeadBucket"]
        assert aws.asked[1][2]["RoleArn"] == "arn:aws:iam::444455556666:role/state"

    def test_fails_when_there_is_none(self, aws: Aws) -> None:
        aws.answers["HeadBucket"] = refusal("HeadBucket", "404", "Not Found", 404)
        assert tried(deployment(backend=self.S3)).errors == [
            "state in s3://states: the bucket does not exist: create it with versioning, or correct backend.s3.bucket"
        ]

    @pytest.mark.parametrize("answer", [head(200, "us-east-1"), refusal("HeadBucket", "403", "Forbidden")])
    def test_fails_when_it_is_in_another_region_and_names_both(self, aws: Aws, answer: Answer) -> None:
        region = "us-east-1"
        if isinstance(answer, ClientError):
            answer.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] = region
        aws.answers["HeadBucket"] = answer
        assert tried(deployment(backend=self.S3)).errors == [
            "state in s3://states: the bucket is in us-east-1, and backend.s3.region is eu-central-1"
        ]

    def test_when_only_the_state_itself_may_be_read_then_that_is_enough(self, aws: Aws) -> None:
        aws.answers["HeadBucket"] = refusal("HeadBucket", "403", "Forbidden")
        aws.answers["HeadObject"] = refusal("HeadObject", "404", "Not Found", 404)
        assert tried(deployment(backend=self.S3)).errors == []
        assert aws.asked[-1][2] == {"Bucket": "states", "Key": "security/tapstack/a.tfstate"}

    def test_fails_when_the_state_may_not_be_read_either(self, aws: Aws) -> None:
        aws.answers["HeadBucket"] = refusal("HeadBucket", "403", "Forbidden")
        aws.answers["HeadObject"] = refusal("HeadObject", "403", "Forbidden")
        [error] = tried(deployment(backend=self.S3)).errors
        assert error.startswith(
            f"state in s3://states: {CALLER} may not read security/tapstack/a.tfstate: Terraform needs"
        )

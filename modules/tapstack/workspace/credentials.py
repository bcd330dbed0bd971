"""Try the credentials of a deployment: principal, account, and access to the state.

Only calls that a deployment makes, too: GetCallerIdentity, AssumeRole for the role of a site, and S3 for the bucket of
the state. What AWS refuses is an error. A service that cannot be reached is a warning, because Terraform may use
another proxy or other certificates than Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tapstack.domain.outside_text import LONG, quoted, word
from tapstack.settings.model import AssumeRole, Deployment, S3Backend, Site
from tapstack.workspace.stacks import site_of
from tapstack.workspace.state import s3_state_key

_CONNECT_SECONDS: Final = 5
_READ_SECONDS: Final = 10
_ROLE_SECONDS: Final = 900
"""The duration of a session of an assumed role: the shortest that AWS allows."""
_FAILED: Final = 500
"""From this status of HTTP on AWS failed, and refused nothing."""
_EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN: Final = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"})
_SIGN_IN: Final = "sign in (aws sso login), set AWS_PROFILE, or export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


class CredentialsError(Exception):
    """AWS refuses the credentials, or there are none; the message names them, and says what would be right."""


class UnreachableError(Exception):
    """AWS could not be reached, or failed: what was asked may be done all the same. The message says why."""


@dataclass(frozen=True)
class Access:
    """Access to AWS with the credentials that Terraform will use for one site, or for the state.

    Attributes:
        session: the boto3 session.
        region: the Region of its clients.
        arn: the ARN of the principal.
        account: the principal's account id.
    """

    session: Any
    region: str
    arn: str
    account: str

    def client(self, service: str) -> Any:
        """Return a boto3 client."""
        return self.session.client(service, region_name=self.region, config=_config())


@dataclass(frozen=True)
class Tried:
    """The result of trying the credentials.

    Attributes:
        access: by site, for the sites whose credentials work.
        errors: messages about what AWS refuses.
        warnings: messages about what could not be reached.
    """

    access: dict[str, Access] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def collecting_errors(self, what: str = "") -> Iterator[None]:
        """Collect the error of a step in place of raising it; `what` begins the message."""
        try:
            yield
        except CredentialsError as error:
            self.errors.append(f"{what}{error}")
        except UnreachableError as error:
            self.warnings.append(f"{what}AWS credentials could not be tried: {error}")


def try_credentials(deployment: Deployment, stacks: Sequence[str]) -> Tried:
    """Try the credentials of the sites that stacks belong to, and the bucket of their states.

    Raises:
        ModuleNotFoundError: boto3 is not installed.
    """
    tried = Tried()
    names = list(dict.fromkeys(site_of(deployment, stack) for stack in stacks))
    with tried.collecting_errors():
        caller = _caller(deployment.sites[names[0]].region)
        for name in names:
            with tried.collecting_errors(f"site {name}: "):
                tried.access[name] = _of_site(caller, deployment.sites[name])
        if (backend := deployment.backend.s3) is not None:
            with tried.collecting_errors(f"state in s3://{backend.bucket}: "):
                _try_bucket(caller, backend, deployment.project, stacks)
    return tried


def access_to(site: Site) -> Access:
    """Return the access with the credentials that deploy a site.

    Raises:
        ModuleNotFoundError: boto3 is not installed.
        CredentialsError: AWS refuses the credentials.
        UnreachableError: AWS could not be reached.
    """
    return _of_site(_caller(site.region), site)


@contextmanager
def answers_of_aws(refused: str) -> Iterator[None]:
    """Raise errors of boto3 as those of this module; `refused` begins the message about a refusal of AWS."""
    with _as_credentials_errors(refused):
        yield


def _caller(region: str) -> Access:
    """Return the access with the credentials of the environment, before any role is assumed."""
    import boto3
    import botocore.session

    with _as_credentials_errors():
        session = botocore.session.Session()
        # Terraform cannot ask for an MFA code, so this does not either.
        session.get_component("credential_provider").get_provider("assume-role")._prompter = _refuse_to_prompt
        access = Access(boto3.Session(botocore_session=session), region, "", "")
        if access.session.get_credentials() is None:
            raise CredentialsError(f"no AWS credentials were found: {_SIGN_IN}")
        identity = access.client("sts").get_caller_identity()
    return replace(access, arn=identity["Arn"], account=identity["Account"])


def _of_site(caller: Access, site: Site) -> Access:
    access = replace(caller, region=site.region)
    if site.assume_role is not None:
        access = _assumed(access, site.assume_role)
    if site.allowed_account_ids and access.account not in site.allowed_account_ids:
        raise CredentialsError(
            f"{access.arn} is in account {access.account}, and allowed_account_ids has "
            f"{', '.join(site.allowed_account_ids)}: use credentials of that account, or give assume_role a role in it"
        )
    return access


def _assumed(caller: Access, role: AssumeRole) -> Access:
    import boto3

    external = {} if role.external_id is None else {"ExternalId": role.external_id}
    with _as_credentials_errors(f"{caller.arn} cannot assume the role {role.role_arn}"):
        answer = caller.client("sts").assume_role(
            RoleArn=role.role_arn, RoleSessionName=role.session_name, DurationSeconds=_ROLE_SECONDS, **external
        )
    keys, arn = answer["Credentials"], answer["AssumedRoleUser"]["Arn"]
    session = boto3.Session(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    return Access(session, caller.region, arn, arn.split(":")[4])


def _try_bucket(caller: Access, s3: S3Backend, project: str, stacks: Sequence[str]) -> None:
    """Read the bucket's headers; where that is denied, as by policies that name keys only, those of the states."""
    from botocore.exceptions import ClientError

    access = replace(caller, region=s3.region)
    if s3.role_arn is not None:
        access = _assumed(access, AssumeRole(role_arn=s3.role_arn))
    client = access.client("s3")
    with _as_credentials_errors():
        try:
            answer = client.head_bucket(Bucket=s3.bucket)
        except ClientError as error:
            if _status(error) == 404:
                raise CredentialsError(
                    "the bucket does not exist: create it with versioning, or correct backend.s3.bucket"
                ) from None
            if _status(error) != 403:
                raise
            answer = error.response
    # boto3 follows a redirect to the bucket's Region; Terraform does not.
    region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", s3.region)
    if region != s3.region:
        raise CredentialsError(f"the bucket is in {region}, and backend.s3.region is {s3.region}")
    if answer["ResponseMetadata"]["HTTPStatusCode"] == 200:
        return
    for stack in stacks:
        key = s3_state_key(s3, project, stack)
        with _as_credentials_errors():
            try:
                client.head_object(Bucket=s3.bucket, Key=key)
            except ClientError as error:
                if _status(error) == 403:
                    raise CredentialsError(
                        f"{access.arn} may not read {key}: Terraform needs s3:ListBucket of the bucket, and "
                        "s3:GetObject, s3:PutObject and s3:DeleteObject of the key and of its .tflock"
                    ) from None
                if _status(error) != 404:
                    raise


def _status(error: Any) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _refuse_to_prompt(_: str) -> str:
    raise CredentialsError(
        "the profile asks for an MFA code, and Terraform cannot: sign in by another way, and export the credentials "
        "(aws configure export-credentials --format env)"
    )


def _config() -> Any:
    from botocore.config import Config

    return Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 2},
    )


@contextmanager
def _as_credentials_errors(refused: str = "AWS refuses the credentials") -> Iterator[None]:
    """Turn errors of boto3 into errors of this module; `refused` begins the message about a refusal of AWS."""
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        if _status(error) >= _FAILED:
            raise UnreachableError(f"AWS failed: {error}") from None
        raise CredentialsError(_message_of_refusal(error, refused)) from None
    except (exceptions.SSOError, exceptions.TokenRetrievalError) as error:
        profile = os.environ.get("AWS_PROFILE")
        command = f"aws sso login --profile {profile}" if profile else "aws sso login"
        raise CredentialsError(f"the sign-in is missing or has expired: {command} ({error})") from None
    except (exceptions.HTTPClientError, exceptions.ConnectionError) as error:
        raise UnreachableError(str(error)) from None
    # ValueError: for example, $AWS_ENDPOINT_URL is no address.
    except (exceptions.BotoCoreError, OSError, ValueError) as error:
        raise CredentialsError(f"AWS credentials cannot be used: {error}") from None


def _message_of_refusal(error: Any, refused: str) -> str:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    if error.operation_name == "AssumeRoleWithWebIdentity":
        refused = (
            f"the role {os.environ.get('AWS_ROLE_ARN', 'of the profile')} cannot be assumed with the web identity in "
            f"{os.environ.get('AWS_WEB_IDENTITY_TOKEN_FILE', 'its token file')}"
        )
    elif code in _EXPIRED:
        return f"the AWS credentials have expired: {_SIGN_IN}"
    elif code in _UNKNOWN:
        refused = "AWS does not know the credentials, or the Region is not enabled for their account"
    return f"{refused}: {quoted(message, LONG)} ({word(code)})"

"""Calls without a signature: AWS's models say which services take, and which they refuse."""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from strictmoto.account import REGION, Account

OF = ("cognito-identity", "cognito-idp", "sts")
MISSING = {"MissingAuthenticationToken", "MissingAuthenticationTokenException"}
PASSWORD = "Long-enough-1"


def unsigned(account: Account, service: str, region: str = REGION) -> Any:
    config = Config(signature_version=UNSIGNED, parameter_validation=False, retries={"total_max_attempts": 1})
    return boto3.client(service, region_name=region, endpoint_url=account.endpoint, config=config)


def operations() -> list[tuple[str, str, bool]]:
    session = botocore.session.get_session()
    found = []
    for service in OF:
        model = session.get_service_model(service)
        found += [(service, name, model.operation_model(name).auth_type == "none") for name in model.operation_names]
    return found


def test_when_aws_takes_a_call_without_a_signature_then_so_does_the_account_and_no_other(aws_account: Account) -> None:
    aws_account.enforces_iam = True
    clients = {service: unsigned(aws_account, service) for service in OF}
    wrong, taken = [], 0
    for service, operation, is_taken in operations():
        try:
            clients[service]._make_api_call(operation, {})
            code = ""
        except ClientError as error:
            code = error.response["Error"]["Code"]
        taken += is_taken
        if (code in MISSING) is is_taken:
            wrong.append((service, operation, code))
    assert wrong == []
    # STS has two, Cognito most of them.
    assert taken > 30


def test_when_a_user_signs_up_in_any_region_then_all_that_needs_no_signature_finds_the_pool(
    aws_account: Account,
) -> None:
    signed, client = aws_account.client("cognito-idp"), unsigned(aws_account, "cognito-idp")
    pool = signed.create_user_pool(PoolName="pool")["UserPool"]["Id"]
    app = signed.create_user_pool_client(
        UserPoolId=pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    )["UserPoolClient"]["ClientId"]
    client.sign_up(ClientId=app, Username="someone", Password=PASSWORD)
    signed.admin_confirm_sign_up(UserPoolId=pool, Username="someone")
    given = {"USERNAME": "someone", "PASSWORD": PASSWORD}
    granted = client.initiate_auth(ClientId=app, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
    token = granted["AuthenticationResult"]["AccessToken"]
    assert client.get_user(AccessToken=token)["Username"] == "someone"
    client.global_sign_out(AccessToken=token)
    with pytest.raises(ClientError, match="NotAuthorizedException"):
        client.get_user(AccessToken=token)
    [signing_out] = aws_account.recorder.records(action="GlobalSignOut")
    assert (signing_out.call.region, signing_out.principal) == (REGION, "")


def test_when_an_identity_is_asked_for_then_it_is_of_its_pools_region(aws_account: Account) -> None:
    pool = aws_account.client("cognito-identity").create_identity_pool(
        IdentityPoolName="pool", AllowUnauthenticatedIdentities=True
    )["IdentityPoolId"]
    client = unsigned(aws_account, "cognito-identity")
    identity = client.get_id(IdentityPoolId=pool)["IdentityId"]
    assert identity.startswith(f"{REGION}:")
    assert client.get_open_id_token(IdentityId=identity)["IdentityId"] == identity


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.W10.e30", "e30.eyJpc3MiOjF9.e30"])
def test_fails_when_a_token_is_none(aws_account: Account, token: str) -> None:
    with pytest.raises(ClientError) as error:
        unsigned(aws_account, "cognito-idp").global_sign_out(AccessToken=token)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400

import pytest

from tapstack.domain.contacts import check_email, check_issuer
from tests.unit.refusals import refusal


@pytest.mark.parametrize("value", ["a@b.co", "soc+alerts@security.example.com", "o'neil@xn--bcher-kva.example"])
def test_when_an_address_is_plausible_then_it_passes(value: str) -> None:
    assert check_email(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "a@b",
        "@b.co",
        "a@b.co ",
        "a b@c.de",
        "a@b..co",
        "a@-b.co",
        "a@b.c",
        "a..b@c.de",
        "a@b.co\n",
        "x" * 250 + "@b.co",
    ],
)
def test_fails_when_an_address_is_none(value: str) -> None:
    assert refusal(lambda: check_email(value)) == (
        f"{value!r} is no email address: expected the form responders@example.com"
    )


@pytest.mark.parametrize(
    "value",
    [
        "https://login.example.com",
        "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_a/",
        "https://login.example.com:8443/a",
    ],
)
def test_when_an_issuer_is_an_https_url_then_it_passes(value: str) -> None:
    assert check_issuer(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "login.example.com",
        "http://login.example.com",
        "https://",
        "https://a?b",
        "https://a/#",
        "https://u:p@a",
        "https://[",
        "https://a b",
        "https://a:99999/b",
        "https://a:0",
        "https://a..example.com",
        "https://-a.example.com",
        "https://a.example.com.",
        f"https://{'a' * 64}.example.com",
        "https://a.example.com/%zz",
        "https://a.example.com/\u00e9",
        "https://\u00e9.example.com",
        "HTTPS://a.example.com",
        "https://@login.example.com",
        "https://127.1",
        "https://256.1.1.1",
        "https://a:b",
        "https://a:/b",
    ],
)
def test_fails_when_an_issuer_is_something_else(value: str) -> None:
    assert refusal(lambda: check_issuer(value)).startswith(f"{value!r} is no issuer of tokens: expected an https URL")


@pytest.mark.parametrize(
    "host", ["localhost", "10.0.0.1", "127.0.0.1", "[::1]", "169.254.169.254", "keycloak.internal", "keycloak"]
)
def test_fails_when_an_issuer_is_where_api_gateway_cannot_reach_it(host: str) -> None:
    assert refusal(lambda: check_issuer(f"https://{host}/realms/security")) == (
        f"'https://{host}/realms/security' is no issuer of tokens: API Gateway fetches the keys of its tokens over the "
        f"internet, where {host.strip('[]')} is not found"
    )


@pytest.mark.parametrize("end", ["/openid-configuration", ""])
def test_fails_when_an_issuer_is_the_address_of_its_configuration(end: str) -> None:
    value = f"https://login.example.com/tenant/.well-known{end}"
    assert refusal(lambda: check_issuer(value)) == (
        f"{value!r} is where an issuer's configuration is: leave out /.well-known and what follows it"
    )

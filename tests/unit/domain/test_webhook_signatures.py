"""Signatures of webhooks, beside the package of Standard Webhooks and beside openssl."""

from __future__ import annotations

import base64
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from tapstack.domain.errors import RuleViolation
from tapstack.domain.operations import LARGEST_BODY
from tapstack.domain.webhook_signatures import (
    SIGNATURES,
    TOLERANCE_SECONDS,
    new_secret,
    read_secret,
    sign,
    signed_headers,
    verify,
)
from tests.unit.refusals import refusal

NOW = 1795694400
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
BODY = b'{"version": "1", "alert_id": "a-1"}'
IDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="."), min_size=1, max_size=256)
SECRETS = st.binary(min_size=24, max_size=64)
BODIES = st.binary(max_size=2000)


def headers(
    secret: str = SECRET, *, id_: str = "msg_1", at: int = NOW, body: bytes = BODY, **changed: str
) -> dict[str, str]:
    """The headers of a webhook; `signature`, `timestamp` and `id` in place of those."""
    found = signed_headers(read_secret(secret), id_, at, body)
    return found | {f"webhook-{name}": value for name, value in changed.items()}


def why_refused(given: dict[str, str], body: bytes = BODY, *secrets: str) -> str:
    accepted = [read_secret(secret) for secret in secrets or (SECRET,)]
    return refusal(lambda: verify(given, body, accepted, now=NOW))


class TestSecrets:
    def test_when_a_secret_is_made_then_it_is_new_and_of_the_standard_form(self) -> None:
        first, second = new_secret(), new_secret()
        assert first != second
        assert len(read_secret(first)) == 32
        Webhook(first)

    @given(SECRETS)
    def test_when_a_secret_has_24_to_64_bytes_then_it_is_read(self, secret: bytes) -> None:
        assert read_secret("whsec_" + base64.b64encode(secret).decode()) == secret

    @pytest.mark.parametrize(
        "text",
        [
            *("", "whsec_", "whsec_====", "whsec_A", SECRET[6:], f" {SECRET}", f"{SECRET}\n", SECRET.upper()),
            SECRET.replace("A", "-"),
            "whsec_" + base64.b64encode(bytes(23)).decode(),
            "whsec_" + base64.b64encode(bytes(65)).decode(),
        ],
    )
    def test_fails_when_a_secret_has_another_form_and_does_not_show_it(self, text: str) -> None:
        message = refusal(lambda: read_secret(text))
        assert message.endswith("expected whsec_ and the base64 of 24 to 64 bytes")
        assert text[6:] == "" or text[6:] not in message.removesuffix(
            "expected whsec_ and the base64 of 24 to 64 bytes"
        )


class TestInterplay:
    @given(SECRETS, IDS, BODIES)
    def test_when_it_is_signed_here_then_the_other_package_verifies_it(
        self, secret: bytes, id_: str, body: bytes
    ) -> None:
        assume(_is_text(body))
        now = int(time.time())
        Webhook(base64.b64encode(secret).decode()).verify(
            body, signed_headers(secret, id_, now, body), json_parse=False
        )

    @given(SECRETS, IDS, st.text(max_size=2000))
    def test_when_the_other_package_signs_then_it_is_verified_here(self, secret: bytes, id_: str, body: str) -> None:
        assume(_is_text(body.encode(errors="surrogatepass")))
        signature = Webhook(base64.b64encode(secret).decode()).sign(id_, datetime.fromtimestamp(NOW, UTC), body)
        assert signature == sign(secret, id_, NOW, body.encode())

    @pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
    def test_when_openssl_signs_as_the_documentation_shows_then_it_is_verified(self, tmp_path: Path) -> None:
        file = tmp_path / "signed"
        file.write_bytes(b"msg_1.%d.%s" % (NOW, BODY))
        command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{read_secret(SECRET).hex()}"]
        made = subprocess.run([*command, "-binary", str(file)], capture_output=True, check=True).stdout
        given = headers(signature=f"v1,{base64.b64encode(made).decode()}")
        assert verify(given, BODY, [read_secret(SECRET)], now=NOW) == "msg_1"


class TestVerification:
    def test_when_the_signature_is_right_then_the_id_is_known(self) -> None:
        assert verify(headers(), BODY, [read_secret(SECRET)], now=NOW) == "msg_1"

    @pytest.mark.parametrize("secret", [SECRET, OTHER])
    def test_when_several_secrets_are_accepted_then_each_is(self, secret: str) -> None:
        assert verify(headers(secret), BODY, [read_secret(SECRET), read_secret(OTHER)], now=NOW) == "msg_1"

    def test_when_a_sender_signs_with_two_secrets_then_one_accepted_is_enough(self) -> None:
        signatures = [headers(secret)["webhook-signature"] for secret in (OTHER, SECRET)]
        given = headers(signature=" ".join(["v1a,asymmetric", *signatures]))
        assert verify(given, BODY, [read_secret(SECRET)], now=NOW) == "msg_1"

    @pytest.mark.parametrize("late", [-TOLERANCE_SECONDS, TOLERANCE_SECONDS])
    def test_when_it_is_five_minutes_from_now_then_it_is_verified(self, late: int) -> None:
        assert verify(headers(at=NOW + late), BODY, [read_secret(SECRET)], now=NOW) == "msg_1"

    @pytest.mark.parametrize("late", [-TOLERANCE_SECONDS - 1, TOLERANCE_SECONDS + 1, -NOW, 10**11])
    def test_fails_when_it_is_further_from_now(self, late: int) -> None:
        assert why_refused(headers(at=NOW + late)) == (
            f"webhook-timestamp {NOW + late} is {abs(late)} seconds from now: expected at most 300"
        )

    @pytest.mark.parametrize(
        "text", ["1795694400.5", "1795694400 ", "+1795694400", "01795694400", "1e9", "٣", "-1", "x"]
    )
    def test_fails_when_the_time_is_no_whole_number_of_seconds(self, text: str) -> None:
        assert why_refused(headers(timestamp=text)).endswith("is no whole number of seconds of the epoch")

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    @pytest.mark.parametrize("empty", [True, False])
    def test_fails_when_a_header_is_missing(self, name: str, empty: bool) -> None:
        given = headers()
        given[name] = ""
        if not empty:
            del given[name]
        assert why_refused(given) == f"{name} is missing"

    @pytest.mark.parametrize("id_", ["a.b", "a b", "ä", "a\n", "x" * 257])
    def test_fails_when_the_id_has_what_an_id_has_not(self, id_: str) -> None:
        assert why_refused(headers(id=id_)).endswith("expected 1 to 256 characters without blanks and full stops")

    def test_fails_when_another_secret_signed(self) -> None:
        assert why_refused(headers(OTHER)) == "no signature is right: expected one with the secret of this source"

    def test_fails_when_no_secret_is_accepted(self) -> None:
        assert refusal(lambda: verify(headers(), BODY, [], now=NOW)).startswith("no signature is right")

    @pytest.mark.parametrize("signature", ["v1a,abc", "v1", "v2,abc", "abc", "V1,abc", ",", "ä,"])
    def test_fails_when_no_signature_is_of_a_known_version(self, signature: str) -> None:
        assert why_refused(headers(signature=signature)).endswith("has no signature that begins with v1,")

    def test_fails_when_there_are_more_than_five_signatures_even_if_one_is_right(self) -> None:
        right = headers()["webhook-signature"]
        five = " ".join([*["v1,x"] * (SIGNATURES - 1), right])
        assert verify(headers(signature=five), BODY, [read_secret(SECRET)], now=NOW) == "msg_1"
        assert why_refused(headers(signature=f"v1,x {five}")) == (
            "webhook-signature has 6 signatures: expected at most 5"
        )

    def test_fails_when_the_body_is_too_large_before_anything_is_computed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        largest, larger = bytes(LARGEST_BODY), bytes(LARGEST_BODY + 1)
        assert verify(headers(body=largest), largest, [read_secret(SECRET)], now=NOW) == "msg_1"
        given = headers(body=larger)
        monkeypatch.setattr("hmac.digest", lambda *_: pytest.fail("it was hashed"))
        assert why_refused(given, larger) == "the body has 65,537 bytes: expected at most 65,536"

    def test_when_signatures_are_compared_then_all_are_and_in_constant_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import hmac

        compared: list[bytes] = []
        compare: Callable[[bytes, bytes], bool] = hmac.compare_digest

        def noted(given: bytes, expected: bytes) -> bool:
            compared.append(given)
            return compare(given, expected)

        monkeypatch.setattr("hmac.compare_digest", noted)
        given = headers(signature=" ".join([headers()["webhook-signature"], "v1,x"]))
        assert verify(given, BODY, [read_secret(SECRET), read_secret(OTHER)], now=NOW) == "msg_1"
        assert len(compared) == 4


class TestMutations:
    @given(st.data(), SECRETS, IDS, BODIES)
    def test_fails_when_anything_signed_was_changed(
        self, data: st.DataObject, secret: bytes, id_: str, body: bytes
    ) -> None:
        given, sent = signed_headers(secret, id_, NOW, body), body
        what = data.draw(st.sampled_from(("id", "timestamp", "signature", "body", "secret")))
        if what == "id":
            given["webhook-id"] = data.draw(IDS.filter(lambda other: other != id_))
        elif what == "timestamp":
            late = data.draw(st.integers(-TOLERANCE_SECONDS, TOLERANCE_SECONDS).filter(bool))
            given["webhook-timestamp"] = str(NOW + late)
        elif what == "signature":
            # Both halves of the last character before the padding: some of its bits belong to no byte.
            at = data.draw(st.integers(3, len(given["webhook-signature"]) - 1))
            old = given["webhook-signature"]
            given["webhook-signature"] = old[:at] + data.draw(
                st.sampled_from("Aaz09+/=").filter(lambda c: c != old[at])
            )
            given["webhook-signature"] += old[at + 1 :]
        elif what == "body":
            sent = data.draw(BODIES.filter(lambda other: other != body))
        else:
            secret = data.draw(SECRETS.filter(lambda other: other != secret))
        with pytest.raises(RuleViolation, match="^no signature is right"):
            verify(given, sent, [secret], now=NOW)

    @given(st.data(), SECRETS, IDS, BODIES)
    def test_fails_when_one_bit_is_flipped_anywhere(
        self, data: st.DataObject, secret: bytes, id_: str, body: bytes
    ) -> None:
        given, sent = signed_headers(secret, id_, NOW, body), body or b"{}"
        if not body:
            given = signed_headers(secret, id_, NOW, sent)
        name = data.draw(st.sampled_from(("webhook-id", "webhook-timestamp", "webhook-signature", "body", "secret")))
        if name == "webhook-signature":
            version, _, text = given[name].partition(",")
            given[name] = f"{version},{base64.b64encode(_flipped(data, base64.b64decode(text))).decode()}"
        elif name == "body":
            sent = _flipped(data, sent)
        elif name == "secret":
            secret = _flipped(data, secret)
        else:
            given[name] = _flipped(data, given[name].encode()).decode("latin-1")
        with pytest.raises(RuleViolation):
            verify(given, sent, [secret], now=NOW)

    @given(st.data(), st.integers(0, 12), st.booleans())
    def test_when_there_are_several_signatures_then_the_right_one_counts_among_five_at_most(
        self, data: st.DataObject, count: int, has_right: bool
    ) -> None:
        right = headers()["webhook-signature"]
        # Those of other versions count among the five, too.
        wrong = st.sampled_from(
            [headers(OTHER)["webhook-signature"], right.replace("v1,", "v1a,"), right[:-8], f"{right[:3]} {right[3:]}"]
        )
        given = data.draw(st.lists(wrong, min_size=count, max_size=count))
        if has_right:
            given.insert(data.draw(st.integers(0, count)), right)
        signature = " ".join(given)
        sent = headers(signature=signature)
        if has_right and signature.count(" ") < SIGNATURES:
            assert verify(sent, BODY, [read_secret(SECRET)], now=NOW) == "msg_1"
        else:
            with pytest.raises(RuleViolation):
                verify(sent, BODY, [read_secret(SECRET)], now=NOW)

    @given(
        st.text(max_size=40),
        st.text(max_size=40) | st.integers().map(str) | st.floats().map(str),
        st.text(max_size=200) | st.text("v1, =A", max_size=200),
        BODIES,
    )
    def test_fails_when_headers_hold_anything_and_says_so(self, id_: str, at: str, signature: str, body: bytes) -> None:
        given = {"webhook-id": id_, "webhook-timestamp": at, "webhook-signature": signature}
        with pytest.raises(RuleViolation):
            verify(given, body, [read_secret(SECRET)], now=NOW)

    @given(st.sampled_from(("id", "timestamp", "signature")), st.text(max_size=60), st.booleans())
    def test_when_the_other_package_refuses_then_so_do_we(self, name: str, text: str, alone: bool) -> None:
        now = int(time.time())
        given = headers(at=now)
        given[f"webhook-{name}"] = text if alone else given[f"webhook-{name}"] + text
        try:
            Webhook(SECRET).verify(BODY, given, json_parse=False)
        except (WebhookVerificationError, ValueError):
            with pytest.raises(RuleViolation):
                verify(given, BODY, [read_secret(SECRET)], now=now)


def _flipped(data: st.DataObject, given: bytes) -> bytes:
    """The bytes with one bit flipped."""
    bit = data.draw(st.integers(0, 8 * len(given) - 1))
    changed = bytearray(given)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True

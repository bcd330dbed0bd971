"""External ids: what is hard to guess is taken, what is short or known is not."""

from __future__ import annotations

import random
import re
import string
import uuid
from pathlib import Path

import pytest

from tapstack.domain.errors import RuleViolation
from tapstack.domain.external_ids import DOCUMENTATION_ACCOUNTS, PUBLISHED, check_external_id, check_unpublished

RANDOM = "c41f9a07e6b83d5207fa"


def test_when_ids_are_random_then_they_are_taken() -> None:
    drawn = random.Random(16)
    for _ in range(500):
        check_external_id(str(uuid.UUID(int=drawn.getrandbits(128), version=4)), ["acme", "production", "444455556666"])


def test_when_ids_are_hexadecimal_then_they_are_taken() -> None:
    drawn = random.Random(17)
    for _ in range(2000):
        check_external_id(f"{drawn.getrandbits(128):032x}")


@pytest.mark.parametrize(
    ("alphabet", "lengths", "most"),
    [
        (string.ascii_letters + string.digits, (16,), 0.01),
        (string.ascii_letters + string.digits, (20, 22, 32), 0.001),
        (string.ascii_lowercase + string.digits, (16,), 0.07),
        (string.ascii_lowercase + string.digits, (24, 32), 0.01),
        (string.ascii_letters, (24, 32), 0.003),
    ],
    ids=["short", "letters and digits", "short, of one case", "of one case", "letters"],
)
def test_when_ids_are_drawn_then_nearly_all_are_taken(alphabet: str, lengths: tuple[int, ...], most: float) -> None:
    drawn = random.Random(18)

    def is_taken(value: str) -> bool:
        try:
            return check_external_id(value) == value
        except RuleViolation:
            return False

    for length in lengths:
        refused = [one for _ in range(3000) if not is_taken(one := "".join(drawn.choices(alphabet, k=length)))]
        assert len(refused) <= most * 3000, refused


@pytest.mark.parametrize(
    "value",
    [
        "7f0c2b9e-31d4-4a86-9c55-e2d18ab0f4c7",
        "dGhpcyBpcyBub3QgYSBzZWNyZXQ",
        f"hunters-{RANDOM}",
        f"acme/{RANDOM}",
        "22xpuueef5lxpult",
        "22XPUUEEF5LXPULT",
        "${x.id}",
    ],
)
def test_when_an_id_is_hard_to_guess_then_it_is_taken(value: str) -> None:
    assert check_external_id(value, ["acme"]) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x", "is not an external id: expected 2 to 1224 letters, digits and signs"),
        ("with space and more", "is not an external id"),
        ("9f8e7d6c", "is too short for an external id: expected a UUID, such as uuidgen prints, or 16 or more"),
        ("a" * 40, "is too easy to guess"),
        ("abababababababababababab", "is too easy to guess"),
        ("hunters-external-id-for-acme-production", "is too easy to guess"),
        ("acme-production-hunters-1234567890", "is too easy to guess"),
        ("abcdefghijklmnopqrstuvwxyz", "is too easy to guess"),
        ("0123456789abcdef0123456789abcdef", "is too easy to guess"),
        ("00000000-0000-4000-8000-000000000000", "is too easy to guess"),
        ("123e4567-e89b-12d3-a456-426614174000", "is too easy to guess"),
        ("183905527416/hunters", "is too easy to guess"),
        ("contoso-industries-holding", "is too easy to guess"),
        ("ContosoIndustriesHolding2026", "is too easy to guess"),
        ("ContosoIndustriesHoldingFrankfurt", "is too easy to guess"),
        ("Contoso-Industries-Frankfurt-2026-1", "is too easy to guess"),
        ("correcthorsebatterystaple", "is too easy to guess"),
        ("Correct-Horse-Battery-Staple-1", "is too easy to guess"),
        ("hunters-contoso-frankfurt-2026", "is too easy to guess"),
        ("contosocorporation-eucentral1", "is too easy to guess"),
        ("20261128120000-contoso-bank", "is too easy to guess"),
        ("WileBankSocTeamProd2", "is too easy to guess"),
        ("JohnDoeWileCorpIt1", "is too easy to guess"),
        ("wile1bank2soc3Team4", "is too easy to guess"),
        ("Contoso-Bank-Soc-Nov-28-2026", "is too easy to guess"),
        ("Contoso28Bank2026Soc7Team", "is too easy to guess"),
        ("k7Vx2026-11-28qZ4r", "is too easy to guess"),
        ("k7Vx28.Nov.2026qZ4r", "is too easy to guess"),
        ("k7VxNovember282026qZ4r", "is too easy to guess"),
        ("48151623421342371729", "is too easy to guess"),
        ("qwertyuiopasdfghjkl", "is too easy to guess"),
        ("Qwertzuiop-1qaz2wsx3edc4rfv", "is too easy to guess"),
        ("1q2w3e4r5t6y7u8i9o0p", "is too easy to guess"),
        ("1a2b3c4d5e6f7a8b9c0d", "is too easy to guess"),
        ("9f8e7d6c5b4a3f2e1d0c", "is too easy to guess"),
        ("a1a2a3a4a5a6a7a8a9a0b1b2b3b4b5b6", "is too easy to guess"),
    ],
)
def test_fails_when_an_id_is_short_or_known(value: str, said: str) -> None:
    with pytest.raises(RuleViolation, match=re.escape(f"{value!r} {said}")):
        check_external_id(value, ["acme", "production", "183905527416"])


def test_when_names_explain_an_id_then_only_their_owner_refuses_it() -> None:
    value = "k7-vault-9-2x4b-z1m8q"
    assert check_external_id(value) == value
    with pytest.raises(RuleViolation, match="too easy to guess"):
        check_external_id(value, ["k7-vault"])


@pytest.mark.parametrize("accounts", [[], ["183905527416"], ["111122223333", "183905527416"]])
@pytest.mark.parametrize("published", sorted(PUBLISHED))
def test_fails_when_an_id_is_that_of_our_documentation(published: str, accounts: list[str]) -> None:
    for value in (published, published.upper()):
        with pytest.raises(RuleViolation, match=f"'{value}' is published in the documentation of Tapstack"):
            check_unpublished(value, accounts)
    check_unpublished(published, sorted(DOCUMENTATION_ACCOUNTS))
    check_unpublished("d5e1c8f0-6b3a-4f7e-8a92-13c47de09b56", accounts)


def test_when_an_external_id_is_in_our_documentation_then_it_counts_as_published() -> None:
    root = Path(__file__).resolve().parents[3]
    pages = [root / "deployment.yaml", *root.glob("docs/*.md"), *root.glob("examples/*.py")]
    found = {
        match
        for page in pages
        for match in re.findall(r"external_id\W{1,3}([0-9a-f]{8}(?:-[0-9a-f]+){4})", page.read_text(encoding="utf-8"))
    }
    assert found == PUBLISHED

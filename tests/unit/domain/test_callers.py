"""Which callers of the API are one person."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tapstack.responder
from tapstack.domain.callers import (
    BY_DEFAULT,
    BY_RELEASE,
    POLICY,
    Caller,
    iam_caller,
    is_policy,
    is_same_person,
    policy_caller,
    token_caller,
)

ROLE = "arn:aws:sts::111122223333:assumed-role/responders"
ANA = iam_caller(f"{ROLE}/ana", "AROARESPONDERS:ana")
ISSUER = "https://login.example.com/tenant"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # The name of a session is its caller's own choice.
        (ANA, iam_caller(f"{ROLE}/ben", "AROARESPONDERS:ben"), True),
        (ANA, iam_caller("arn:aws:sts::111122223333:assumed-role/approvers/ana", "AROAAPPROVERS:ana"), False),
        # A role that was deleted and made again under the same name is another one.
        (ANA, iam_caller(f"{ROLE}/ana", "AROAOTHER:ana"), False),
        (ANA, iam_caller("arn:aws:iam::111122223333:user/ana", "AIDAANA"), False),
        (
            iam_caller("arn:aws:iam::111122223333:user/ana", "AIDAANA"),
            iam_caller("arn:aws:iam::111122223333:user/team/ana", "AIDAANA"),
            True,
        ),
        (
            iam_caller("arn:aws:iam::111122223333:user/ana", "AIDAANA"),
            iam_caller("arn:aws:iam::111122223333:user/ana", "AIDANEW"),
            False,
        ),
        # Whoever calls GetFederationToken chooses the name.
        (
            iam_caller("arn:aws:sts::111122223333:federated-user/ana", "111122223333:ana"),
            iam_caller("arn:aws:sts::111122223333:federated-user/ben", "111122223333:ben"),
            True,
        ),
        (token_caller(ISSUER, "ana"), token_caller(ISSUER, "ana"), True),
        (token_caller(ISSUER, "ana"), token_caller(ISSUER, "ben"), False),
        (token_caller(ISSUER, "ana"), token_caller("https://other.example.com", "ana"), False),
        (token_caller(ISSUER, "AIDAANA"), iam_caller("arn:aws:iam::111122223333:user/ana", "AIDAANA"), False),
    ],
)
def test_when_two_callers_are_compared_then_only_what_they_cannot_choose_counts(
    one: Caller, other: Caller, same: bool
) -> None:
    assert is_same_person(one.name, one.person, other) is same
    assert is_same_person(other.name, other.person, one) is same


def test_when_a_role_is_named_by_the_settings_then_its_sessions_are_their_source_identities() -> None:
    named = ("responders", "approvers")
    ana = iam_caller(f"{ROLE}/ana", "AROARESPONDERS:ana", named)
    assert not is_same_person(ana.name, ana.person, iam_caller(f"{ROLE}/ben", "AROARESPONDERS:ben", named))
    # The source identity stays where a role assumes another one: it is the same person in both.
    approvers = "arn:aws:sts::111122223333:assumed-role/approvers/ana"
    assert is_same_person(ana.name, ana.person, iam_caller(approvers, "AROAAPPROVERS:ana", named))
    # Not a role whose name begins alike, nor one with a path in its ARN.
    assert iam_caller(f"{ROLE}-2/ana", "AROATWO:ana", named).sessions_of == "responders-2"


def test_when_an_earlier_version_recorded_no_person_then_names_are_compared_and_sessions_of_a_role_are_one() -> None:
    assert is_same_person(f"{ROLE}/ben", None, ANA)
    assert not is_same_person("arn:aws:sts::111122223333:assumed-role/soar/ana", None, ANA)
    assert is_same_person(
        "arn:aws:iam::111122223333:user/ana", None, iam_caller("arn:aws:iam::111122223333:user/ana", "A")
    )
    assert is_same_person("ana@example.com", None, token_caller(ISSUER, "ana@example.com"))
    assert not is_same_person("guardduty", None, ANA)


def parts() -> set[str]:
    """Whom the functions name in timelines by a literal: parts of Tapstack."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(tapstack.responder.__path__[0]).rglob("*.py"))
    return {*re.findall(r'event\([\w.]+, "(\w+)", ', code), *re.findall(r'\bby="(\w+)"', code)}


@pytest.mark.parametrize(
    "subject",
    sorted({*parts(), BY_DEFAULT, BY_RELEASE, POLICY.name, policy_caller("edr").name, "GuardDuty", " Policy:edr"}),
)
def test_when_the_subject_of_a_token_reads_as_one_of_ours_then_its_name_does_not(subject: str) -> None:
    caller = token_caller(ISSUER, subject)
    assert caller.name == f"token:{subject}"
    assert not is_policy(caller.name)
    assert caller.person == f"token {ISSUER} {subject}"


def test_when_the_subject_of_a_token_is_any_other_then_it_is_the_name() -> None:
    assert {"sweeper", "containment"} < parts()
    assert [token_caller(ISSUER, subject).name for subject in ("ana", "policy-team")] == ["ana", "policy-team"]

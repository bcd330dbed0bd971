"""What all policies that decide about a request say together, without an account."""

from __future__ import annotations

from typing import Any, Final

import pytest

from strictmoto.iam.evaluation import FREE, Denial, Guard, Policies, decide
from strictmoto.iam.policies import Caller, Context, Request, Resource, Statement, read_policy

HERE: Final = "123456789012"
THERE: Final = "111122223333"
ROLE: Final = f"arn:aws:iam::{HERE}:role/worker"
SESSION: Final = f"arn:aws:sts::{HERE}:assumed-role/worker/one"
USER: Final = f"arn:aws:iam::{HERE}:user/ann"
ACCOUNT: Final = f"arn:aws:iam::{HERE}:root"
WORKER: Final = Caller(ROLE, HERE, SESSION)
ANN: Final = Caller(USER, HERE)
QUEUE: Final = f"arn:aws:sqs:eu-central-1:{HERE}:work"
ACTION: Final = "sqs:SendMessage"


def statements(*given: dict[str, Any]) -> tuple[Statement, ...]:
    filled = [{"Effect": "Allow", "Action": ACTION, "Resource": "*", **one} for one in given]
    return tuple(read_policy({"Version": "2012-10-17", "Statement": filled}))


ALLOW: Final = statements({})
DENY: Final = statements({"Effect": "Deny"})
OTHER: Final = statements({"Action": "sqs:ReceiveMessage"})


def ask(
    policies: Policies,
    caller: Caller = WORKER,
    *,
    at: tuple[Statement, ...] = (),
    owner: str = HERE,
    decides: bool = False,
    context: Context | None = None,
) -> str:
    """Return the reason of the denial; nothing where the request is allowed."""
    request = Request(ACTION, (Resource(QUEUE),), context or {})
    denial = decide(request, caller, policies, lambda _: Guard(owner, at, decides))
    return denial.reason if denial else ""


def at(principal: Any, **more: Any) -> tuple[Statement, ...]:
    return statements({"Principal": principal, **more})


def no(kind: str) -> str:
    return f"because no {kind} allows the {ACTION} action"


def deny(kind: str) -> str:
    return f"with an explicit deny in {kind}"


@pytest.mark.parametrize(
    ("policies", "reason"),
    [
        (FREE, ""),
        (Policies(ALLOW), ""),
        (Policies(), no("identity-based policy")),
        (Policies(OTHER), no("identity-based policy")),
        (Policies(ALLOW + DENY), deny("an identity-based policy")),
        (Policies(ALLOW, boundary=ALLOW), ""),
        (Policies(ALLOW, boundary=OTHER), no("permissions boundary")),
        (Policies(boundary=ALLOW), no("identity-based policy")),
        (Policies(ALLOW, boundary=ALLOW + DENY), deny("a permissions boundary")),
        (Policies(ALLOW, session=OTHER), no("session policy")),
        (Policies(ALLOW, session=ALLOW + DENY), deny("a session policy")),
        (Policies(ALLOW, organization=(ALLOW, ALLOW)), ""),
        (Policies(ALLOW, organization=(ALLOW, OTHER)), no("service control policy")),
        (Policies(ALLOW, organization=(ALLOW + DENY, ALLOW)), deny("a service control policy")),
        (Policies(None, organization=(OTHER,)), no("service control policy")),
    ],
)
def test_when_policies_of_the_caller_meet_then_each_kind_must_allow_and_none_deny(
    policies: Policies, reason: str
) -> None:
    assert ask(policies) == reason


@pytest.mark.parametrize(
    ("principal", "caller", "policies", "reason"),
    [
        # A role that is named needs nothing else in its own account, but its limits count.
        ({"AWS": ROLE}, WORKER, Policies(), ""),
        ({"AWS": ROLE}, WORKER, Policies(boundary=OTHER), no("permissions boundary")),
        ({"AWS": ROLE}, WORKER, Policies(session=OTHER), no("session policy")),
        ({"AWS": ROLE}, WORKER, Policies(DENY), deny("an identity-based policy")),
        # A session that is named, a user, and every principal, are not limited by what merely does not allow.
        ({"AWS": SESSION}, WORKER, Policies(boundary=OTHER, session=OTHER), ""),
        ({"AWS": USER}, ANN, Policies(boundary=OTHER), ""),
        ({"AWS": USER}, ANN, Policies(boundary=DENY), deny("a permissions boundary")),
        ("*", WORKER, Policies(), ""),
        ({"AWS": "*"}, WORKER, Policies(), ""),
        # An account that is named hands the question on to its own policies.
        ({"AWS": HERE}, WORKER, Policies(), no("identity-based policy")),
        ({"AWS": f"arn:aws:iam::{HERE}:root"}, WORKER, Policies(ALLOW), ""),
        # Others that are named change nothing.
        ({"AWS": USER}, WORKER, Policies(ALLOW), ""),
        ({"AWS": USER}, WORKER, Policies(), no("identity-based policy")),
        ({"Service": "sns.amazonaws.com"}, WORKER, Policies(), no("identity-based policy")),
    ],
)
def test_when_the_resource_is_of_the_same_account_then_either_policy_is_enough(
    principal: Any, caller: Caller, policies: Policies, reason: str
) -> None:
    assert ask(policies, caller, at=at(principal)) == reason


@pytest.mark.parametrize(
    ("principal", "policies", "reason"),
    [
        ({"AWS": ROLE}, Policies(ALLOW), ""),
        ({"AWS": ROLE}, Policies(), no("identity-based policy")),
        ({"AWS": HERE}, Policies(ALLOW), ""),
        ("*", Policies(ALLOW), ""),
        ({"AWS": THERE}, Policies(ALLOW), no("resource-based policy")),
        ({"AWS": ROLE}, Policies(ALLOW, boundary=OTHER), no("permissions boundary")),
    ],
)
def test_when_the_resource_is_of_another_account_then_both_must_allow(
    principal: Any, policies: Policies, reason: str
) -> None:
    assert ask(policies, at=at(principal), owner=THERE) == reason


def test_fails_when_the_resource_of_another_account_has_no_policy() -> None:
    assert ask(Policies(ALLOW), owner=THERE) == no("resource-based policy")
    assert ask(FREE, owner=THERE) == no("resource-based policy")


@pytest.mark.parametrize(
    ("principal", "policies", "reason"),
    [
        ({"AWS": f"arn:aws:iam::{HERE}:root"}, Policies(ALLOW), ""),
        ({"AWS": f"arn:aws:iam::{HERE}:root"}, Policies(), no("identity-based policy")),
        ({"AWS": USER}, Policies(ALLOW), no("resource-based policy")),
        ({"AWS": ROLE}, Policies(), ""),
        ({"AWS": USER}, FREE, no("resource-based policy")),
    ],
)
def test_when_it_is_a_key_then_nothing_is_allowed_that_its_policy_does_not_allow(
    principal: Any, policies: Policies, reason: str
) -> None:
    assert ask(policies, at=at(principal), decides=True) == reason


def test_when_a_resource_denies_then_that_holds_for_the_root_user_too() -> None:
    denied = at("*", Effect="Deny")
    assert ask(FREE, at=denied) == deny("a resource-based policy")
    assert ask(Policies(ALLOW), at=at("*") + denied) == deny("a resource-based policy")


def test_when_all_but_some_are_denied_then_they_may() -> None:
    all_but_the_worker = statements({"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE, SESSION]}})
    assert ask(Policies(ALLOW), at=all_but_the_worker) == ""
    assert ask(Policies(ALLOW), ANN, at=all_but_the_worker) == deny("a resource-based policy")


@pytest.mark.parametrize(
    ("caller", "named", "spared"),
    [
        (WORKER, [ROLE, SESSION, ACCOUNT], True),
        (WORKER, [ROLE, ACCOUNT], False),
        (WORKER, [SESSION, ACCOUNT], False),
        (WORKER, [ACCOUNT], False),
        (WORKER, [HERE], False),
        (ANN, [ANN.arn, ACCOUNT], True),
        (ANN, [ACCOUNT], False),
        (ANN, [HERE], False),
        (Caller(ACCOUNT, HERE), [ACCOUNT], True),
        (Caller(ACCOUNT, HERE), [ANN.arn], False),
        (ANN, ["*"], True),
    ],
)
def test_when_all_but_an_account_are_denied_then_only_its_root_user_may(
    caller: Caller, named: list[str], spared: bool
) -> None:
    denies = statements({"Effect": "Deny", "NotPrincipal": {"AWS": named}})
    assert ask(Policies(ALLOW), caller, at=denies) == ("" if spared else deny("a resource-based policy"))


def test_when_a_service_calls_as_itself_then_the_resource_alone_decides() -> None:
    topic = Caller(service="sns.amazonaws.com")
    named = at({"Service": "sns.amazonaws.com"}, Condition={"ArnEquals": {"aws:SourceArn": "arn:aws:sns:a:1:t"}})
    source = {"aws:SourceArn": ("arn:aws:sns:a:1:t",)}
    assert ask(Policies(), topic, at=named, context=source) == ""
    assert ask(Policies(), topic, at=named) == no("resource-based policy")
    assert ask(Policies(), Caller(service="events.amazonaws.com"), at=named, context=source) == no(
        "resource-based policy"
    )


def test_when_a_token_of_a_provider_is_shown_then_the_provider_must_be_named() -> None:
    provider = f"arn:aws:iam::{HERE}:oidc-provider/issuer.example"
    assert ask(Policies(), Caller(provider=provider), at=at({"Federated": provider}), decides=True) == ""
    assert ask(Policies(), Caller(provider=f"{provider}/x"), at=at({"Federated": provider}), decides=True)


@pytest.mark.parametrize(("key", "unknown"), [("aws:SourceIp", ()), ("aws:Referer", ("aws:Referer",))])
def test_when_an_unknown_key_could_have_allowed_it_then_the_denial_names_it(key: str, unknown: tuple[str, ...]) -> None:
    policies = Policies(statements({"Condition": {"StringEquals": {key: "blue"}}}))
    denial = decide(Request(ACTION, (Resource(QUEUE),)), WORKER, policies)
    assert denial == Denial(ACTION, QUEUE, "identity-based policy", False, unknown)

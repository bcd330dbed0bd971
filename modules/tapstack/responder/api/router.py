"""From a request to its answer: routes, refusals, headers.

Without a framework: Powertools' resolver doubles the time that importing takes, and knows neither 405 nor what this
API refuses in a body.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, Final

from tapstack.domain.errors import RuleViolation
from tapstack.domain.incidents import ID_PATTERN
from tapstack.domain.operations import CATCH_ALL, OPERATIONS, Operation
from tapstack.responder.api import containment_routes, routes
from tapstack.responder.api.answers import Answer, answered
from tapstack.responder.api.problems import Problem
from tapstack.responder.api.requests import path_of, read
from tapstack.responder.aws.errors import transient_as_try_again
from tapstack.responder.environment import environment
from tapstack.responder.errors import Conflict, ContainmentRefused, OtherPersonNeeded, TryAgain, UnknownIncident
from tapstack.responder.observability import logger, observed

HANDLERS: Final[dict[str, Callable[..., Answer]]] = {
    "openIncident": routes.open_incident,
    "openAndContain": routes.open_incident,
    "openAndContainNow": routes.open_incident,
    "listIncidents": routes.list_incidents,
    "showIncident": routes.show_incident,
    "extendIncident": routes.extend_incident,
    "closeIncident": routes.close_incident,
    "containIncident": containment_routes.contain_incident,
    "containNow": containment_routes.contain_incident,
    "approveContainment": containment_routes.approve_containment,
    "overrideApproval": containment_routes.override_approval,
    "containProtected": containment_routes.contain_protected,
    "rejectContainment": containment_routes.reject_containment,
    "releaseIncident": containment_routes.release_incident,
}
"""What answers each operation."""
_LOG_GROUP: Final = "AWS_LAMBDA_LOG_GROUP_NAME"
"""Which Lambda sets (AWS Lambda Developer Guide, "Defined runtime environment variables")."""
_ID: Final = f"(?P<incident_id>{ID_PATTERN.strip('^$')})"
_PATHS: Final = {
    re.compile(path.replace("{id}", _ID), re.ASCII): {each.method: each for each in OPERATIONS if each.path == path}
    for path in dict.fromkeys(each.path for each in OPERATIONS)
}


def answer(event: dict[str, Any]) -> dict[str, Any]:
    """Answer an event of payload format 2.0; whatever happens, it is an answer."""
    path = path_of(event)
    return answered(path, lambda: _routed(event, path))


def _routed(event: dict[str, Any], path: str) -> Answer:
    method = str(event.get("requestContext", {}).get("http", {}).get("method", ""))
    for pattern, operations in _PATHS.items():
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method not in operations:
            allowed = ", ".join(sorted(operations))
            raise Problem("method-not-allowed", f"expected {allowed}", headers={"allow": allowed})
        operation = operations[method]
        if event.get("routeKey") not in (None, operation.route):
            if event["routeKey"] == CATCH_ALL and operation.of_containment and environment().containment is None:
                raise Problem("wrong-state", "containment is not configured for this site")
            # The gateway read another address than this one: what it let pass was not this operation.
            break
        with observed(f"api.{HANDLERS[operation.id].__name__}", match.groupdict().get("incident_id")):
            answer_or_refusal = _attempt(operation, event, match.groupdict())
        if isinstance(answer_or_refusal, Problem):
            raise answer_or_refusal
        return answer_or_refusal
    *paths, last = dict.fromkeys(each.path for each in OPERATIONS)
    raise Problem("no-such-resource", f"expected {', '.join(paths)} or {last}")


def _attempt(operation: Operation, event: dict[str, Any], ids: dict[str, str]) -> Answer | Problem:
    """Return the answer, or the refusal of a wrong request; what goes wrong here is raised, so that it is counted."""
    try:
        with transient_as_try_again():
            return HANDLERS[operation.id](read(event, operation), **ids)
    except Problem as problem:
        return problem
    except RuleViolation as violation:
        return Problem("invalid-request", str(violation), [{"where": "body", "problem": str(violation)}])
    except UnknownIncident as unknown:
        home = environment().home
        here = f"in site {environment().site} of account {home.account_id}, {home.region}"
        other = "if a notification names another, set TAPSTACK_URL to the address of its API"
        return Problem("no-such-incident", f"{unknown} {here}; {other}")
    except Conflict as conflict:
        return Problem("wrong-state", str(conflict))
    except OtherPersonNeeded as needed:
        return Problem("other-person-needed", str(needed))
    except ContainmentRefused as refused:
        return Problem("wrong-state", f"containment is refused: {refused}")
    except TryAgain as again:
        logger.warning("aws does not answer well", reason=str(again))
        raise Problem(
            "try-again", "nothing is lost: send the same request again", headers={"retry-after": "5"}
        ) from again
    except Exception as error:
        # The log has what went wrong; the caller gets no internals.
        request_id = str(event.get("requestContext", {}).get("requestId", ""))
        logger.exception("unexpected", request_id=request_id)
        group = os.environ.get(_LOG_GROUP, "")
        raise Problem("internal-error", f"the log group {group} has the cause: look for {request_id}") from error

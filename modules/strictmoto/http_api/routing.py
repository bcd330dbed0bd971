"""Which API, stage and route a request meets.

Source: API Gateway Developer Guide, "Create routes for HTTP APIs", "Stages for HTTP APIs".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from moto.apigatewayv2.models import apigatewayv2_backends

from strictmoto.http_api.exchange import Denied, Request

DEFAULT = "$default"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request arrives.

    Attributes:
        api: moto's.
        stage: moto's.
        path: below the stage, decoded.
        full_path: with the stage, decoded.
    """

    api: Any
    stage: Any
    path: str
    full_path: str

    @property
    def account_id(self) -> str:
        """Whose API it is."""
        return str(self.api.backend.account_id)

    @property
    def region(self) -> str:
        """Where the API is."""
        return str(self.api.backend.region_name)

    def arn(self, method: str, path: str) -> str:
        """Return the ARN of a route, as policies name it; `$default` has no method and no path."""
        prefix = f"arn:{self.api.backend.partition}:execute-api:{self.region}:{self.account_id}:{self.api.api_id}"
        return f"{prefix}/{self.stage.name}/{method}{path}"


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a request meets.

    Attributes:
        route: moto's.
        parameters: what its path variables stand for, decoded.
    """

    route: Any
    parameters: dict[str, str]

    @property
    def path(self) -> str:
        """The path of the route key, with its variables; empty for `$default`."""
        return str(self.route.route_key.partition(" ")[2])


def find_place(request: Request) -> Place:
    """Return API and stage of a request.

    Raises:
        Denied: there is no such API, it answers only to its own domain, or there is no deployed stage.
    """
    api = _api(request.api_id)
    if api is None:
        raise Denied(404, "Not Found", f"no HTTP API {request.api_id}")
    if api.disable_execute_api_endpoint:
        raise Denied(404, "Not Found", "the API's default endpoint is disabled")
    path = unquote(request.path_in_api)
    first, _, rest = path.removeprefix("/").partition("/")
    stage = api.stages.get(first) if first != DEFAULT else None
    below = f"/{rest}" if stage else path
    stage = stage or api.stages.get(DEFAULT)
    if stage is None:
        raise Denied(404, "Not Found", f"no stage of {request.api_id} for {path}: neither {first} nor {DEFAULT}")
    if not (stage.auto_deploy or getattr(stage, "deployment_id", None)):
        raise Denied(404, "Not Found", f"stage {stage.name} has no deployment, and auto-deploy is off")
    return Place(api, stage, below, path)


def find_route(place: Place, method: str) -> Match:
    """Return the route that is meant most: literal before variable before greedy, method before ANY, `$default` last.

    Raises:
        Denied: no route.
    """
    best: tuple[tuple[Any, ...], Match] | None = None
    for route in list(place.api.routes.values()):
        verb, _, pattern = route.route_key.partition(" ")
        if route.route_key == DEFAULT or verb not in (method, "ANY"):
            continue
        parameters = _match(pattern, place.path)
        if parameters is None:
            continue
        rank = (*(_rank(segment) for segment in _segments(pattern)), verb == method)
        if best is None or rank > best[0]:
            best = (rank, Match(route, parameters))
    if best:
        return best[1]
    for route in list(place.api.routes.values()):
        if route.route_key == DEFAULT:
            return Match(route, {})
    raise Denied(404, "Not Found", f"no route for {method} {place.path}")


def _api(api_id: str) -> Any:
    for account in list(apigatewayv2_backends.values()):
        for backend in list(account.values()):
            api = backend.apis.get(api_id)
            if api is not None and api.protocol_type == "HTTP":
                return api
    return None


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def _rank(segment: str) -> int:
    if not segment.startswith("{"):
        return 2
    return 0 if segment.endswith("+}") else 1


def _match(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = _segments(pattern), _segments(path)
    parameters: dict[str, str] = {}
    for position, segment in enumerate(wanted):
        if segment.endswith("+}"):
            rest = "/".join(given[position:])
            return {**parameters, segment[1:-2]: rest} if rest else None
        if position >= len(given):
            return None
        if segment.startswith("{"):
            if not given[position]:
                return None
            parameters[segment[1:-1]] = given[position]
        elif segment != given[position]:
            return None
    return parameters if len(wanted) == len(given) else None

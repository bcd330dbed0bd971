"""What moto lacks of the API that manages HTTP APIs: an endpoint that answers, deployments, changes of a stage.

Source: API Gateway Version 2 API Reference, CreateDeployment, UpdateStage and GetApi.
"""

from __future__ import annotations

import functools
import json
import re
import secrets
import time
from typing import Any
from urllib.parse import unquote

from moto.apigatewayv2 import models, responses, urls
from moto.apigatewayv2.exceptions import APIGatewayV2Error, StageNotFound

from strictmoto.running import running

Api: Any = models.Api
Backend: Any = models.ApiGatewayV2Backend
Stage: Any = models.Stage
ApiGatewayV2Response: Any = responses.ApiGatewayV2Response

_Response = tuple[int, dict[str, Any], str]

# What UpdateStage may change, by moto's name of it.
_CHANGEABLE = {
    "accessLogSettings": "access_log_settings",
    "autoDeploy": "auto_deploy",
    "clientCertificateId": "client_certificate_id",
    "defaultRouteSettings": "default_route_settings",
    "deploymentId": "deployment_id",
    "description": "description",
    "routeSettings": "route_settings",
    "stageVariables": "stage_variables",
}

_STAGE = re.compile(r"/apis/([^/]+)/stages/([^/]+)$")


class DeploymentNotFound(APIGatewayV2Error):  # noqa: N818 - as moto calls its own
    """There is no such deployment."""

    code = 404

    def __init__(self, deployment_id: str) -> None:
        """Say which."""
        super().__init__("NotFoundException", f"Invalid Deployment identifier specified {deployment_id}")


def install() -> None:
    """Extend moto's API Gateway."""
    _answer_here()
    _remember_deployments()
    for path in ("deployments", "deployments/(?P<deployment_id>[^/]+)"):
        urls.url_paths[f"{{0}}/v2/apis/(?P<api_id>[^/]+)/{path}$"] = ApiGatewayV2Response.dispatch
    ApiGatewayV2Response.create_deployment = _create_deployment
    ApiGatewayV2Response.get_deployment = _get_deployment
    ApiGatewayV2Response.get_deployments = _get_deployments
    ApiGatewayV2Response.delete_deployment = _delete_deployment
    ApiGatewayV2Response.update_stage = _update_stage
    _tag_stages()


def _answer_here() -> None:
    initialize = Api.__init__

    @functools.wraps(initialize)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, *args, **kwargs)
        self.deployments = {}
        if self.protocol_type == "HTTP":
            self.api_endpoint = f"{running().endpoint}/execute-api/{self.api_id}"

    Api.__init__ = init


def _remember_deployments() -> None:
    initialize, show = Stage.__init__, Stage.to_json

    @functools.wraps(initialize)
    def init(self: Any, api: Any, config: dict[str, Any]) -> None:
        self.deployment_id = config.get("deploymentId")
        initialize(self, api, config)

    @functools.wraps(show)
    def to_json(self: Any) -> dict[str, Any]:
        shown: dict[str, Any] = show(self)
        if self.deployment_id:
            shown["deploymentId"] = self.deployment_id
        return shown

    Stage.__init__, Stage.to_json = init, to_json


def _tag_stages() -> None:
    """Let the tags of a stage be read and changed by its ARN; moto knows only those of whole APIs."""
    urls.url_paths["{0}/v2/tags/(?P<resource_arn_pt1>[^/]+)/apis/(?P<api_id>[^/]+)/stages/(?P<stage_name>[^/]+)$"] = (
        ApiGatewayV2Response.dispatch
    )
    get_tags, tag, untag = (getattr(Backend, name) for name in ("get_tags", "tag_resource", "untag_resource"))

    def stage_of(self: Any, arn: str) -> Any:
        found = _STAGE.search(arn)
        return self.get_stage(found[1], found[2]) if found else None

    @functools.wraps(get_tags)
    def get(self: Any, resource_id: str) -> dict[str, str]:
        stage = stage_of(self, resource_id)
        return dict(stage.tags) if stage else get_tags(self, resource_id)

    @functools.wraps(tag)
    def add(self: Any, resource_arn: str, tags: dict[str, str]) -> None:
        if stage := stage_of(self, resource_arn):
            stage.tags = {**(stage.tags or {}), **tags}
        else:
            tag(self, resource_arn, tags)

    @functools.wraps(untag)
    def remove(self: Any, resource_arn: str, tag_keys: list[str]) -> None:
        if stage := stage_of(self, resource_arn):
            stage.tags = {key: value for key, value in (stage.tags or {}).items() if key not in tag_keys}
        else:
            untag(self, resource_arn, tag_keys)

    Backend.get_tags, Backend.tag_resource, Backend.untag_resource = get, add, remove


def _api(self: Any) -> Any:
    return self.apigatewayv2_backend.get_api(self.path.split("/")[3])


def _create_deployment(self: Any) -> _Response:
    api, parameters = _api(self), json.loads(self.body or "{}")
    deployment = {
        "autoDeployed": False,
        "createdDate": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "deploymentId": secrets.token_hex(3),
        "deploymentStatus": "DEPLOYED",
        "description": parameters.get("description") or "",
    }
    if name := parameters.get("stageName"):
        api.get_stage(name).deployment_id = deployment["deploymentId"]
    api.deployments[deployment["deploymentId"]] = deployment
    return 201, {}, json.dumps(deployment)


def _find_deployment(self: Any) -> tuple[Any, dict[str, Any]]:
    api, deployment_id = _api(self), unquote(self.path.split("/")[-1])
    if deployment_id not in api.deployments:
        raise DeploymentNotFound(deployment_id)
    return api, api.deployments[deployment_id]


def _get_deployment(self: Any) -> _Response:
    return 200, {}, json.dumps(_find_deployment(self)[1])


def _get_deployments(self: Any) -> _Response:
    return 200, {}, json.dumps({"items": list(_api(self).deployments.values())})


def _delete_deployment(self: Any) -> _Response:
    api, deployment = _find_deployment(self)
    del api.deployments[deployment["deploymentId"]]
    return 204, {}, "{}"


def _update_stage(self: Any) -> _Response:
    api, parameters = _api(self), json.loads(self.body)
    stage = api.stages.get(unquote(self.path.split("/")[-1]))
    if stage is None:
        raise StageNotFound
    for key, attribute in _CHANGEABLE.items():
        if key in parameters:
            setattr(stage, attribute, parameters[key])
    return 200, {}, json.dumps(stage.to_json())

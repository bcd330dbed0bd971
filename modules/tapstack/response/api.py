"""The HTTP API of incidents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, json_text
from tapstack.capture.scaffold import name_main_child, suppress_checkov
from tapstack.domain.operations import SEND_ALERT, SEND_WEBHOOK, gateway_routes, right_of
from tapstack.response.authorization import Authorization
from tapstack.response.functions import ResponderFunction
from tapstack.response.key import ResponseKey
from tapstack.response.logs import log_group

RATE_LIMIT: Final = 20
"""Requests a second, all callers together."""
BURST_LIMIT: Final = 100
ALERTS_RATE_LIMIT: Final = 50
ALERTS_BURST_LIMIT: Final = 200
"""The same of each route for alerts. Whoever sends wrong webhooks takes nothing from the other routes."""
INTEGRATION_MILLISECONDS: Final = 29_000
"""Timeout of the gateway; the function's is shorter."""

# Metadata of requests, without their bodies and headers.
_LOGGED: Final = {
    "time": "$context.requestTime",
    "requestId": "$context.requestId",
    "sourceIp": "$context.identity.sourceIp",
    "caller": "$context.identity.userArn",
    "subject": "$context.authorizer.claims.sub",
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "error": "$context.error.message",
    "integrationError": "$context.integrationErrorMessage",
}


class IncidentApi(AwsConstruct):
    """An HTTP API in front of the function that answers it.

    Functions know its address: it is created before them, and `serve` lets them answer it.

    Callers sign with AWS credentials, or show a token. The one route that is open to all is that of webhooks, where
    there are any: a function of its own verifies what their senders sign. Browsers of other sites are not answered (no
    CORS). Above 20 requests a second (burst: 100), requests get 429; on routes for alerts, above 50 (burst: 200).

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        name: of the API.
        tags: on the API, its stage and its log.

    See "Work with HTTP APIs" in the Amazon API Gateway Developer Guide.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        name: str,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the API."""
        super().__init__(scope, id_)
        self._name, self._tags = name, dict(tags) if tags else None
        self.resource: Any = aws.Apigatewayv2Api(
            self,
            "Resource",
            name=name,
            protocol_type="HTTP",
            description="Tapstack: open, show, extend and close incidents; contain and release their instances",
            tags=self._tags,
        )
        name_main_child(self, self.resource)

    def serve(
        self,
        function: ResponderFunction,
        *,
        authorization: Authorization,
        key: ResponseKey,
        log_retention_days: int,
        contains: bool = False,
        alerts: ResponderFunction | None = None,
        webhooks: bool = False,
    ) -> None:
        """Create its routes and its one stage.

        Args:
            function: what answers.
            authorization: who may call.
            key: encrypts the access log.
            log_retention_days: how long the access log is kept.
            contains: instances may be contained.
            alerts: what takes alerts of other tools; by default there are no routes for them.
            webhooks: whether some of their senders sign themselves.
        """
        self._authorization, self._authorizer = authorization, self._made_authorizer(authorization)
        integration = self._integration("Integration", function)
        for route in gateway_routes(contains=contains):
            self._route(route, integration)
        alert_routes = self._alert_routes(alerts, webhooks=webhooks) if alerts is not None else []
        logs = log_group(
            self,
            "Logs",
            name=f"/aws/vendedlogs/apigateway/{self._name}",
            key=key,
            retention_days=log_retention_days,
            tags=self._tags,
        )
        aws.Apigatewayv2Stage(
            self,
            "Stage",
            api_id=self.resource.id,
            name="$default",
            auto_deploy=True,
            access_log_settings=aws.Apigatewayv2StageAccessLogSettings(
                destination_arn=logs.arn, format=json_text(_LOGGED)
            ),
            default_route_settings=aws.Apigatewayv2StageDefaultRouteSettings(
                throttling_rate_limit=RATE_LIMIT,
                throttling_burst_limit=BURST_LIMIT,
                detailed_metrics_enabled=True,
            ),
            route_settings=[
                aws.Apigatewayv2StageRouteSettings(
                    # Of the route itself, which is created first: the gateway refuses settings of one that is not.
                    route_key=route.route_key,
                    throttling_rate_limit=ALERTS_RATE_LIMIT,
                    throttling_burst_limit=ALERTS_BURST_LIMIT,
                    detailed_metrics_enabled=True,
                )
                for route in alert_routes
            ]
            or None,
            tags=self._tags,
        )
        function.allow("Api", principal="apigateway.amazonaws.com", source_arn=f"{self.resource.execution_arn}/*/*")

    @property
    def id(self) -> str:
        """Its id, as a token."""
        return str(self.resource.id)

    @property
    def endpoint(self) -> str:
        """Its address, https and without a path, as a token."""
        return str(self.resource.api_endpoint)

    def _alert_routes(self, function: ResponderFunction, *, webhooks: bool) -> list[Any]:
        """Add the routes for alerts, and return them."""
        integration = self._integration("AlertIntegration", function)
        routes = [self._route(SEND_ALERT.route, integration)]
        if webhooks:
            routes.append(self._route(SEND_WEBHOOK.route, integration, is_open=True))
            reason = "Senders of webhooks have no AWS credentials and no token: the function verifies their signature."
            suppress_checkov(routes[-1], {"CKV_AWS_309": reason})
        function.allow("Api", principal="apigateway.amazonaws.com", source_arn=f"{self.resource.execution_arn}/*/*")
        return routes

    def _integration(self, id_: str, function: ResponderFunction) -> Any:
        return aws.Apigatewayv2Integration(
            self,
            id_,
            api_id=self.resource.id,
            integration_type="AWS_PROXY",
            integration_method="POST",
            integration_uri=function.resource.invoke_arn,
            payload_format_version="2.0",
            timeout_milliseconds=INTEGRATION_MILLISECONDS,
        )

    def _route(self, route: str, integration: Any, *, is_open: bool = False) -> Any:
        """Add a route to a function; its caller is known, or it is open to all."""
        authorizer = None if is_open else self._authorizer
        known = "JWT" if authorizer else "AWS_IAM"
        return aws.Apigatewayv2Route(
            self,
            _route_id(route),
            api_id=self.resource.id,
            route_key=route,
            target=f"integrations/{integration.id}",
            authorization_type="NONE" if is_open else known,
            authorizer_id=authorizer.id if authorizer else None,
            authorization_scopes=None if is_open else list(self._authorization.scopes_for(right_of(route))) or None,
        )

    def _made_authorizer(self, authorization: Authorization) -> Any:
        if authorization.issuer is None:
            return None
        return aws.Apigatewayv2Authorizer(
            self,
            "Authorizer",
            api_id=self.resource.id,
            name=self._name,
            authorizer_type="JWT",
            identity_sources=["$request.header.Authorization"],
            jwt_configuration=aws.Apigatewayv2AuthorizerJwtConfiguration(
                issuer=authorization.issuer, audience=list(authorization.audience)
            ),
        )


def _route_id(route: str) -> str:
    """Return a construct id for a route: slashes would separate paths, braces and dollars confuse Terraform."""
    method, _, path = route.partition(" ")
    return "-".join([method.strip("$").lower(), *(part.strip("{}") for part in path.split("/") if part)])

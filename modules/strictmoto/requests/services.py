"""The services of AWS by the name that a request is signed for: their models, and the Regions that they are in.

Sources: IAM User Guide, "Create a signed AWS API request" (credential scope); the `signingName` of botocore's models,
and its list of partitions, Regions and endpoints.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

import botocore.exceptions
from botocore.loaders import create_loader
from moto.core.utils import get_service_model

# Where it is not the name of the one model. The first model is the one that most requests are of.
_MODELS: Final[Mapping[str, tuple[str, ...]]] = {
    "aidevops": ("devops-agent",),
    "aoss": ("opensearchserverless",),
    "apigateway": ("apigateway", "apigatewayv2"),
    "appconfig": ("appconfig", "appconfigdata"),
    "aps": ("amp",),
    "aws-marketplace": ("meteringmarketplace",),
    "bedrock": ("bedrock", "bedrock-agent", "bedrock-runtime"),
    "bedrock-agentcore": ("bedrock-agentcore", "bedrock-agentcore-control"),
    "cloudhsm": ("cloudhsmv2",),
    "connect-campaigns": ("connectcampaigns",),
    "dynamodb": ("dynamodb", "dynamodbstreams"),
    "elasticfilesystem": ("efs",),
    "elasticloadbalancing": ("elbv2", "elb"),
    "elasticmapreduce": ("emr",),
    "es": ("es", "opensearch"),
    "execute-api": ("apigatewaymanagementapi",),
    "iotdata": ("iot-data",),
    "kinesisanalytics": ("kinesisanalyticsv2",),
    "kinesisvideo": ("kinesisvideo", "kinesis-video-archived-media"),
    "lex": ("lexv2-models",),
    "mediastore": ("mediastore", "mediastore-data"),
    "mobiletargeting": ("pinpoint",),
    "monitoring": ("cloudwatch",),
    "sagemaker": ("sagemaker", "sagemaker-runtime", "sagemaker-metrics"),
    "servicecatalog": ("servicecatalog", "servicecatalog-appregistry"),
    "servicequotas": ("service-quotas",),
    "ses": ("ses", "sesv2"),
    "sso": ("sso-admin",),
    "states": ("stepfunctions",),
    "tagging": ("resourcegroupstaggingapi",),
    "timestream": ("timestream-write", "timestream-query"),
}
# Those that moto does not have.
_OTHERS: Final[Mapping[str, tuple[str, ...]]] = {
    "IoTSecuredTunneling": ("iotsecuretunneling",),
    "access-analyzer": ("accessanalyzer",),
    "aco-automation": ("compute-optimizer-automation",),
    "airflow": ("mwaa",),
    "airflow-serverless": ("mwaa-serverless",),
    "app-integrations": ("appintegrations",),
    "application-cost-profiler": ("applicationcostprofiler",),
    "applicationinsights": ("application-insights",),
    "awsssoportal": ("sso",),
    "backup-search": ("backupsearch",),
    "cases": ("connectcases",),
    "cassandra": (
        "keyspaces",
        "keyspacesstreams",
    ),
    "cleanrooms-ml": ("cleanroomsml",),
    "cloudcontrolapi": ("cloudcontrol",),
    "cloudwatch": ("cloudwatchomni",),
    "codeguru-profiler": ("codeguruprofiler",),
    "elemental-inference": ("elementalinference",),
    "end-user-messaging": ("endusermessaging",),
    "geo": ("location",),
    "health-agent": ("connecthealth",),
    "iotmanagedintegrations": ("iot-managed-integrations",),
    "launchwizard": ("launch-wizard",),
    "migrationhub-orchestrator": ("migrationhuborchestrator",),
    "migrationhub-strategy": ("migrationhubstrategy",),
    "mturk-requester": ("mturk",),
    "neptune-db": ("neptunedata",),
    "notifications-contacts": ("notificationscontacts",),
    "osm": ("opensearchmemory",),
    "partnercentral": ("partnercentral-revenue-measurement",),
    "pricingplanmanager": ("pricing-plan-manager",),
    "profile": ("customer-profiles",),
    "refactor-spaces": ("migration-hub-refactor-spaces",),
    "s3-outposts": ("s3outposts",),
    "scn": ("supplychain",),
    "social-messaging": ("socialmessaging",),
    "sso-oauth": ("sso-oidc",),
    "supportapp": ("support-app",),
    "tax": ("taxsettings",),
    "thinclient": ("workspaces-thin-client",),
    "voiceid": ("voice-id",),
}
NOT_MOTOS: Final = frozenset({"s3-outposts", "s3files"})
"""What moto would take for another service."""


@functools.cache
def models_of(service: str) -> tuple[str, ...]:
    """Return botocore's names of a service by the name that requests are signed for; empty where none is signed so."""
    if service in _MODELS:
        return _MODELS[service]
    if service in _names() and signing_name(service) == service:
        return (service,)
    return _OTHERS.get(service, ())


def signing_name(model: str) -> str:
    """Return the name that requests to a service are signed for, by botocore's name of it."""
    metadata = service_model(model).metadata
    return str(metadata.get("signingName") or metadata["endpointPrefix"])


@functools.cache
def service_model(model: str) -> Any:
    """Return moto's model of a service by botocore's name of it; None where there is none."""
    try:
        return get_service_model(model)
    except botocore.exceptions.UnknownServiceError:
        return None


@functools.lru_cache(4096)
def is_in(service: str, region: str) -> bool:
    """Return whether a Region is one of AWS, and the service is there; global services are asked from any."""
    partition = _partitions().get(region)
    if partition is None:
        return False
    [model, *_] = models_of(service)
    known = partition["services"].get(service_model(model).metadata["endpointPrefix"])
    # botocore's list leaves out services that are new.
    regional = known is not None and known.get("isRegionalized", True) and "partitionEndpoint" not in known
    places = set(known["endpoints"]) & set(partition["regions"]) if regional else set()
    return not places or region in places


@functools.cache
def _partitions() -> dict[str, Any]:
    """Return the partition of each Region, as botocore knows it."""
    partitions = create_loader().load_data("endpoints")["partitions"]
    return {region: partition for partition in partitions for region in partition["regions"]}


@functools.cache
def regions_of(partition: str) -> frozenset[str] | None:
    """Return the Regions of a partition; None where AWS has no such partition."""
    found = next((one for one in _partitions().values() if one["partition"] == partition), None)
    return frozenset(found["regions"]) if found is not None else None


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(create_loader().list_available_services("service-2"))

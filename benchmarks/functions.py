"""The functions' package: its size, how long handlers take to import, and invocations, beside a plain function."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import botocore

from strictmoto.lambda_.packages import PACKAGES_OF_THE_RUNTIME
from tapstack.response.package import build_package
from tests.response_by_hand import NAME, Deployed

HANDLERS: Final = ("api", "findings", "prepare", "appliance", "capture", "incident", "sweeper")
PLAIN: Final = "plain"
WARM_CALLS: Final = 20
_SITE_PACKAGES: Final = Path(str(botocore.__file__)).parents[1]
# What `pip install --target` brings for it; boto3 is there already where it runs.
_PLAIN_PACKAGES: Final = ("aws_lambda_powertools", "fastjsonschema", "jmespath", "typing_extensions.py")

# The way of the documentation: boto3, and all of Powertools that an API uses.
PLAIN_FUNCTION: Final = """
import functools
import os

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.utilities.validation import validate
from boto3.dynamodb.conditions import Key

logger = Logger(service="plain")
metrics = Metrics(namespace="Plain", service="plain")
app = APIGatewayHttpResolver()


@functools.cache
def table():
    return boto3.resource("dynamodb").Table(os.environ["TAPSTACK_TABLE"])


@app.get("/incidents")
def incidents():
    found = table().query(IndexName="by-state", KeyConditionExpression=Key("listing").eq("open"), Limit=25)
    return {"incidents": [{name: str(value) for name, value in item.items()} for item in found["Items"]]}


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event, context):
    return app.resolve(event, context)
"""
# In a process of its own: no site-packages, no compiled files, as where Lambda unpacks a zip for the first time.
IMPORTS: Final = """
import importlib, os, sys, time
sys.path[:0], sys.dont_write_bytecode = sys.argv[1:3], True
begin = time.perf_counter()
importlib.import_module(sys.argv[3])
print(time.perf_counter() - begin)
"""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a package: stored as we build it, and deflated."""

    stored: int
    deflated: int


@dataclass(frozen=True)
class Invocations:
    """Seconds of the first request of a process, and the median of those after it."""

    cold: float
    warm: list[float]


def packages() -> dict[str, bytes]:
    """Return our package and that of the plain function, as zips."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("plain.py", PLAIN_FUNCTION)
        for name in _PLAIN_PACKAGES:
            for file in _files(_SITE_PACKAGES / name):
                archive.write(file, str(file.relative_to(_SITE_PACKAGES)))
    return {"Tapstack": build_package().content, PLAIN: buffer.getvalue()}


def sizes(package: bytes) -> Sizes:
    """Return how large a package is."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as given,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as deflated,
    ):
        for name in given.namelist():
            deflated.writestr(name, given.read(name))
    return Sizes(len(package), len(buffer.getvalue()))


@contextmanager
def unpacked(zips: dict[str, bytes]) -> Iterator[dict[str, tuple[Path, Path, str]]]:
    """Yield, by handler, the directory of its package, that of Lambda's runtime, and the module."""
    with tempfile.TemporaryDirectory() as scratch:
        runtime = Path(scratch) / "runtime"
        runtime.mkdir()
        for name in PACKAGES_OF_THE_RUNTIME:
            for found in (_SITE_PACKAGES / name, _SITE_PACKAGES / f"{name}.py"):
                if found.exists():
                    (runtime / found.name).symlink_to(found)
        homes = {}
        for name, package in zips.items():
            homes[name] = Path(scratch) / name
            with zipfile.ZipFile(io.BytesIO(package)) as archive:
                archive.extractall(homes[name])
        ours = {name: (homes["Tapstack"], runtime, f"tapstack.responder.handlers.{name}") for name in HANDLERS}
        yield {**ours, PLAIN: (homes[PLAIN], runtime, "plain")}


def import_seconds(home: Path, runtime: Path, module: str) -> float:
    """Return how long a new process takes to import a handler."""
    program = [sys.executable, "-I", "-S", "-X", "utf8", "-c", IMPORTS, str(home), str(runtime), module]
    given = {"AWS_DEFAULT_REGION": "eu-central-1", "TAPSTACK_TABLE": "x", "AWS_LAMBDA_FUNCTION_NAME": "x"}
    done = subprocess.run(program, env={**os.environ, **given}, capture_output=True, text=True, check=True)
    return float(done.stdout)


class Invoked:
    """The function of the API and the plain one, in the rehearsal account, both listing incidents."""

    def __init__(self, deployed: Deployed, plain: bytes) -> None:
        """Make the plain function; the other is there."""
        self._variables = dict(deployed.variables)
        self._lambda = deployed.account.client("lambda")
        role = self._lambda.get_function_configuration(FunctionName=f"{NAME}-api")["Role"]
        self._lambda.create_function(
            FunctionName=PLAIN,
            Runtime="python3.13",
            Handler="plain.handler",
            Role=role,
            Code={"ZipFile": plain},
            Timeout=25,
            MemorySize=512,
            Environment={"Variables": self._variables},
        )
        self.functions = {"Tapstack": f"{NAME}-api", PLAIN: PLAIN}
        self._turn = 0

    def measure(self, subject: str) -> Invocations:
        """Invoke a function in a new process, and again in the same one."""
        self._turn += 1
        changed = {"Variables": {**self._variables, "TURN": str(self._turn)}}
        self._lambda.update_function_configuration(FunctionName=self.functions[subject], Environment=changed)
        cold, *warm = (self._invoke(self.functions[subject]) for _ in range(1 + WARM_CALLS))
        return Invocations(cold, warm)

    def _invoke(self, function: str) -> float:
        began = time.perf_counter()
        answer = self._lambda.invoke(FunctionName=function, Payload=json.dumps(_EVENT))
        payload = json.loads(answer["Payload"].read())
        seconds = time.perf_counter() - began
        if payload.get("statusCode") != 200:
            raise RuntimeError(f"{function} answered {payload}")
        return seconds


_EVENT: Final[dict[str, Any]] = {
    "version": "2.0",
    "routeKey": "GET /incidents",
    "rawPath": "/incidents",
    "rawQueryString": "",
    "headers": {},
    "requestContext": {
        "http": {"method": "GET", "path": "/incidents"},
        "stage": "$default",
        "authorizer": {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/soar/1", "userId": "AROASOAR:1"}},
    },
    "isBase64Encoded": False,
}


def _files(path: Path) -> list[Path]:
    return sorted(path.rglob("*.py")) if path.is_dir() else [path]

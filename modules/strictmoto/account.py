"""An AWS account on this machine: moto's server, extended where AWS is stricter."""

from __future__ import annotations

import functools
import importlib
import socket
import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Final

import boto3
import moto
from botocore.config import Config
from moto.backend_index import backend_url_patterns
from moto.backends import list_of_moto_modules
from moto.core import responses, utils
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_api._internal.models import moto_api_backend
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from strictmoto.cloudwatch.metrics import Metrics
from strictmoto.ec2.flow_records import FlowRecords
from strictmoto.events.service_events import ServiceEvents
from strictmoto.faults import Faults
from strictmoto.front import member_names
from strictmoto.front.connections import Handler, Server
from strictmoto.front.front import Front
from strictmoto.guardduty.findings import Findings
from strictmoto.identity.callers import AccessKeys, make_root_credentials
from strictmoto.identity.issuers import Issuers
from strictmoto.identity.principals import Credentials, administrator
from strictmoto.proxies import reached_without_proxy, without_proxy
from strictmoto.recorder import Recorder
from strictmoto.requests import dispatching
from strictmoto.running import Running, Waits, begin, end

TESTED_MOTO: Final = "5.2.5"
REGION: Final = "eu-central-1"
ACCOUNT_ID: Final = DEFAULT_ACCOUNT_ID
"""The account of whoever assumes no role."""
# What makes moto behave like AWS, by the service whose first call needs it: CloudFormation alone
# takes half a second to import.
_OF_EC2: Final = (
    "ec2.images",
    "ec2.resource_tags",
    "ec2.zones",
    "ec2.requests",
    "ec2.endpoint_services",
    "ec2.instance_filters",
    "ec2.network_interfaces",
    "ec2.interface_types",
    "ec2.instance_attributes",
    "ec2.refusals",
    "ec2.default_vpcs",
    "ec2.launches",
    "ec2.flow_logs",
    "ec2.snapshots",
    "ec2.state_events",
    "ec2.mirroring",
)
_OF_LOAD_BALANCING: Final = ("elbv2.load_balancers", "elbv2.refusals", "elbv2.registrations")
_OF_SCALING: Final = (
    "autoscaling.capacity",
    "autoscaling.members",
    "autoscaling.standby",
    "autoscaling.launches",
    "autoscaling.groups",
    "autoscaling.scaling_policies",
    "autoscaling.scheduled",
    "autoscaling.activity_events",
)
EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "ec2": _OF_EC2,
    "tagging": _OF_EC2,
    "cloudformation": (*_OF_EC2, *_OF_LOAD_BALANCING, *_OF_SCALING, "cloudformation", "lambda_", "iam.names"),
    "lambda": ("lambda_",),
    "apigateway": ("http_api",),
    "elasticloadbalancing": _OF_LOAD_BALANCING,
    "autoscaling": (*_OF_EC2, *_OF_SCALING, "elbv2.registrations"),
    "monitoring": ("cloudwatch.metric_namespaces",),
    "dynamodb": ("dynamodb.tables",),
    "ram": ("ram.sharing",),
    "sqs": ("sqs.queues",),
    "events": ("events",),
    "guardduty": ("guardduty.publishing_destinations",),
    "s3": ("s3.buckets", "s3.access_logs", "s3.notifications", "s3.uploads", "s3.locks"),
    "logs": ("logs.queries", "logs.filters"),
    "secretsmanager": ("secretsmanager.passwords",),
    "sns": ("sns.topics",),
    "ssm": ("ssm.commands", "ssm.documents"),
    "kms": ("kms.customer_keys", "kms.key_states"),
    "scheduler": ("events",),
    "states": ("stepfunctions",),
    "sts": ("sts.user_sessions", "sts.sessions"),
    "iam": ("iam.managed_policies", "iam.names", "iam.users", "iam.audiences", "iam.oneself", "iam.refusals"),
    "organizations": ("organizations.member_accounts",),
}


class UntestedMotoWarning(UserWarning):
    """The installed moto is not the one that this account was tested with."""


# moto searches all methods of a service's class at each call, which takes a fifth of the time of one of EC2.
_methods_of = functools.cache(utils.method_names_from_class)
responses.method_names_from_class = _methods_of  # type: ignore[attr-defined]

_extending = threading.Lock()
_extended: set[str] = set()


def extend(service: str) -> None:
    """Install what a service needs, before its first call is answered."""
    if service in _extended or service not in EXTENSIONS:
        return
    with _extending:
        for extension in EXTENSIONS[service]:
            importlib.import_module(f"strictmoto.{extension}").install()
        _methods_of.cache_clear()
        _extended.add(service)


@contextmanager
def _one_session() -> Iterator[None]:
    """Let moto's modules share a session of boto3 while they are imported.

    Some ask for the Regions of a service then, each with a session of its own, which reads all endpoints of AWS again:
    a quarter of the start. Kept longer, what a session read would stay in memory.
    """
    session: Any = boto3.Session
    shared = functools.cache(session)
    boto3.Session = shared
    try:
        yield
    finally:
        boto3.Session = session
        loaded: list[tuple[str, Any]] = list(sys.modules.items())
        for name, module in loaded:
            if name.startswith("moto.") and getattr(module, "Session", None) is shared:
                module.Session = session


class _Moto(DomainDispatcherApplication):
    """moto's server, which finds the application of a service once, and says which services it does not have."""

    def get_backend_for_host(self, host: str | None) -> Any:
        """Return moto's name of the service; None where the request does not show it.

        Raises:
            NotImplementedError: moto does not have it.
        """
        return None if host is None else _backend_for(host)


@functools.lru_cache(maxsize=4096)
def _backend_for(host: str) -> str:
    if host == "moto_api" or host in list_of_moto_modules():
        return host
    for backend, pattern in backend_url_patterns:
        if pattern.match(f"http://{host}"):
            return str(backend)
    raise NotImplementedError(f"moto does not have {host}")


class Account:
    """An AWS account that lives in this process, and is reached over HTTP.

    Use it as a context manager. State belongs to the process, as moto's does: a new account,
    and `reset()`, begin with nothing, and one account runs at a time. As long as it listens,
    NO_PROXY of this process names this machine besides what it named before.

    Args:
        port: loopback port; a free one by default.
        region: the default Region of clients and of the environment.
        enforce_iam: whether what IAM does not allow is refused; otherwise whoever calls may do anything.

    Attributes:
        credentials: of the account's root user; random, and of this account alone.
        recorder: every call that was made.
        faults: failures to play.
        origins: web pages that may call the HTTP APIs in the account, such as http://localhost:3000; none at first.
        waits: how long wait states, retries, task tokens and schedules last, and how long snapshots are pending.
        enforces_iam: whether what IAM does not allow is refused; may be changed at any time.
        metrics: what CloudWatch says of mirrored packets, which do not flow here.
        flow_records: writes files of flow logs into their buckets, on demand.
        findings: lets GuardDuty find something, on demand.
        service_events: lets any service put an event on the default bus, on demand.
        issuers: identity providers whose public keys are registered; none at first.
    """

    _running = threading.Lock()

    def __init__(self, *, port: int = 0, region: str = REGION, enforce_iam: bool = True) -> None:
        """Prepare the account; nothing listens yet."""
        self.credentials = make_root_credentials()
        self._enforces_iam = enforce_iam
        self.recorder = Recorder()
        self.faults = Faults()
        self.waits = Waits()
        self.metrics = Metrics(region)
        self.flow_records = FlowRecords(region)
        self.findings = Findings(region)
        self.service_events = ServiceEvents(region)
        self.issuers = Issuers()
        self.origins: set[str] = set()
        self._keys = AccessKeys(self.credentials)
        self._running_services: Running | None = None
        self._clients: dict[tuple[str, str, int], Any] = {}
        self._port = port
        self._region = region
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._surroundings = ExitStack()

    def __enter__(self) -> Account:
        """Start listening."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        self.stop()

    def start(self) -> None:
        """Start listening on 127.0.0.1.

        Raises:
            RuntimeError: another account runs in this process.
            OSError: the port is taken.
        """
        if moto.__version__ != TESTED_MOTO:
            message = f"strictmoto was tested with moto {TESTED_MOTO}, and this is {moto.__version__}"
            warnings.warn(message, UntestedMotoWarning, stacklevel=2)
        if not self._running.acquire(blocking=False):
            raise RuntimeError("another account runs in this process: stop it first")
        try:
            dispatching.install()
            member_names.install()
            # Nearly all that is tried here uses EC2, and what its import leaves is used again for the model of its API.
            with _one_session():
                extend("ec2")
            # moto would let every web page read its answers.
            setattr(werkzeug_app, "DISABLE_GLOBAL_CORS", True)  # noqa: B010 - moto does not export it
            moto_server = _Moto(create_backend_app)
            front = Front(
                moto_server,
                self._keys,
                self.recorder,
                self.faults,
                self.waits,
                self.metrics,
                self.issuers,
                self.flow_records,
                self.findings,
                self.service_events,
                self.origins,
                extend,
            )
            # Bound here, because werkzeug ends the process where a port is taken.
            with socket.create_server(("127.0.0.1", self._port)) as listening:
                self._server = Server("127.0.0.1", self._port, front, Handler, fd=listening.fileno())
        except BaseException:
            self._running.release()
            raise
        self._thread = threading.Thread(target=self._server.serve_forever, name="strictmoto", daemon=True)
        self._thread.start()
        self._running_services = Running(
            self.endpoint, self._keys, self.waits, self.recorder, self.issuers, self._enforces_iam
        )
        begin(self._running_services)
        self._surroundings.enter_context(reached_without_proxy())
        self.reset()

    def stop(self) -> None:
        """Stop listening; what the account held is gone."""
        if self._server is None or self._thread is None or self._running_services is None:
            return
        self._running_services.end_all()
        end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = self._thread = self._running_services = None
        self._clients.clear()
        moto_api_backend.reset()
        self._surroundings.close()
        self._running.release()

    def reset(self) -> None:
        """Forget all resources, calls, faults, issuers and origins; what functions and workflows do, ends."""
        if self._running_services is not None:
            self._running_services.end_all()
        self.waits.scale = 1.0
        moto_api_backend.reset()
        self._keys.forget()
        self.origins.clear()
        self.issuers.clear()
        self.recorder.clear()
        self.faults.clear()

    @property
    def enforces_iam(self) -> bool:
        """Whether what IAM does not allow is refused."""
        return self._enforces_iam

    @enforces_iam.setter
    def enforces_iam(self, enforces: bool) -> None:
        """Refuse it from now on, or let whoever calls do anything."""
        self._enforces_iam = enforces
        if self._running_services is not None:
            self._running_services.enforces_iam = enforces

    @property
    def endpoint(self) -> str:
        """Where the account listens, for example http://127.0.0.1:43121.

        Raises:
            RuntimeError: it does not listen.
        """
        if self._server is None:
            raise RuntimeError("strictmoto is not running: use it in a with statement")
        return f"http://127.0.0.1:{self._server.socket.getsockname()[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make boto3, the AWS CLI and Terraform's AWS provider use this account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **self.credentials.as_environment(),
            "AWS_DEFAULT_REGION": self._region,
            "AWS_REGION": self._region,
            "AWS_EC2_METADATA_DISABLED": "true",
            **without_proxy(),
        }

    def client(self, service: str, *, region: str | None = None, role_arn: str | None = None, retries: int = 0) -> Any:
        """Return a boto3 client of this account; the same one each time, where no role is assumed.

        Args:
            service: boto3's name of it.
            region: the account's default Region by default.
            role_arn: role that the account's administrator assumes, which may be one of another account.
            retries: how often a failed call is tried again; never by default, so that tests see faults.
        """
        where = region or self._region
        if role_arn is None:
            # Making one takes longer than most calls do.
            key = (service, where, retries)
            if key not in self._clients:
                self._clients[key] = self._make_client(service, where, retries, self.credentials)
            return self._clients[key]
        return self._make_client(service, where, retries, self.assume(role_arn, region=where))

    def client_with(self, credentials: Credentials, service: str, *, region: str | None = None) -> Any:
        """Return a boto3 client with credentials that were issued here, such as those of the session of a role.

        Args:
            credentials: of whoever calls.
            service: boto3's name of it.
            region: the account's default Region by default.
        """
        return self._make_client(service, region or self._region, 0, credentials)

    def assume(self, role_arn: str, *, session_name: str = "strictmoto", region: str | None = None) -> Credentials:
        """Return the credentials of a role, which the account's administrator assumes: its root user may not.

        Args:
            role_arn: of the role, which may be one of another account.
            session_name: of the session.
            region: where STS is asked; the account's default Region by default.
        """
        sts = self._make_client("sts", region or self._region, 0, administrator(role_arn.split(":")[1]))
        found = sts.assume_role(RoleArn=role_arn, RoleSessionName=session_name)["Credentials"]
        return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])

    def _make_client(self, service: str, region: str, retries: int, credentials: Credentials) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=region,
            **credentials.as_arguments(),
            # Also where a test has changed NO_PROXY since the account began.
            config=Config(retries={"total_max_attempts": retries + 1}, proxies={}),
        )

"""What of a function decides how it runs; where any of it changes, its warm processes are of no use any more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from strictmoto.lambda_.errors import Refused

_RUNNABLE: Final = re.compile(r"python3\.\d+")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of a function, at the time of an invocation.

    Attributes:
        account_id: whose it is.
        region: where it is.
        name: of the function.
        version: a number, or $LATEST.
        handler: module and function.
        runtime: for example python3.12.
        role: whose rights it has.
        timeout: seconds.
        memory: megabytes.
        variables: its environment.
        code: SHA-256 of its zip.
        layers: the ARNs of its layer versions, in order.
        log_group: where it logs.
        log_format: Text or JSON.
        log_level: of the application, where the format is JSON.
    """

    account_id: str
    region: str
    name: str
    version: str
    handler: str
    runtime: str
    role: str
    timeout: int
    memory: int
    variables: tuple[tuple[str, str], ...]
    code: str
    layers: tuple[str, ...]
    log_group: str
    log_format: str
    log_level: str

    @property
    def function(self) -> tuple[str, str, str]:
        """Account, Region and name: what reserved concurrency is counted by."""
        return self.account_id, self.region, self.name

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What stays the same when the code or the configuration changes."""
        return *self.function, self.version


def version_of(function: Any) -> Version:
    """Return the version that a function of moto's stands for.

    Raises:
        Refused: InvalidRuntimeException, for images and for what is no Python.
    """
    runtime = function.run_time or ""
    if function.package_type != "Zip" or not _RUNNABLE.fullmatch(runtime):
        wanted = runtime if function.package_type == "Zip" else "a container image"
        message = f"strictmoto runs zip packages with a python3.x runtime, not {wanted}"
        raise Refused(502, "InvalidRuntimeException", message)
    logging = getattr(function, "logging_config", {})
    return Version(
        function.account_id,
        function.region,
        function.function_name,
        str(function.version),
        function.handler or "",
        runtime,
        function.role,
        int(function.timeout or 3),
        int(function.memory_size or 128),
        tuple(sorted((function.environment_vars or {}).items())),
        function.code_sha_256,
        tuple(layer["Arn"] for layer in function.layers),
        logging.get("LogGroup") or function.logs_group_name,
        logging.get("LogFormat") or "Text",
        logging.get("ApplicationLogLevel") or "",
    )

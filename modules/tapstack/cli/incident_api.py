"""Calls to the incident API: signed or with a token, retried where that is safe, with errors as messages."""

from __future__ import annotations

import email.message
import json
import os
import random
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TextIO

from tapstack import __version__
from tapstack.cli.terminal import plain
from tapstack.domain.regions import DNS_SUFFIXES

Headers = dict[str, str]
Sign = Callable[[str, str, bytes | None, Headers], Headers]
"""Takes method, URL, body and headers; returns the headers with what authorizes the call."""

ATTEMPTS: Final = 5
TIMEOUT: Final = 35.0
"""Seconds for one attempt; API Gateway gives up after 30."""
_LONGEST_PAUSE: Final = 20.0
_LARGEST_ANSWER: Final = 10_000_000
_LONGEST_TOKEN: Final = 100_000
_NEVER_PROCESSED: Final = frozenset({429})
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_EXECUTE_API: Final = re.compile(
    r"[a-z0-9]+(?:-vpce-[a-z0-9-]+)?\.execute-api\.([a-z0-9-]+)\.(?:" + "|".join(map(re.escape, DNS_SUFFIXES)) + ")"
)


_SIGN_IN: Final = ". Sign in (aws sso login), set AWS_PROFILE, or give --token-file"


class UserError(Exception):
    """An error that the user of the command can fix."""


class ServiceError(Exception):
    """An error of the API, or of the connection to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the API."""

    status: int
    body: Any


def check_url(url: str) -> str:
    """Return the API's address without a slash at the end.

    Raises:
        UserError: it is neither an https address nor an http address of this machine.
    """
    try:
        parts = urllib.parse.urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urllib.parse.urlsplit(""), ""
    expected = (
        "expected https://<id>.execute-api.<region>.amazonaws.com, as the output api_endpoint of the deployment has it"
    )
    if parts.username is not None or parts.password is not None:
        # The message does not show the address, because it has a password.
        raise UserError(f"the address of the API holds a user or a password: {expected}")
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment:
        raise UserError(f"{plain(url)!r} is no address of an incident API: {expected}")
    if parts.scheme == "http" and not _is_loopback(host):
        raise UserError(f"{plain(url)!r} is not encrypted, and not on this machine: {expected}")
    return url.rstrip("/")


def region_of(url: str) -> str | None:
    """Return the Region that an execute-api address names; none for other addresses."""
    found = _EXECUTE_API.fullmatch(urllib.parse.urlsplit(url).hostname or "")
    return found[1] if found else None


def sign_with_credentials(region: str | None) -> Sign:
    """Return the function that signs calls with the caller's AWS credentials (SigV4, service `execute-api`).

    Args:
        region: of the API; the caller's configured one where it is not given.

    Raises:
        UserError: botocore is missing, or there are no credentials, or no Region.
    """
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ModuleNotFoundError:
        raise UserError(
            "signing calls needs botocore: install tapstack with its extra response, or give --token-file"
        ) from None
    try:
        session = Session()
        found = region or os.environ.get("AWS_REGION") or session.get_config_variable("region")
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise UserError(f"AWS credentials cannot be read: {error}{_SIGN_IN}") from None
    if credentials is None:
        raise UserError(f"no AWS credentials{_SIGN_IN}")
    if not found:
        raise UserError("no Region: the address does not name it; give --region, or set AWS_REGION")

    return sign_with(credentials, found)


def sign_with(credentials: Any, region: str) -> Sign:
    """Return the function that signs calls with botocore's `credentials` (SigV4, service `execute-api`)."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError

    def sign(method: str, url: str, body: bytes | None, headers: Headers) -> Headers:
        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        try:
            SigV4Auth(credentials.get_frozen_credentials(), "execute-api", region).add_auth(request)
        except BotoCoreError as error:
            raise UserError(f"AWS credentials cannot be used: {error}{_SIGN_IN}") from None
        return dict(request.headers.items())

    return sign


def read_token(file: str, source: TextIO) -> str:
    """Return the JSON Web Token that a file holds, without blanks around it.

    Args:
        file: its path; `-` for `source`.
        source: input of the process.

    Raises:
        UserError: it cannot be read, or is too long for a token; the message does not show its content.
    """
    try:
        if file == "-":
            token = source.read(_LONGEST_TOKEN + 1)
        else:
            with Path(file).open(encoding="utf-8") as opened:
                token = opened.read(_LONGEST_TOKEN + 1)
    except OSError as error:
        raise UserError(f"--token-file {plain(file)}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"--token-file {plain(file)}: is not UTF-8 text, and so no token") from None
    if len(token) > _LONGEST_TOKEN:
        raise UserError(f"--token-file {plain(file)}: is longer than {_LONGEST_TOKEN:,} characters, and so no token")
    return token.strip()


def sign_with_token(token: str) -> Sign:
    """Return the function that adds a JSON Web Token to calls.

    Raises:
        UserError: the token has characters that no header may have; the message does not show it.
    """
    if not re.fullmatch(r"[!-~]+", token):
        raise UserError("the token is empty, or holds characters that no token has")

    def sign(_method: str, _url: str, _body: bytes | None, headers: Headers) -> Headers:
        return {**headers, "Authorization": f"Bearer {token}"}

    return sign


class IncidentApi:
    """The incident API of one deployment."""

    def __init__(
        self,
        url: str,
        sign: Sign,
        *,
        pause: Callable[[float], None] = time.sleep,
        say: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Keep the address; no call is made.

        Args:
            url: as `check_url` returns it.
            sign: authorizes a call.
            pause: waits for seconds.
            say: prints a line when a call is retried.
        """
        self._url = url
        self._sign = sign
        self._pause = pause
        self._say = say
        handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
        if _is_loopback(urllib.parse.urlsplit(url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, query: Mapping[str, str] | None = None, *, holds: str = "") -> Any:
        """Return the JSON at `path`; see `post`."""
        return self._with(holds, self._call("GET", path, query=query, repeatable=True).body)

    def post(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        headers: Headers | None = None,
        repeatable: bool,
        holds: str = "",
    ) -> Any:
        """Send `body` to `path` and return the answer.

        Args:
            path: below the API's address.
            body: sent as JSON.
            headers: besides the usual ones.
            repeatable: whether the call may be retried when its outcome is unknown.
            holds: what every such answer of the API has; any other is of something else, at a mistyped address.

        Raises:
            ServiceError: the answer is no JSON object, or lacks that.
        """
        return self._with(holds, self._call("POST", path, body=body, headers=headers, repeatable=repeatable).body)

    def send(self, path: str, body: bytes, *, holds: str = "") -> Any:
        """Send bytes of JSON as they are, which may be repeated; see `post`."""
        return self._with(holds, self._call("POST", path, body=body, repeatable=True).body)

    def _with(self, holds: str, answer: Any) -> Any:
        if isinstance(answer, dict) and (not holds or holds in answer):
            return answer
        what = f"has no {holds}" if isinstance(answer, dict) else "is no JSON object"
        raise ServiceError(f"the answer of {self._url} {what}: is this the address of an incident API?")

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        headers: Headers | None = None,
        repeatable: bool,
    ) -> Answer:
        url = self._url + path
        if query:
            url += "?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Accept": "application/json, application/problem+json", "User-Agent": f"tapstack/{__version__}"}
        sent |= {"Content-Type": "application/json"} if data is not None else {}
        sent |= headers or {}
        retried = _TRANSIENT if repeatable else _NEVER_PROCESSED
        for attempt in range(1, ATTEMPTS + 1):
            after: str | None = None
            try:
                # Signed anew each time: a signature is good for five minutes.
                answer, after = self._once(method, url, data, self._sign(method, url, data, dict(sent)))
            except _NotReachedError as error:
                if attempt == ATTEMPTS or not (repeatable or error.nothing_sent):
                    remedy = f"\n{error.remedy}" if error.remedy else ""
                    raise ServiceError(f"{self._url} cannot be reached: {error}{remedy}") from None
                why = str(error)
            else:
                if answer.status < 300:
                    return answer
                if attempt == ATTEMPTS or answer.status not in retried:
                    raise _as_error(answer, self._url)
                why = f"HTTP {answer.status}"
            if attempt == 1:
                self._say(f"{self._url} does not answer yet ({why}): trying again")
            self._pause(_pause_before(attempt, after))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, url: str, data: bytes | None, headers: Headers) -> tuple[Answer, str | None]:
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return Answer(response.status, _read(response, self._url)), None
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, _read(error, self._url)), error.headers.get("Retry-After")
        except urllib.error.URLError as error:
            reason = error.reason
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise UserError(
                    f"{self._url} shows a certificate that is not trusted: {reason.verify_message}"
                ) from None
            raise _NotReachedError(reason) from None
        except (OSError, HTTPException) as error:
            raise _NotReachedError(error) from None


class _NotReachedError(Exception):
    """Why the API could not be reached.

    Attributes:
        nothing_sent: whether it is certain that the API got nothing.
        remedy: what to inspect; empty where that is not known.
    """

    def __init__(self, why: object) -> None:
        super().__init__(
            plain(why.strerror if isinstance(why, OSError) and why.strerror else why) or type(why).__name__
        )
        self.nothing_sent = isinstance(why, ConnectionRefusedError)
        self.remedy = next((text for kind, text in _REMEDIES.items() if isinstance(why, kind)), "")


_REMEDIES: Final[Mapping[type[BaseException], str]] = {
    socket.gaierror: "no DNS server of this machine knows the host: compare the address with the output api_endpoint "
    "of a response that is deployed, and inspect the network (VPN, HTTPS_PROXY)",
    ConnectionRefusedError: "nothing accepts connections at this address, or at the proxy of HTTPS_PROXY: compare "
    "it with the output api_endpoint",
    TimeoutError: f"no answer came within {TIMEOUT:g} seconds: a firewall, a VPN or a missing HTTPS_PROXY may keep the "
    "connection from AWS",
}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Refuses redirects: credentials are sent to the given address only."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read(response: Any, url: str) -> Any:
    """Return the JSON of an answer; None where there is none, or where that of an error cannot be read."""
    try:
        content: bytes = response.read(_LARGEST_ANSWER + 1)
        if len(content) > _LARGEST_ANSWER:
            raise ServiceError(f"the answer of {url} is larger than {_LARGEST_ANSWER:,} bytes")
        if response.length:
            # http.client raises this only where all is read at once.
            raise IncompleteRead(content, response.length)
    except (OSError, HTTPException):
        if response.status < 300:
            raise
        return None  # the status of an error says whether to call again, and is enough for the message
    headers: email.message.Message = response.headers
    try:
        return json.loads(content) if content else None
    except (ValueError, RecursionError):
        if response.status < 300:
            raise ServiceError(f"the answer of {url} is no JSON but {plain(headers.get('Content-Type'))}") from None
        return None  # an error of a proxy or gateway; its status is enough for the message


def _pause_before(attempt: int, after: str | None) -> float:
    if after is not None and after.isdigit():
        return min(float(after), _LONGEST_PAUSE)
    longest = min(_LONGEST_PAUSE, 0.5 * 2**attempt)
    return random.uniform(longest / 2, longest)


_HINTS: Final = {
    401: "the token is missing, expired or not for this API",
    403: "the credentials may not call this API (execute-api:Invoke, or the scopes of a token), are wrong or expired, "
    "or are for another account or Region. aws sts get-caller-identity shows whose AWS credentials they are, and fails "
    "where they are expired: sign in again (aws sso login)",
}


_OURS: Final = "urn:tapstack:problem:"


def _as_error(answer: Answer, url: str) -> UserError | ServiceError:
    body = answer.body if isinstance(answer.body, dict) else {}
    detail = plain(body.get("detail") or body.get("message") or body.get("Message"))
    title = plain(body.get("title"))
    reason = ": ".join(dict.fromkeys(part for part in (title, detail) if part)) or "no reason was given"
    is_ours = plain(body.get("type")).startswith(_OURS)
    # What is not the function's own may be of a gateway, a proxy, or of another service at a mistyped address.
    lines = [f"{reason} (HTTP {answer.status})" if is_ours else f"{reason} (HTTP {answer.status} of {url})"]
    errors = body.get("errors")
    for entry in errors if isinstance(errors, list) else []:
        if not isinstance(entry, dict):
            continue
        where, problem = plain(entry.get("where")), plain(entry.get("problem"))
        # Where it is the only one, the detail says the same.
        if detail not in (f"{where} {problem}", f"{where}: {problem}", problem):
            lines.append(f"  {where}: {problem}")
    # What the function refuses says itself why.
    if not is_ours and (hint := _HINTS.get(answer.status)):
        lines.append(hint)
    message = "\n".join(lines)
    user_can_fix = 400 <= answer.status < 500 and answer.status not in _TRANSIENT
    return UserError(message) if user_can_fix else ServiceError(message)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

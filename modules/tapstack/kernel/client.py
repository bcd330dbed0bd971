"""jsii's side of a kernel that was started early.

jsii asks and waits for the answer, each time. Here some requests were sent before jsii was
imported, and a program of Tapstack's own does not wait for answers that it can predict:

- a creation's answer is the reference of the object, which the kernel numbers in sequence;
- a few methods answer nothing;
- an attribute of a resource that was read once is a token for the same expression again.

Each answer is read, and compared with what was sent, before the next one that has to be waited
for; an error is raised there. All of them are read before anything is written to disk, since
that is asked for by a request that is waited for.
"""

from __future__ import annotations

import functools
import json
import re
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tapstack.kernel.node import NodeProcess

_SILENT: Final = frozenset({"addOverride", "overrideLogicalId"})
"""Methods of cdktf's elements that return nothing, and are called often."""

_LASTING: Final = frozenset({"friendlyUniqueId", "node", "scope", "terraformResourceType"})
"""Properties that stay what they are once they were read."""

_TOKEN: Final = re.compile(r"\$\{TfToken\[[\w.]+\]\}")

_NUMBER: Final = re.compile(rb'"\$jsii\.byref":"[^"]*@(\d+)"')
"""In an answer: within a text of it the quotes would be escaped."""

_PLAIN_OBJECT: Final = "Object"
"""What an object of Python's own is to the kernel: its reference names interfaces."""

# So few that their answers fit into the channel: Node would wait for us to read them, and we for it.
_MOST_AHEAD: Final = 32


class KernelError(RuntimeError):
    """The kernel answers otherwise than it was expected to."""


def hand_over(node: NodeProcess, requests: list[dict[str, object]], *, program: bool) -> Any:
    """Make jsii use `node`, which was asked `requests` already; return the link that it has to it.

    That is None where jsii was imported before, or differs from what is expected, or where
    Node does not answer as a kernel does; jsii then starts a kernel of its own.
    """
    if "jsii" in sys.modules:
        return None
    try:
        from jsii import _runtime
        from jsii._kernel import types
        from jsii._kernel.providers import process

        if type(_runtime.kernel.provider) is not process.ProcessProvider:
            return None
        link = _link_class(process, types)(node, requests, program)
        _runtime.kernel.provider = _provider(process, link)
    except Exception:
        # Whatever it is: jsii's own way does not depend on it, and shows what is wrong with the installation.
        return None
    return link


def _provider(process: Any, link: Any) -> Any:
    class Provider(process.ProcessProvider):  # type: ignore[misc]
        """Of a kernel that runs, instead of one that is started when it is needed."""

        _process = link

    return Provider()


def _link_class(process: Any, types: Any) -> Any:
    """Return the class of links to a kernel; made here, because jsii is not imported with this module."""
    from jsii.errors import ErrorType, JavaScriptError, JSIIError

    class Link(process._NodeProcess):  # type: ignore[misc]
        """A link to a kernel that runs.

        Attributes:
            round_trips: how many answers were waited for.
        """

        def __init__(self, node: NodeProcess, requests: list[dict[str, object]], program: bool) -> None:
            self._process = node
            super().__init__()
            self.round_trips = 0
            self._ahead = program
            self._awaited: deque[Callable[[Any], None]] = deque()
            self._early: dict[str, Any] = {}
            self._next_number: int | None = None
            self._known: dict[tuple[str, str], Any] = {}
            self.handshake()
            for request in requests:
                self._awaited.append(functools.partial(self._early.__setitem__, _text(request)))
            # Of the bindings, whose attributes are tokens: the assembly that is loaded last.
            self._bindings = next((f"{r['name']}." for r in reversed(requests) if r["api"] == "load"), None)

        def stop(self) -> None:
            self._process.end()

        def send(self, request: Any, response_type: Any) -> Any:
            kind = type(request)
            if kind is types.LoadRequest and (answer := self._answered_early(request)) is not None:
                return self._serializer.structure(answer["ok"], response_type)
            if self._ahead:
                if kind is types.GetRequest:
                    return self._get(request, response_type)
                if kind is types.CreateRequest:
                    # With overrides the kernel calls back, instead of answering.
                    self._ahead = not request.overrides
                    number = self._next_number
                    if self._ahead and request.fqn != _PLAIN_OBJECT and number is not None:
                        return self._create_ahead(request, response_type, number)
                elif kind is types.InvokeRequest and request.method in _SILENT:
                    self._send_ahead(request, lambda _: None)
                    return response_type(result=None)
                elif kind is types.SetRequest:
                    self._known.clear()
            return self._ask(request, response_type)

        def _ask(self, request: Any, response_type: Any) -> Any:
            while self._awaited:
                self._accept()
            self.round_trips += 1
            return super().send(request, response_type)

        def _get(self, request: Any, response_type: Any) -> Any:
            key = request.objref.ref, request.property
            response = self._known.get(key)
            if response is None:
                response = self._ask(request, response_type)
                if self._lasts(*key, response):
                    self._known[key] = response
            return response

        def _lasts(self, reference: str, name: str, response: Any) -> bool:
            """Return whether a property answers the same when it is asked for again."""
            if name in _LASTING:
                return True
            value = getattr(response, "value", None)
            return (
                self._bindings is not None
                and reference.startswith(self._bindings)
                and not name.endswith("Input")
                and isinstance(value, str)
                and _TOKEN.fullmatch(value) is not None
            )

        def _create_ahead(self, request: Any, response_type: Any, number: int) -> Any:
            expected = f"{request.fqn}@{number}"
            self._send_ahead(request, lambda answer: _hold_against(answer["ok"], expected))
            self._next_number = number + 1
            return response_type(ref=expected)

        def _send_ahead(self, request: Any, check: Callable[[Any], None]) -> None:
            while len(self._awaited) >= _MOST_AHEAD:
                self._accept()
            text = json.dumps(self._shallow(request), default=process.jdefault)
            self._process.stdin.write(text.encode() + b"\n")
            self._process.stdin.flush()

            def accept(answer: Any) -> None:
                if "error" in answer:
                    fault = answer.get("name") == ErrorType.JSII_FAULT.value
                    error = (JSIIError if fault else RuntimeError)(answer["error"])
                    error.add_note(f"asked for earlier, without waiting for the answer: {text[:400]}")
                    raise error from JavaScriptError(answer.get("stack"))  # type: ignore[no-untyped-call]
                check(answer)

            self._awaited.append(accept)

        def _shallow(self, request: Any) -> Any:
            """Return a request as JSON has it; arguments of methods are that already, and may be large."""
            if type(request) is not types.InvokeRequest:
                return self._serializer.unstructure(request)
            named = self._serializer.unstructure(types.InvokeRequest(request.objref, request.method, []))
            return {**named, "args": request.args}

        def _accept(self) -> None:
            """Read the answer to the oldest request that was not waited for."""
            self._awaited.popleft()(self._next_message())

        def _answered_early(self, request: Any) -> Any:
            """Return the answer to a request that was sent before jsii was there, if it was and could be done."""
            text = _text(self._serializer.unstructure(request))
            while text not in self._early and self._awaited:
                self._accept()
            answer = self._early.pop(text, {})
            return answer if "ok" in answer else None

        def _next_message(self) -> Any:
            line = self._process.stdout.readline()
            numbers = [int(number) for number in _NUMBER.findall(line)]
            if numbers:
                self._next_number = max(self._next_number or 0, *(number + 1 for number in numbers))
            elif b'"error"' in line:
                # Who knows what it has numbered before it failed: the next answer says.
                self._next_number = None
            return json.loads(line, object_hook=process.ohook)

    return Link


def _text(request: Any) -> str:
    return json.dumps(request, sort_keys=True)


def _hold_against(reference: Any, expected: str) -> None:
    # A class of an assembly has its interfaces by itself: a reference names only further ones.
    if reference.ref != expected or reference.interfaces:
        raise KernelError(
            f"the kernel calls an object {reference.ref} that was expected to be {expected}: set "
            "TAPSTACK_STOCK_IMPORT=1, and it is asked one thing at a time"
        )

"""Makes moto do what was read of a request (`readings`), and nothing else.

moto reads a request again, by rules of its own: an `Action` anywhere comes before X-Amz-Target, and where there is no
query, a body or headers are taken for one. IAM would be asked about one action, and moto would do another.
"""

from __future__ import annotations

import functools
from typing import Any, Final

from moto.core.responses import BaseResponse
from werkzeug.datastructures import MultiDict

from strictmoto.requests.readings import Reading

READING: Final = "strictmoto.reading"
"""Where a request's WSGI environment has its reading: requests that services make of moto have none."""
# moto has types, but none for what is replaced at run time.
_response: Any = BaseResponse


@functools.cache
def install() -> None:
    """Make the moto of this process do so. A second call changes nothing."""
    _response.setup_class = _prepared(_response.setup_class)
    _response._get_action = _named(_response._get_action)
    _response._get_param = _labelled(_response._get_param)
    _response.get_region_from_url = _located(_response.get_region_from_url)


def _prepared(original: Any) -> Any:
    @functools.wraps(original)
    def setup_class(self: Any, request: Any, *args: Any, **given: Any) -> None:
        self.strict_reading = reading = request.environ.get(READING)
        if reading is None:
            original(self, request, *args, **given)
            return
        form: MultiDict[str, str] = MultiDict(_pairs(reading))
        # Where werkzeug keeps what it has parsed.
        vars(request).update(form=form, files=MultiDict())
        if reading.form is not None:
            vars(request).update(args=MultiDict(), values=form, _cached_data=b"")
        original(self, request, *args, **given)
        if not self.use_raw_body:
            self.querystring = self.data = reading.sent

    return setup_class


def _reading_of(response: Any) -> Reading | None:
    reading: Reading | None = getattr(response, "strict_reading", None)
    return reading


def _pairs(reading: Reading) -> list[tuple[str, str]]:
    return [(name, value) for name, values in (reading.form or {}).items() for value in values]


def _named(original: Any) -> Any:
    @functools.wraps(original)
    def get_action(self: Any) -> str:
        reading = _reading_of(self)
        if reading is None:
            return str(original(self))
        if reading.labels and not self.uri_match:
            self.uri_match = dict(reading.labels)
        return reading.call.action

    return get_action


def _labelled(original: Any) -> Any:
    @functools.wraps(original)
    def get_param(self: Any, name: str, if_none: Any = None) -> Any:
        # What stands in the path stands nowhere else.
        if not self.automated_parameter_parsing and name in self.uri_match:
            return self.uri_match[name]
        return original(self, name, if_none)

    return get_param


def _located(original: Any) -> Any:
    @functools.wraps(original)
    def get_region_from_url(self: Any, request: Any, full_url: str) -> str:
        reading = _reading_of(self)
        return str(original(self, request, full_url)) if reading is None else reading.call.region

    return get_region_from_url

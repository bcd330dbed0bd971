"""Objects that are put into S3 as forms: what was sent is the object, as on AWS.

moto reads such a body as the fields of a form, and keeps an empty object. Many programs that answer to a presigned
address send no other content type.

Source: Amazon S3 API Reference, PutObject.
"""

from __future__ import annotations

import functools
from typing import Any

from moto.s3 import responses
from werkzeug.datastructures import ImmutableMultiDict

# moto has types, but none for what is replaced at run time.
S3Response: Any = responses.S3Response


@functools.cache
def install() -> None:
    """Make the S3 of this process's moto do so. A second call changes nothing."""
    setup = S3Response.setup_class

    @functools.wraps(setup)
    def setup_class(self: Any, request: Any, *args: Any, **kwargs: Any) -> None:
        if request.method == "PUT" and str(request.mimetype) == "application/x-www-form-urlencoded":
            request.get_data(parse_form_data=False)
            request.form = request.files = ImmutableMultiDict()
        setup(self, request, *args, **kwargs)

    S3Response.setup_class = setup_class

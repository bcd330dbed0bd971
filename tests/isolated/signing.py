"""Has schemathesis sign its requests; runs in its environment, named by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import os

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class _Signature(requests.auth.AuthBase):
    """AWS Signature Version 4 of what is really sent, so the signature itself is never what is wrong."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if "Authorization" in request.headers:
            # Schemathesis tries a wrong one on purpose.
            return request
        keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
        body = request.body or b""
        signing = AWSRequest(request.method, request.url, data=body.encode() if isinstance(body, str) else body)
        SigV4Auth(keys, "execute-api", os.environ["AWS_REGION"]).add_auth(signing)
        request.headers.update(dict(signing.headers.items()))
        return request


schemathesis.auth.set_from_requests(_Signature())

"""What every request of EC2 goes through around its action: ids, DryRun, tags, blocks, client token, filters, pages.

Source: Amazon EC2 API Reference, "Common query parameters" (DryRun: permissions are checked, and no action is done).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any, Final

from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.ec2.exceptions import DryRunClientError, EC2ClientError
from moto.ec2.responses._base_response import EC2BaseResponse

from strictmoto.ec2 import cidr_blocks, client_tokens, filters, identifiers, pages
from strictmoto.ec2.refusals.tags import check_exist, check_specifications

# moto has types, but none for what is replaced at run time.
Response: Any = EC2BaseResponse

_ID: Final = re.compile(r"[a-z]+(-[a-z]+)*-([0-9a-f-]{8}|[0-9a-f-]{17,36})")


@functools.cache
def install() -> None:
    """Make the moto of this process check and filter so. A second call changes nothing."""
    call = Response.call_action

    @functools.wraps(call)
    def call_action(self: Any) -> Any:
        try:
            identifiers.check(self.querystring)
            # IAM was asked before. Actions that moto does not have are refused as such.
            if _is_dry_run(self) and hasattr(self, camelcase_to_underscores(self._get_action())):
                raise DryRunClientError
            check_specifications(self._get_action(), self.params)
            cidr_blocks.canonicalize(self._get_action(), self.params)
            return client_tokens.answer_once(self, lambda: _answer(self, lambda: _described(self, call)))
        except EC2ClientError as error:
            status, headers, body = self.serialized(ActionResult(error))
            answered = self._transform_response(self.response_headers, (body, {**headers, "status": status}))
            return (answered[0], *self._enrich_response(*answered[1:]))

    def no_dry_run(self: Any) -> None:
        """Do nothing: a dry run ends before its action, and "false" is none."""

    Response.call_action = call_action
    Response.error_on_dryrun = no_dry_run


def _described(response: Any, call: Callable[[Any], Any]) -> Any:
    """Answer with the page that is asked for, of what the filters leave."""
    return pages.answer(response, lambda: filters.answer(response, lambda: call(response)))


def _answer(response: Any, perform: Callable[[], Any]) -> Any:
    """Do what is asked; where moto fails at what is not there, refuse that."""
    try:
        return perform()
    except (AttributeError, LookupError, StopIteration, TypeError):
        values = [value for given in response.querystring.values() for value in given]
        check_exist(response.ec2_backend, [value for value in values if _ID.fullmatch(value)])
        raise


def _is_dry_run(response: Any) -> bool:
    # Of the query itself: not every action's model has this parameter, which all take.
    return str(response.querystring.get("DryRun", [""])[0]).lower() == "true"

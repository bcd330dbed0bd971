"""Calls of IAM that name no user are about the user who makes them: moto takes the user from the key that is named.

Source: IAM API Reference, UserName of CreateAccessKey, DeleteAccessKey, GetUser and their like ("if you do not specify
a user name, IAM determines the user name implicitly based on the access key that signs the request"); ChangePassword.
"""

from __future__ import annotations

import datetime
import functools
from typing import Any, Final

from botocore import xform_name
from moto.core.utils import get_service_model

from strictmoto.iam.identities import is_root
from strictmoto.identity.callers import CALLER

_USER: Final = "UserName"
_BEGAN: Final = datetime.datetime.now(datetime.UTC)
"""Since when there is a root user."""


@functools.cache
def actions() -> frozenset[str]:
    """Return the actions of IAM that need no name of a user, as the model of the service has them."""
    model = get_service_model("iam")
    shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
    optional = {
        name
        for name, shape in shapes.items()
        if shape is not None and _USER in shape.members and _USER not in shape.required_members
    }
    return frozenset({*optional, "ChangePassword"})


@functools.cache
def install() -> None:
    """Extend moto's IAM, once a process."""
    from moto.iam.exceptions import IAMException
    from moto.iam.responses import IamResponse

    response: Any = IamResponse
    response.change_password = _change_password
    for action in sorted(actions()):
        name = xform_name(action)
        if hasattr(response, name):
            setattr(response, name, _about_oneself(getattr(response, name), action, IAMException))
    response.get_access_key_last_used = _of_this_account(response.get_access_key_last_used)


def _about_oneself(answer: Any, action: str, error: Any) -> Any:
    @functools.wraps(answer)
    def answered(self: Any) -> Any:
        caller = CALLER.get()
        if self._get_param(_USER) or caller is None:
            return answer(self)
        principal = caller.principal_arn
        if is_root(principal):
            return _of_root(self, principal, action, error)
        if not principal.split(":", 5)[5].startswith("user/"):
            raise error("ValidationError", "Must specify userName when calling with non-User credentials")
        self.params[_USER] = principal.rpartition("/")[2]
        return answer(self)

    return answered


def _of_root(response: Any, principal: str, action: str, error: Any) -> Any:
    """Return the root user, who has nothing else that IAM keeps here."""
    from moto.core.responses import ActionResult

    if action == "GetUser":
        # It has an id and an ARN, and no name.
        return ActionResult({"User": {"Arn": principal, "UserId": principal.split(":")[4], "CreateDate": _BEGAN}})
    if action == "ChangePassword":
        raise error("InvalidUserType", "The root user cannot change its password with this action.")
    named = response._get_param("AccessKeyId")
    what = f"The Access Key with id {named}" if named else "The user of the request"
    raise _not_found(f"{what} cannot be found.")


def _not_found(message: str) -> Exception:
    from moto.iam.exceptions import NotFoundException

    made: Exception = NotFoundException(message)
    return made


def _change_password(self: Any) -> Any:
    """ChangePassword."""
    from moto.core.responses import EmptyResult
    from moto.iam.exceptions import IAMException

    user = self.backend.get_login_profile(self._get_param(_USER))
    if user.password != self._get_param("OldPassword"):
        raise IAMException("PasswordPolicyViolation", "The old password was incorrect.")
    user.password, user.password_reset_required = self._get_param("NewPassword"), False
    return EmptyResult()


def _of_this_account(answer: Any) -> Any:
    """Keys of other accounts are none."""

    @functools.wraps(answer)
    def answered(self: Any) -> Any:
        named = self._get_param("AccessKeyId")
        if named not in self.backend.access_keys:
            raise _not_found(f"The Access Key with id {named} cannot be found")
        return answer(self)

    return answered

"""Names and paths of what IAM keeps: refused where AWS documents that they cannot be.

An ARN is made of them: what may stand in a name decides which ARNs there can be. The patterns are those of the IAM API
Reference, which botocore's model of the service has; IAM User Guide, "IAM and AWS STS quotas" (names of users, groups,
roles and instance profiles are not distinguished by case).
"""

from __future__ import annotations

import functools
import inspect
import re
import secrets
import string
from typing import Any, Final

from moto.core.utils import get_service_model
from moto.iam import models
from moto.iam.exceptions import EntityAlreadyExists, ValidationError
from moto.iam.models import IAMBackend

# By moto's method: the operation of IAM, and its member by moto's argument.
_CHECKED: Final = {
    "create_user": ("CreateUser", {"user_name": "UserName", "path": "Path"}),
    "update_user": ("UpdateUser", {"new_user_name": "NewUserName", "new_path": "NewPath"}),
    "create_role": ("CreateRole", {"role_name": "RoleName", "path": "Path"}),
    "create_group": ("CreateGroup", {"group_name": "GroupName", "path": "Path"}),
    "update_group": ("UpdateGroup", {"new_group_name": "NewGroupName", "new_path": "NewPath"}),
    "create_policy": ("CreatePolicy", {"policy_name": "PolicyName", "path": "Path"}),
    "create_instance_profile": ("CreateInstanceProfile", {"name": "InstanceProfileName", "path": "Path"}),
    "put_user_policy": ("PutUserPolicy", {"policy_name": "PolicyName"}),
    "put_role_policy": ("PutRolePolicy", {"policy_name": "PolicyName"}),
    "put_group_policy": ("PutGroupPolicy", {"policy_name": "PolicyName"}),
}
# By moto's method: its argument, moto's table, and how IAM says that a name is taken.
_DISTINCT: Final = {
    "create_user": ("user_name", "users", "User with name {} already exists."),
    "update_user": ("new_user_name", "users", "User with name {} already exists."),
    "create_role": ("role_name", "roles", "Role with name {} already exists."),
    "create_group": ("group_name", "groups", "Group with name {} already exists."),
    "update_group": ("new_group_name", "groups", "Group with name {} already exists."),
    "create_instance_profile": ("name", "instance_profiles", "Instance Profile {} already exists."),
}
_LETTERS: Final = string.ascii_uppercase + string.digits
_BAD_PATH: Final = (
    "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters "
    "and/or / characters."
)


def check(operation: str, member: str, value: str) -> None:
    """Refuse a name or a path that IAM does not take.

    Args:
        operation: of IAM.
        member: of its input.
        value: of the member.

    Raises:
        ValidationError: it is too long, or has what may not be in it.
    """
    pattern, longest = _rule(operation, member)
    if len(value) > longest:
        constraint = f"Member must have length less than or equal to {longest}"
    elif not value:
        constraint = "Member must have length greater than or equal to 1"
    elif pattern.fullmatch(value):
        return
    elif member.endswith("Path"):
        raise ValidationError(_BAD_PATH)
    else:
        constraint = f"Member must satisfy regular expression pattern: {pattern.pattern}"
    place = member[0].lower() + member[1:]
    raise ValidationError(
        f"1 validation error detected: Value '{value}' at '{place}' failed to satisfy constraint: {constraint}"
    )


@functools.cache
def _rule(operation: str, member: str) -> tuple[re.Pattern[str], int]:
    said = get_service_model("iam").operation_model(operation).input_shape.members[member].metadata
    # AWS's \w is that of ASCII.
    return re.compile(said["pattern"], re.ASCII), said["max"]


@functools.cache
def install() -> None:
    """Make the IAM of this process refuse them, also where a template gives them. A second call changes nothing."""
    backend: Any = IAMBackend
    for name, (operation, members) in _CHECKED.items():
        setattr(backend, name, _checking(getattr(backend, name), operation, members))
    for name, (argument, table, message) in _DISTINCT.items():
        setattr(backend, name, _distinguishing(getattr(backend, name), argument, table, message))
    for model, prefix in ((models.User, "AIDA"), (models.Group, "AGPA")):
        _name_by(model, prefix)


def _name_by(model: Any, prefix: str) -> None:
    """Let the ids of users and groups begin as those of AWS do: IAM User Guide, "Unique identifiers"."""
    make = model.__init__

    @functools.wraps(make)
    def made(self: Any, *args: Any, **given: Any) -> None:
        make(self, *args, **given)
        self.id = prefix + "".join(secrets.choice(_LETTERS) for _ in range(17))

    model.__init__ = made


def _checking(method: Any, operation: str, members: dict[str, str]) -> Any:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def checked(*args: Any, **given: Any) -> Any:
        arguments = signature.bind(*args, **given).arguments
        for argument, member in members.items():
            value = arguments.get(argument)
            if value is not None and (value or argument != "path"):
                check(operation, member, str(value))
        return method(*args, **given)

    return checked


def _distinguishing(method: Any, argument: str, table: str, message: str) -> Any:
    """Refuse a name that differs from another one by its case only; what is the same moto refuses itself."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def distinguished(self: Any, *args: Any, **given: Any) -> Any:
        bound = signature.bind(self, *args, **given).arguments
        name = bound.get(argument)
        # What changes its own name may change its case.
        own = bound.get(argument.removeprefix("new_")) if argument.startswith("new_") else None
        taken = (one.name for one in list(getattr(self, table).values()) if one.name != own)
        if name and any(_is_like(one, name) for one in taken):
            raise EntityAlreadyExists(message.format(name))
        return method(self, *args, **given)

    return distinguished


def _is_like(taken: str, name: str) -> bool:
    return len(taken) == len(name) and taken != name and taken.lower() == name.lower()

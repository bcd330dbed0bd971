"""Users have permissions boundaries, and passwords that must be changed: moto's IAM drops both.

Source: IAM API Reference, CreateUser, GetUser, PutUserPermissionsBoundary, DeleteUserPermissionsBoundary and
CreateLoginProfile.
"""

from __future__ import annotations

import functools
from typing import Any


@functools.cache
def install() -> None:
    """Extend moto's IAM, once a process."""
    from moto.core.responses import EmptyResult
    from moto.core.serialize import never_return, return_if_not_empty
    from moto.iam.exceptions import NoSuchEntity
    from moto.iam.models import User
    from moto.iam.responses import IamResponse

    user_class: Any = User
    response: Any = IamResponse

    def permissions_boundary(self: Any) -> dict[str, str] | None:
        if arn := vars(self).get("permissions_boundary_arn"):
            return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}
        return None

    def bounded(backend: Any, arn: str) -> str:
        # It refuses what is no policy.
        backend.get_policy(arn)
        return arn

    create, log_in = response.create_user, response.create_login_profile

    @functools.wraps(create)
    def create_user(self: Any) -> Any:
        boundary = self._get_param("PermissionsBoundary")
        if boundary:
            bounded(self.backend, boundary)
        result = create(self)
        self.backend.get_user(self._get_param("UserName")).permissions_boundary_arn = boundary
        return result

    def put_user_permissions_boundary(self: Any) -> Any:
        """PutUserPermissionsBoundary."""
        user = self.backend.get_user(self._get_param("UserName"))
        user.permissions_boundary_arn = bounded(self.backend, self._get_param("PermissionsBoundary"))
        return EmptyResult()

    def delete_user_permissions_boundary(self: Any) -> Any:
        """DeleteUserPermissionsBoundary."""
        name = self._get_param("UserName")
        user = self.backend.get_user(name)
        if not vars(user).get("permissions_boundary_arn"):
            raise NoSuchEntity(f"The user with name {name} has no permissions boundary.")
        user.permissions_boundary_arn = None
        return EmptyResult()

    @functools.wraps(log_in)
    def create_login_profile(self: Any) -> Any:
        result = log_in(self)
        user = self.backend.get_user(self._get_param("UserName"))
        user.password_reset_required = bool(self._get_param("PasswordResetRequired"))
        result.result["LoginProfile"]["PasswordResetRequired"] = user.password_reset_required
        return result

    user_class.permissions_boundary = property(permissions_boundary)
    shown = response.RESPONSE_KEY_PATH_TO_TRANSFORMER
    shown["CreateUserResponse.User.PermissionsBoundary"] = return_if_not_empty
    shown["GetUserResponse.User.PermissionsBoundary"] = return_if_not_empty
    shown["ListUsersResponse.Users.User.PermissionsBoundary"] = never_return
    response.create_user = create_user
    response.put_user_permissions_boundary = put_user_permissions_boundary
    response.delete_user_permissions_boundary = delete_user_permissions_boundary
    response.create_login_profile = create_login_profile

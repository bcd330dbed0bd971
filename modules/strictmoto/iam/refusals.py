"""What IAM refuses of users, roles and service-linked roles, and moto does.

Sources: IAM API Reference, DeleteUser and DeletePolicy (DeleteConflict), CreateRole, PutUserPermissionsBoundary and
RemoveRoleFromInstanceProfile (NoSuchEntity), CreateServiceLinkedRole (InvalidInput), and the errors of actions on roles
(UnmodifiableEntity); IAM User Guide, "Create a service-linked role" and "IAM JSON policy elements: Sid". The texts are
those that IAM sends.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from typing import Any, Final

from strictmoto.iam.grammar import MalformedPolicyError, check_policy
from strictmoto.requests.documents import read_json

_LINKED: Final = "/aws-service-role/"
_ON_ROLES: Final = (
    "attach_role_policy",
    "delete_role",
    "delete_role_permissions_boundary",
    "delete_role_policy",
    "detach_role_policy",
    "put_role_permissions_boundary",
    "put_role_policy",
    "update_assume_role_policy",
    "update_role",
)
_NEWEST: Final = "2012-10-17"
"""The version of documents that managed policies have."""
_SHORTEST: Final = 3600
_LONGEST: Final = 43_200
"""Seconds that the sessions of a role may last at most."""
_SERVICE: Final = re.compile(r"[\w+=,.@-]+\.amazonaws\.com(\.cn)?", re.ASCII)
# What a user must lose first, in the order in which IAM looks for it.
_HELD: Final = (
    ("access_keys", "Cannot delete entity, must delete access keys first."),
    ("mfa_devices", "Cannot delete entity, must delete MFA device first."),
    ("signing_certificates", "Cannot delete entity, must delete signing certificates first."),
    ("ssh_public_keys", "Cannot delete entity, must delete SSH public keys first."),
    ("password", "Cannot delete entity, must delete login profile first."),
)


@functools.cache
def install() -> None:
    """Make the IAM of this process refuse. A second call changes nothing."""
    from moto.iam import exceptions
    from moto.iam.models import IAMBackend
    from moto.iam.responses import IamResponse

    backend: Any = IAMBackend
    response: Any = IamResponse
    _keep_users(backend, exceptions.DeleteConflictException)
    _keep_linked_roles(response, exceptions.IAMException)
    _check_services(backend, exceptions.IAMException)
    _keep_boundaries(backend, exceptions.DeleteConflictException)
    _find_in_profiles(backend, exceptions.NoSuchEntity)
    _check_documents(response)
    for name in ("create_role", "put_role_permissions_boundary", "update_role"):
        setattr(response, name, _checked(getattr(response, name), exceptions))


def _keep_users(backend: Any, conflict: Any) -> None:
    delete = backend.delete_user

    @functools.wraps(delete)
    def delete_user(self: Any, user_name: str) -> None:
        user = self.get_user(user_name)
        for name, message in _HELD:
            if getattr(user, name):
                raise conflict(message)
        if self.get_groups_for_user(user_name):
            raise conflict("Cannot delete entity, must remove users from group first.")
        delete(self, user_name)

    backend.delete_user = delete_user


def _keep_boundaries(backend: Any, conflict: Any) -> None:
    """A policy stays that is attached, or limits a user or a role: without it, nothing would be allowed."""
    delete = backend.delete_policy

    @functools.wraps(delete)
    def delete_policy(self: Any, policy_arn: str) -> None:
        bounded = (
            getattr(one, "permissions_boundary_arn", None) for one in (*self.users.values(), *self.roles.values())
        )
        attached = getattr(self.managed_policies.get(policy_arn), "attachment_count", None)
        if attached or policy_arn in bounded:
            raise conflict("Cannot delete a policy attached to entities.")
        delete(self, policy_arn)

    backend.delete_policy = delete_policy


def _find_in_profiles(backend: Any, absent: Any) -> None:
    """A role that a profile does not hold cannot be removed from it: NoSuchEntity, whose text is inferred."""
    remove = backend.remove_role_from_instance_profile

    @functools.wraps(remove)
    def remove_role_from_instance_profile(self: Any, profile_name: str, role_name: str) -> None:
        if self.get_role(role_name) not in self.get_instance_profile(profile_name).roles:
            raise absent(f"The role {role_name} is not in the instance profile {profile_name}.")
        remove(self, profile_name, role_name)

    backend.remove_role_from_instance_profile = remove_role_from_instance_profile


def _check_documents(response: Any) -> None:
    """Refuse what moto takes in the policies of users, groups, roles and those that are managed, and the reverse."""
    from moto.iam import exceptions, policy_validation

    validator: Any = policy_validation.IAMPolicyDocumentValidator
    validate = validator.validate

    @functools.wraps(validate)
    def checked(self: Any) -> None:
        validate(self)
        try:
            check_policy(self._policy_document, "identity")
        except MalformedPolicyError as error:
            raise exceptions.MalformedPolicyDocument(str(error)) from error

    validator.validate = checked
    _take_documents(policy_validation.BaseIAMPolicyValidator)
    for name in ("create_policy", "create_policy_version"):
        setattr(
            response, name, _of_this_version(getattr(response, name), validator, exceptions.MalformedPolicyDocument)
        )


def _take_documents(base: Any) -> None:
    """Take numbers as values of conditions, and older versions of documents: only managed policies need the newest.

    Source: IAM User Guide, "IAM JSON policy elements: Version" (without one it is 2008-10-17) and "Grammar of the IAM
    JSON policy language" (a value of a condition is a text, a number or a truth value).
    """
    read = base._validate_syntax

    @functools.wraps(read)
    def with_texts(self: Any) -> None:
        self._policy_document = _with_texts(self._policy_document)
        read(self)

    base._validate_syntax = with_texts
    base._validate_version = lambda _: None


def _with_texts(text: str) -> str:
    """Return a policy whose numbers in conditions are texts; what is none as it is."""
    try:
        document = read_json(text)
        statements = document["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            for compared in statement.get("Condition", {}).values():
                compared |= {key: _texts_of(values) for key, values in compared.items()}
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return text
    return json.dumps(document)


def _texts_of(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts_of(one) for one in value]
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _of_this_version(make: Any, validator: Any, malformed: Any) -> Any:
    """Wrap what makes a managed policy: its document must be of the newest version."""

    @functools.wraps(make)
    def made(self: Any) -> Any:
        given = validator(self._get_param("PolicyDocument"))
        newest = True
        # moto refuses what is no policy.
        with contextlib.suppress(Exception):
            given._validate_syntax()
            newest = given._policy_json.get("Version") == _NEWEST
        if not newest:
            raise malformed(f"Policy document must be version {_NEWEST} or greater.")
        return make(self)

    return made


def _keep_linked_roles(response: Any, error: Any) -> None:
    def keeping(change: Any) -> Any:
        @functools.wraps(change)
        def changed(self: Any) -> Any:
            name = self._get_param("RoleName")
            found = next((role for role in self.backend.get_roles() if role.name == name), None)
            if found is not None and found.path.startswith(_LINKED):
                protected = f"Cannot perform the operation on the protected role '{name}'"
                raise error("UnmodifiableEntity", f"{protected} - this role is only modifiable by AWS")
            return change(self)

        return changed

    for name in _ON_ROLES:
        setattr(response, name, keeping(getattr(response, name)))


def _check_services(backend: Any, error: Any) -> None:
    create = backend.create_service_linked_role

    @functools.wraps(create)
    def create_service_linked_role(self: Any, service_name: str, *args: Any, **given: Any) -> Any:
        if not _SERVICE.fullmatch(service_name):
            raise error("InvalidInput", "Service role name is not valid.")
        return create(self, service_name, *args, **given)

    backend.create_service_linked_role = create_service_linked_role


def _checked(done: Any, exceptions: Any) -> Any:
    """Refuse a boundary that is no policy of IAM, and sessions that are too short or too long."""

    @functools.wraps(done)
    def checked(self: Any) -> Any:
        arn, seconds = self._get_param("PermissionsBoundary"), self._get_param("MaxSessionDuration")
        if arn and arn.startswith("arn:") and arn not in self.backend.managed_policies:
            raise exceptions.NoSuchEntity(f"Scope ARN: {arn} does not exist or is not attachable.")
        if seconds and not _SHORTEST <= int(seconds) <= _LONGEST:
            least = int(seconds) < _SHORTEST
            constraint = f"greater than or equal to {_SHORTEST}" if least else f"less than or equal to {_LONGEST}"
            raise exceptions.ValidationError(
                f"1 validation error detected: Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint: "
                f"Member must have value {constraint}"
            )
        return done(self)

    return checked

"""The types of IAM: roles, policies, instance profiles, groups and users.

Source: CloudFormation Template Reference, "AWS::IAM".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from strictmoto.cloudformation.api_types import STACK_TAGS, ApiResource
from strictmoto.cloudformation.service_types import document

_HOUR: Final = 3600
_HOLDERS: Final = (("Roles", "role", "RoleName"), ("Users", "user", "UserName"), ("Groups", "group", "GroupName"))


class Role(ApiResource):
    """A role with its policies."""

    TYPE = "AWS::IAM::Role"
    SERVICE = "iam"
    NAME = "RoleName"

    def create(self) -> None:
        """Create it, and give it its policies."""
        tags = {**STACK_TAGS.get(), **self.tags()}
        made = self.call(
            "create_role",
            RoleName=self.name,
            AssumeRolePolicyDocument=document(self.properties["AssumeRolePolicyDocument"]),
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()] or None,
            **self.of("Description", "MaxSessionDuration", "Path", "PermissionsBoundary"),
        )["Role"]
        self.ref, self.deleted_when_failed = self.name, True
        self.attributes = {"Arn": made["Arn"], "RoleId": made["RoleId"]}
        self._give({})
        self.call("get_role", RoleName=self.name)

    def update(self, old: dict[str, Any]) -> None:
        """Change what it is, and its policies."""
        role = {"RoleName": self.name}
        if self.changed(old, "AssumeRolePolicyDocument"):
            trust = document(self.properties["AssumeRolePolicyDocument"])
            self.call("update_assume_role_policy", PolicyDocument=trust, **role)
        if self.changed(old, "Description", "MaxSessionDuration"):
            longest = self.properties.get("MaxSessionDuration", _HOUR)
            described = self.properties.get("Description", "")
            self.call("update_role", Description=described, MaxSessionDuration=longest, **role)
        if self.changed(old, "PermissionsBoundary"):
            if boundary := self.properties.get("PermissionsBoundary"):
                self.call("put_role_permissions_boundary", PermissionsBoundary=boundary, **role)
            else:
                self.call("delete_role_permissions_boundary", **role)
        self._give(old)
        if dropped := self.dropped_tags(old):
            self.call("untag_role", TagKeys=dropped, **role)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_role", Tags=self.properties["Tags"], **role)

    def delete_it(self) -> None:
        """Delete it with the policies that it has."""
        role = {"RoleName": self.name}
        for one in self.call("list_attached_role_policies", **role)["AttachedPolicies"]:
            self.call("detach_role_policy", PolicyArn=one["PolicyArn"], **role)
        for name in self.call("list_role_policies", **role)["PolicyNames"]:
            self.call("delete_role_policy", PolicyName=name, **role)
        self.call("delete_role", **role)

    def _give(self, old: Mapping[str, Any]) -> None:
        role = {"RoleName": self.name}
        before, after = (set(some.get("ManagedPolicyArns") or ()) for some in (old, self.properties))
        for verb, arns in (("detach", before - after), ("attach", after - before)):
            for arn in sorted(arns):
                self.call(f"{verb}_role_policy", PolicyArn=arn, **role)
        was, now = (
            {one["PolicyName"]: document(one["PolicyDocument"]) for one in some.get("Policies") or ()}
            for some in (old, self.properties)
        )
        for name in was.keys() - now.keys():
            self.call("delete_role_policy", PolicyName=name, **role)
        for name, text in now.items():
            if was.get(name) != text:
                self.call("put_role_policy", PolicyName=name, PolicyDocument=text, **role)
                self.call("get_role_policy", PolicyName=name, **role)


class Policy(ApiResource):
    """An inline policy of roles, users and groups."""

    TYPE = "AWS::IAM::Policy"
    SERVICE = "iam"

    def create(self) -> None:
        """Put it."""
        self._put({})

    def update(self, old: dict[str, Any]) -> None:
        """Put it anew, and take it off those that are left out."""
        self._put(old)

    def delete_it(self) -> None:
        """Take it off."""
        for holders, kind, parameter in _HOLDERS:
            for holder in self.properties.get(holders) or ():
                self._take_off(kind, parameter, holder, self.properties)

    def _put(self, old: Mapping[str, Any]) -> None:
        named = {"PolicyName": self.properties["PolicyName"]}
        text = document(self.properties["PolicyDocument"])
        renamed = bool(old) and old["PolicyName"] != self.properties["PolicyName"]
        for holders, kind, parameter in _HOLDERS:
            now = self.properties.get(holders) or ()
            for holder in now:
                self.call(f"put_{kind}_policy", PolicyDocument=text, **{parameter: holder}, **named)
            for holder in old.get(holders) or ():
                if renamed or holder not in now:
                    self._take_off(kind, parameter, holder, old)

    def _take_off(self, kind: str, parameter: str, holder: str, properties: Mapping[str, Any]) -> None:
        self.call(f"delete_{kind}_policy", PolicyName=properties["PolicyName"], **{parameter: holder})


class ManagedPolicy(ApiResource):
    """An IAM policy of the account's own."""

    TYPE = "AWS::IAM::ManagedPolicy"
    SERVICE = "iam"
    NAME = "ManagedPolicyName"

    def create(self) -> None:
        """Create it, and attach it."""
        given = {"PolicyName": self.name, "PolicyDocument": document(self.properties["PolicyDocument"])}
        self.ref = self.call("create_policy", **given, **self.of("Description", "Path"))["Policy"]["Arn"]
        self.attributes = {"PolicyArn": self.ref}
        self._attach({})

    def update(self, old: dict[str, Any]) -> None:
        """Make another version the default one, and attach it to others."""
        if self.changed(old, "PolicyDocument"):
            # At most five are kept; CloudFormation keeps the one that counts.
            for one in self.call("list_policy_versions", PolicyArn=self.ref)["Versions"]:
                if not one["IsDefaultVersion"]:
                    self.call("delete_policy_version", PolicyArn=self.ref, VersionId=one["VersionId"])
            given = {"PolicyArn": self.ref, "PolicyDocument": document(self.properties["PolicyDocument"])}
            self.call("create_policy_version", SetAsDefault=True, **given)
        self._attach(old)

    def delete_it(self) -> None:
        """Detach and delete it."""
        properties, self.properties = self.properties, {}
        self._attach(properties)
        for one in self.call("list_policy_versions", PolicyArn=self.ref)["Versions"]:
            if not one["IsDefaultVersion"]:
                self.call("delete_policy_version", PolicyArn=self.ref, VersionId=one["VersionId"])
        self.call("delete_policy", PolicyArn=self.ref)

    def _attach(self, old: dict[str, Any]) -> None:
        for name, kind, parameter in _HOLDERS:
            before, after = set(old.get(name, ())), set(self.properties.get(name, ()))
            for verb, holders in (("detach", before - after), ("attach", after - before)):
                for holder in sorted(holders):
                    self.call(f"{verb}_{kind}_policy", **{"PolicyArn": self.ref, parameter: holder})


class InstanceProfile(ApiResource):
    """An instance profile."""

    TYPE = "AWS::IAM::InstanceProfile"
    SERVICE = "iam"
    NAME = "InstanceProfileName"

    def create(self) -> None:
        """Create it with its role."""
        made = self.call("create_instance_profile", InstanceProfileName=self.name, **self.of("Path"))
        self.ref, self.attributes = self.name, {"Arn": made["InstanceProfile"]["Arn"]}
        self.update({"Roles": []})
        self.call("get_instance_profile", InstanceProfileName=self.name)

    def update(self, old: dict[str, Any]) -> None:
        """Put another role in the place of the old one; a rollback finds what the update that failed left."""
        for role in old["Roles"]:
            if role not in self.properties["Roles"]:
                self._remove(role)
        for role in self.properties["Roles"]:
            if role not in old["Roles"]:
                self.call("add_role_to_instance_profile", InstanceProfileName=self.name, RoleName=role)

    def _remove(self, role: str) -> None:
        try:
            self.call("remove_role_from_instance_profile", InstanceProfileName=self.name, RoleName=role)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise

    def delete_it(self) -> None:
        """Delete it."""
        for role in self.properties["Roles"]:
            self.call("remove_role_from_instance_profile", InstanceProfileName=self.name, RoleName=role)
        self.call("delete_instance_profile", InstanceProfileName=self.name)


class Group(ApiResource):
    """An IAM group."""

    TYPE = "AWS::IAM::Group"
    SERVICE = "iam"
    NAME = "GroupName"

    def create(self) -> None:
        """Create it."""
        made = self.call("create_group", GroupName=self.name, **self.of("Path"))["Group"]
        self.ref, self.attributes = self.name, {"Arn": made["Arn"]}
        self.deleted_when_failed = True
        self.update({})

    def update(self, old: dict[str, Any]) -> None:
        """Give it the policies of the properties."""
        before, after = (set(some.get("ManagedPolicyArns", ())) for some in (old, self.properties))
        for arn in sorted(before - after):
            self.call("detach_group_policy", GroupName=self.name, PolicyArn=arn)
        for arn in sorted(after - before):
            self.call("attach_group_policy", GroupName=self.name, PolicyArn=arn)
        kept = {one["PolicyName"] for one in self.properties.get("Policies", ())}
        for one in old.get("Policies", ()):
            if one["PolicyName"] not in kept:
                self.call("delete_group_policy", GroupName=self.name, PolicyName=one["PolicyName"])
        for one in self.properties.get("Policies", ()):
            given = {"PolicyName": one["PolicyName"], "PolicyDocument": document(one["PolicyDocument"])}
            self.call("put_group_policy", GroupName=self.name, **given)

    def delete_it(self) -> None:
        """Delete it with the policies that it has."""
        group = {"GroupName": self.name}
        for one in self.call("list_attached_group_policies", **group)["AttachedPolicies"]:
            self.call("detach_group_policy", PolicyArn=one["PolicyArn"], **group)
        for name in self.call("list_group_policies", **group)["PolicyNames"]:
            self.call("delete_group_policy", PolicyName=name, **group)
        self.call("delete_group", **group)


class User(ApiResource):
    """A user."""

    TYPE = "AWS::IAM::User"
    SERVICE = "iam"
    NAME = "UserName"

    def create(self) -> None:
        """Create it, and give it what the template says."""
        tags = [{"Key": key, "Value": value} for key, value in self.tags().items()]
        given = self.of("Path", "PermissionsBoundary")
        made = self.call("create_user", UserName=self.name, Tags=tags or None, **given)["User"]
        self.ref, self.deleted_when_failed = self.name, True
        self.attributes = {"Arn": made["Arn"]}
        self._give({})

    def update(self, old: dict[str, Any]) -> None:
        """Change its boundary, policies, groups, password and tags."""
        user = {"UserName": self.name}
        if self.changed(old, "PermissionsBoundary"):
            if boundary := self.properties.get("PermissionsBoundary"):
                self.call("put_user_permissions_boundary", PermissionsBoundary=boundary, **user)
            else:
                self.call("delete_user_permissions_boundary", **user)
        self._give(old)
        if dropped := self.dropped_tags(old):
            self.call("untag_user", TagKeys=dropped, **user)
        if self.changed(old, "Tags") and self.tags():
            self.call("tag_user", Tags=self.properties["Tags"], **user)

    def delete_it(self) -> None:
        """Delete it with what it was given."""
        user = {"UserName": self.name}
        for one in self.call("list_groups_for_user", **user)["Groups"]:
            self.call("remove_user_from_group", GroupName=one["GroupName"], **user)
        for one in self.call("list_attached_user_policies", **user)["AttachedPolicies"]:
            self.call("detach_user_policy", PolicyArn=one["PolicyArn"], **user)
        for name in self.call("list_user_policies", **user)["PolicyNames"]:
            self.call("delete_user_policy", PolicyName=name, **user)
        if "LoginProfile" in self.properties:
            self.call("delete_login_profile", **user)
        self.call("delete_user", **user)

    def _give(self, old: Mapping[str, Any]) -> None:
        user = {"UserName": self.name}
        for name, leave, join, parameter in (
            ("Groups", "remove_user_from_group", "add_user_to_group", "GroupName"),
            ("ManagedPolicyArns", "detach_user_policy", "attach_user_policy", "PolicyArn"),
        ):
            before, after = (set(some.get(name) or ()) for some in (old, self.properties))
            for operation, changed in ((leave, before - after), (join, after - before)):
                for one in sorted(changed):
                    self.call(operation, **{parameter: one}, **user)
        was, now = (
            {one["PolicyName"]: document(one["PolicyDocument"]) for one in some.get("Policies") or ()}
            for some in (old, self.properties)
        )
        for name in sorted(was.keys() - now.keys()):
            self.call("delete_user_policy", PolicyName=name, **user)
        for name, text in now.items():
            if was.get(name) != text:
                self.call("put_user_policy", PolicyName=name, PolicyDocument=text, **user)
        self._log_in(old)

    def _log_in(self, old: Mapping[str, Any]) -> None:
        before, after = old.get("LoginProfile"), self.properties.get("LoginProfile")
        if before == after:
            return
        if after is None:
            self.call("delete_login_profile", UserName=self.name)
        else:
            self.call("update_login_profile" if before else "create_login_profile", UserName=self.name, **after)


def install() -> None:
    """Do nothing: the types are registered as they are defined."""

"""The resources of one stack: made in the order of their references, with an event each, and unmade backwards.

moto makes resources as it stumbles on them, replaces what only changed its tags, and inspects the text of the
template for what to update, so that a replaced resource leaves those that refer to it behind.
"""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Iterable
from typing import Any, Final

from botocore.exceptions import ClientError
from moto.cloudformation import parsing
from moto.cloudformation.models import Event
from moto.core.exceptions import JsonRESTError, ServiceException
from moto.ec2.models import ec2_backends
from moto.ec2.models.core import TaggedEC2Resource

from strictmoto.cloudformation import api_types, given, policies, schemas
from strictmoto.cloudformation.api_types import STACK_TAGS, ApiResource, FailedError
from strictmoto.cloudformation.asking import ask_for_model
from strictmoto.cloudformation.dynamic_references import replace_references
from strictmoto.cloudformation.events import CLIENT_TOKEN, publish
from strictmoto.cloudformation.given import Given
from strictmoto.cloudformation.templates import creation_order, text
from strictmoto.cloudformation.working import CancelledError

# moto has types, but none for what is replaced at run time.
ResourceMap: Any = parsing.ResourceMap
moto_parsing: Any = parsing


_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError"})


class ResourceFailedError(Exception):
    """A resource that could not be made, changed or unmade.

    Attributes:
        logical_id: its name in the template.
    """

    def __init__(self, logical_id: str, reason: str) -> None:
        """Keep the resource and the reason, as its event has it."""
        super().__init__(reason)
        self.logical_id = logical_id


class _RefusedError(ResourceFailedError):
    """A resource that is not even tried, and whose event says so already."""


class Ledger:
    """What a resource map has to remember for its stack.

    Attributes:
        stack: where events go.
        properties: those that each resource has now, references resolved.
        statuses: the last status of each resource.
        sealed: True when nothing may be made any more: moto makes what it is asked about.
    """

    def __init__(self, stack: Any) -> None:
        """Begin with nothing made."""
        self.stack = stack
        self.properties: dict[str, Any] = {}
        self.statuses: dict[str, str] = {}
        self.sealed = False

    def publish(self, logical_id: str, kind: str, physical_id: str, status: str, reason: str | None = None) -> None:
        """Add a resource's event to the stack's."""
        self.statuses[logical_id] = status
        stack = self.stack
        event: Any = Event(stack.stack_id, stack.name, logical_id, physical_id, kind, status, reason, None)
        event.client_request_token = CLIENT_TOKEN.get()
        event.sendToSns(stack.account_id, stack.region_name, stack.notification_arns)
        stack.events.append(event)
        publish(stack, event)


def reason_of(error: Exception) -> str:
    """A failure as AWS words it in the events of a stack."""
    if isinstance(error, FailedError):
        return str(error)
    request = uuid.uuid4()
    if isinstance(error, ClientError):
        answer = error.response
        code, status = answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]
        if code == "UnauthorizedOperation":
            return f"API: ec2:{error.operation_name} {answer['Error']['Message']}"
        words = str(getattr(error, "service_id", "EC2")).split()
        service = "".join(word.capitalize() if word.isupper() else word for word in words)
        handler = "AccessDenied" if code in _DENIED else "GeneralServiceException"
        handler = "NotFound" if "NotFound" in code else handler
        said = (
            f"{answer['Error'].get('Message', code)} (Service: {service}, Status Code: {status}, Request ID: {request})"
        )
    elif isinstance(error, JsonRESTError):
        handler = "NotFound" if "NotFound" in str(error.error_type) else "GeneralServiceException"
        said = f"{error.message} (Status Code: {error.code}, Request ID: {request})"
    elif isinstance(error, ServiceException):
        handler = "NotFound" if "NotFound" in str(error.code) else "GeneralServiceException"
        said = f"{error.message} (Service: Ec2, Status Code: 400, Request ID: {uuid.uuid4()})"
    else:
        # Not AWS's words: this account met something it does not know, and should say what.
        handler, said = "InternalFailure", f"strictmoto: {type(error).__name__}: {error}"
    return f'Resource handler returned message: "{said}" (RequestToken: {request}, HandlerErrorCode: {handler})'


def physical_id(resource: Any) -> str:
    """What Ref says of a resource."""
    return str(getattr(resource, "physical_resource_id", "") or "")


def install() -> None:
    """Replace how moto's resource map makes, changes and unmakes resources."""
    _replace_references()
    _make_with_events()
    ResourceMap.__getitem__ = _get_unless_sealed(ResourceMap.__getitem__)
    ResourceMap.create = _create
    ResourceMap.update = _update
    ResourceMap.delete = _delete


def _replace_references() -> None:
    """Let moto's models, too, get the values that dynamic references name."""
    parse: Any = moto_parsing.parse_resource

    @functools.wraps(parse)
    def parse_resource(resource_json: dict[str, Any], resources_map: Any) -> Any:
        resource_class, resolved_json, kind = parse(resource_json, resources_map)
        properties = replace_references(resolved_json["Properties"], kind, resources_map)
        return resource_class, {**resolved_json, "Properties": properties}, kind

    moto_parsing.parse_resource = parse_resource


def _make_with_events() -> None:
    make: Any = moto_parsing.parse_and_create_resource

    @functools.wraps(make)
    def parse_and_create_resource(
        logical_id: str, resource_json: dict[str, Any], resources_map: Any, account_id: str, region_name: str
    ) -> Any:
        ledger: Ledger | None = getattr(resources_map, "ledger", None)
        condition = resource_json.get("Condition")
        unwanted = condition and not resources_map.lazy_condition_map[condition]
        if ledger is None or unwanted:
            return make(logical_id, resource_json, resources_map, account_id, region_name)
        kind = resource_json["Type"]
        ledger.publish(logical_id, kind, "", "CREATE_IN_PROGRESS")
        properties: Any = None
        try:
            properties = resolved(resources_map, resource_json)
            if reason := _unmakable(logical_id, kind, properties):
                ledger.publish(logical_id, kind, "", "CREATE_FAILED", reason)
                raise _RefusedError(logical_id, reason)
            STACK_TAGS.set(ledger.stack.tags)
            if api_types.own_type(kind) is None:
                name = _name_of(ledger.stack, logical_id, properties, kind)
                ask_for_model(kind, "create", properties, region_name, name)
            with given.recorded() as found:
                made = make(logical_id, resource_json, resources_map, account_id, region_name)
            _refuse_lost(kind, properties, found, made)
        except _RefusedError:
            raise
        except ResourceFailedError as failed:
            ledger.publish(logical_id, kind, "", "CREATE_FAILED", "Resource creation cancelled")
            raise failed
        except CancelledError as cancelled:
            _keep_half_made(resources_map, logical_id, cancelled, properties)
            raise
        except Exception as error:
            half_made = _keep_half_made(resources_map, logical_id, error, properties)
            reason = reason_of(error)
            ledger.publish(logical_id, kind, physical_id(half_made), "CREATE_FAILED", reason)
            raise ResourceFailedError(logical_id, reason) from error
        ledger.properties[logical_id] = properties
        _tag(resources_map, logical_id, made)
        ledger.publish(logical_id, kind, physical_id(made), "CREATE_COMPLETE")
        return made

    moto_parsing.parse_and_create_resource = parse_and_create_resource


def _name_of(stack: Any, logical_id: str, properties: dict[str, Any], kind: str) -> str:
    """The name of a resource that is about to be made; CloudFormation adds random letters to one of its own."""
    named = properties.get(moto_parsing.resource_name_property_from_type(kind))
    return str(named or f"{stack.name}-{logical_id}-1A2B3C4D5E6F")


def _refuse_lost(kind: str, names: Iterable[str], found: list[Given], made: Any) -> None:
    """Fail a resource that was made without some of what its template says."""
    tagged = {"Tags"} if _is_tagged(made) else set()
    if missing := given.lost(kind, set(names) - tagged, found):
        # Not AWS's words: AWS makes them.
        failed: Any = FailedError(f"strictmoto does not make {', '.join(missing)} of {kind}")
        failed.half_made = made
        raise failed


def _keep_half_made(resources_map: Any, logical_id: str, error: BaseException, properties: Any) -> Any:
    """Keep what a failed creation left, so that it is unmade with the rest; return it."""
    half_made = getattr(error, "half_made", None)
    if half_made is not None:
        resources_map._parsed_resources[logical_id] = half_made
        resources_map.ledger.properties[logical_id] = properties
    return half_made


def _unmakable(logical_id: str, kind: str, properties: dict[str, Any]) -> str | None:
    """Why a resource is not even tried; None where it is."""
    if not api_types.makes(kind):
        # Not AWS's words: AWS makes it. Nothing at all would be made, and the stack would be complete.
        return f"strictmoto does not make {kind}"
    if found := schemas.problems(kind, properties):
        said = "\n".join(found)
        return f"Properties validation failed for resource {logical_id} with message:\n{said}"
    return None


def resolved(resources_map: Any, resource_json: dict[str, Any]) -> Any:
    """A resource's properties with every reference replaced by what it stands for now."""
    properties = parsing.clean_json(resource_json.get("Properties") or {}, resources_map)
    return replace_references(properties, str(resource_json["Type"]), resources_map)


def replaces(kind: str, old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a change of properties takes another resource in place of the one that is there."""
    changed = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    if not changed - {"Tags"}:
        return False
    resource_class: Any = parsing.resource_class_from_type(kind)
    # moto can change no type that has no such method.
    fixed = hasattr(resource_class.update_from_cloudformation_json, "__isabstractmethod__")
    return fixed or schemas.replaces(kind, old, new)


def _refuse_denied(self: Any, action: str, name: str, json: dict[str, Any], status: str) -> None:
    """Fail a resource whose update the stack's policy denies."""
    ledger, kind = self.ledger, json["Type"]
    if reason := policies.refusal(ledger.stack, action, name, kind):
        ledger.publish(name, kind, physical_id(self._parsed_resources.get(name)), status, reason)
        raise ResourceFailedError(name, reason)


def _tag(resources_map: Any, logical_id: str, resource: Any) -> None:
    """Give a resource the tags that say which stack it belongs to, and the stack's own."""
    if not _is_tagged(resource):
        return
    own = resources_map.ledger.properties.get(logical_id) or {}
    tags = {
        **resources_map.ledger.stack.tags,
        # The resource's own win.
        **{tag["Key"]: text(tag["Value"]) for tag in own.get("Tags", [])},
        "aws:cloudformation:stack-name": resources_map["AWS::StackName"],
        "aws:cloudformation:stack-id": resources_map["AWS::StackId"],
        "aws:cloudformation:logical-id": logical_id,
    }
    _ec2_backend(resource).create_tags([_ec2_id(resource)], tags)


def _is_tagged(resource: Any) -> bool:
    """Whether EC2 has tags of a resource."""
    return isinstance(resource, TaggedEC2Resource) or bool(getattr(resource, "ec2_id", ""))


def _ec2_id(resource: Any) -> Any:
    """By its own id: Ref of an Elastic IP is the address."""
    return resource.ec2_id if isinstance(resource, ApiResource) else resource.id


def _ec2_backend(resource: Any) -> Any:
    if isinstance(resource, ApiResource):
        return ec2_backends[resource.account_id][resource.region]
    return resource.ec2_backend


def _get_unless_sealed(get: Any) -> Any:
    @functools.wraps(get)
    def getitem(self: Any, key: str) -> Any:
        ledger: Ledger | None = getattr(self, "ledger", None)
        if ledger is not None and ledger.sealed and key not in self._parsed_resources:
            if key in self._resource_json_map:
                return None
            raise KeyError(key)
        return get(self, key)

    return getitem


def _create(self: Any, template: dict[str, Any]) -> bool:
    """Make every resource; True when all are ready, which custom resources are only later."""
    self._template = template
    self._resource_json_map = template["Resources"]
    for name in creation_order(self._resource_json_map):
        _ = self[name]
    return all(resource.is_created() for resource in map(self._parsed_resources.get, self) if resource is not None)


def _update(
    self: Any,
    template: dict[str, Any],
    parameters: dict[str, Any] | None = None,
    settle: Callable[[], None] = lambda: None,
) -> list[str]:
    """Make what is new, change what differs in what it says now, then unmake what is left over.

    Args:
        self: moto's map.
        template: the new one.
        parameters: the new ones; those that the map has by default.
        settle: done when everything is made and changed, and before anything is unmade; what it raises undoes the rest.

    Returns:
        The logical names of what could not be unmade: it stays, and its stack knows it no more.

    Raises:
        ResourceFailedError: something could not be made, changed or settled.
    """
    before = self._resource_json_map
    ledger: Ledger = self.ledger
    sealed, ledger.sealed = ledger.sealed, False
    left: list[tuple[str, Any, dict[str, Any]]] = []
    replaced: list[tuple[str, Any, Any]] = []
    self._template = template
    if parameters:
        self.input_parameters = parameters
    self.load_mapping()
    self.load_parameters()
    self.load_conditions()
    self._resource_json_map = after = template["Resources"]
    try:
        for name in before:
            condition = after[name].get("Condition") if name in after else None
            stays = name in after and not (condition and not self.lazy_condition_map[condition])
            if not stays and self._parsed_resources.get(name) is not None:
                _refuse_denied(self, policies.DELETE, name, before[name], "DELETE_FAILED")
        for name in creation_order(after):
            existing = self._parsed_resources.get(name)
            condition = after[name].get("Condition")
            gone = condition and not self.lazy_condition_map[condition]
            # What an update that failed was about to unmake is there, though the template in between has it not.
            old = before.get(name, after[name])
            if existing is not None and (gone or after[name]["Type"] != old["Type"]):
                left.append((name, self._parsed_resources.pop(name), old))
                existing = None
            if existing is None:
                _ = self[name]
                continue
            properties = ledger.properties.get(name)
            _changed, leaves = _change(self, name, after[name])
            if leaves:
                replaced.append((name, existing, properties))
                left.append((name, existing, old))
        settle()
    except ResourceFailedError:
        for name, old, properties in reversed(replaced):
            new = self._parsed_resources[name]
            # What cannot be unmade stays: its event says so.
            with contextlib.suppress(ResourceFailedError):
                _remove(self, name, new, after[name])
            self._parsed_resources[name], ledger.properties[name] = old, properties
        for name, old, _json in left:
            self._parsed_resources.setdefault(name, old)
        raise
    finally:
        ledger.sealed = sealed
    left += [(name, self._parsed_resources.pop(name, None), before[name]) for name in before if name not in after]
    order = {name: place for place, name in enumerate(creation_order(before) if before else ())}
    failed = []
    for name, old, json in sorted(left, key=lambda entry: order.get(entry[0], -1), reverse=True):
        if old is None or _is_retained(self, json):
            continue
        kept = ledger.properties.get(name)
        try:
            _remove(self, name, old, json)
        except ResourceFailedError:
            failed.append(name)
        if kept is not None and name in self._parsed_resources:
            # Of what took its place.
            ledger.properties[name] = kept
    return failed


def _change(self: Any, name: str, json: dict[str, Any]) -> tuple[Any, bool]:
    """Bring one resource to its new properties: it, or what takes its place; and whether the old one is left."""
    existing, ledger = self._parsed_resources[name], self.ledger
    old, new = ledger.properties.get(name), resolved(self, json)
    if old == new:
        return existing, False
    old = old or {}
    kind = json["Type"]
    keys = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    action = policies.REPLACE if replaces(kind, old, new) else policies.MODIFY
    _refuse_denied(self, action, name, json, "UPDATE_FAILED")
    ledger.publish(name, kind, physical_id(existing), "UPDATE_IN_PROGRESS")
    try:
        leaves = False
        if keys == {"Tags"} and _is_tagged(existing):
            changed = _retag(existing, old, new)
        elif hasattr(parsing.resource_class_from_type(kind).update_from_cloudformation_json, "__isabstractmethod__"):
            # moto cannot change this type at all, and would forget the resource.
            leaves = True
            del self._parsed_resources[name]
            try:
                changed = self[name]
            except BaseException:
                _give_back(self, name, existing, old, json)
                raise
        else:
            STACK_TAGS.set(ledger.stack.tags)
            if api_types.own_type(kind) is None:
                ask_for_model(kind, "update", new, self._region_name, physical_id(existing))
            with given.recorded() as found:
                changed = parsing.parse_and_update_resource(name, json, self, self._account_id, self._region_name)
            self._parsed_resources[name] = changed
            ledger.properties[name] = new
            if changed is existing and "Tags" in keys and isinstance(changed, ApiResource) and _is_tagged(changed):
                _retag(changed, old, new)
            _tag(self, name, changed)
            # Others of moto's have deleted the old one themselves.
            leaves = changed is not existing and getattr(changed, "leaves_the_old", False)
            if missing := given.lost(kind, keys - ({"Tags"} if _is_tagged(changed) else set()), found):
                if changed is existing:
                    _keep_unchanged(self, name, missing, old)
                else:
                    _give_back(self, name, existing, old, json)
                # Not AWS's words: AWS changes them.
                raise FailedError(f"strictmoto does not change {', '.join(missing)} of {kind}")
    except Exception as error:
        if isinstance(existing, ApiResource):
            # Old or new, as far as the change came: going back begins there.
            ledger.properties[name] = existing.properties
        reason = str(error) if isinstance(error, ResourceFailedError) else reason_of(error)
        ledger.publish(name, kind, physical_id(existing), "UPDATE_FAILED", reason)
        raise ResourceFailedError(name, reason) from error
    ledger.properties[name] = new
    ledger.publish(name, kind, physical_id(changed), "UPDATE_COMPLETE")
    return changed, leaves


def _keep_unchanged(self: Any, name: str, missing: list[str], old: dict[str, Any]) -> None:
    """Remember properties that a change left as they were, so that going back begins there."""
    ledger, resource = self.ledger, self._parsed_resources[name]
    now = {key: value for key, value in ledger.properties[name].items() if key not in missing}
    ledger.properties[name] = now | {key: old[key] for key in missing if key in old}
    if isinstance(resource, ApiResource):
        resource.properties = ledger.properties[name]


def _give_back(self: Any, name: str, existing: Any, old: dict[str, Any], json: dict[str, Any]) -> None:
    """Unmake what was to take the place of a resource that stays."""
    other = self._parsed_resources.get(name)
    self._parsed_resources[name] = existing
    if other is not None and other is not existing:
        _remove(self, name, other, json)
    self.ledger.properties[name] = old


def retag_all(self: Any, before: dict[str, str]) -> None:
    """Give every resource the tags that its stack has now, in place of those it had; its own win."""
    after, ledger = self.ledger.stack.tags, self.ledger
    for name, resource in self._parsed_resources.items():
        # What the template has no more is about to be unmade.
        if not _is_tagged(resource) or name not in self._resource_json_map:
            continue
        own = {tag["Key"] for tag in (ledger.properties.get(name) or {}).get("Tags", [])}
        dropped = [key for key in before if key not in after and key not in own]
        wanted = {key: value for key, value in after.items() if key not in own and before.get(key) != value}
        try:
            _set_tags(resource, dropped, wanted)
        except ClientError as error:
            reason = reason_of(error)
            kind = self._resource_json_map[name]["Type"]
            ledger.publish(name, kind, physical_id(resource), "UPDATE_FAILED", reason)
            raise ResourceFailedError(name, reason) from error


def _set_tags(resource: Any, dropped: list[str], wanted: dict[str, str]) -> None:
    """Change the tags of what is there, as CloudFormation does for all of EC2."""
    backend, identifier = _ec2_backend(resource), _ec2_id(resource)
    ec2 = api_types.client("ec2", backend.account_id, backend.region_name)
    if dropped:
        ec2.delete_tags(Resources=[identifier], Tags=[{"Key": key} for key in dropped])
    if wanted:
        ec2.create_tags(Resources=[identifier], Tags=[{"Key": key, "Value": value} for key, value in wanted.items()])


def _retag(resource: Any, old: dict[str, Any], new: dict[str, Any]) -> Any:
    wanted = {tag["Key"]: text(tag["Value"]) for tag in new.get("Tags", [])}
    _set_tags(resource, [tag["Key"] for tag in old.get("Tags", []) if tag["Key"] not in wanted], wanted)
    if isinstance(resource, ApiResource):
        resource.properties = new
    return resource


def _remove(self: Any, name: str, resource: Any, json: dict[str, Any]) -> None:
    """Unmake one resource, with its events."""
    ledger, kind = self.ledger, json["Type"]
    if not _can_delete(resource):
        # Not AWS's words: AWS deletes it, and here it stays.
        ledger.publish(name, kind, physical_id(resource), "DELETE_SKIPPED", f"strictmoto does not delete {kind}")
        return
    ledger.publish(name, kind, physical_id(resource), "DELETE_IN_PROGRESS")
    try:
        if isinstance(resource, ApiResource):
            resource.delete(self._account_id, self._region_name)
        else:
            properties = ledger.properties.get(name) or {}
            ask_for_model(kind, "delete", properties, self._region_name, physical_id(resource))
            self._delete_resource(resource, json)
    except Exception as error:
        reason = reason_of(error)
        ledger.publish(name, kind, physical_id(resource), "DELETE_FAILED", reason)
        raise ResourceFailedError(name, reason) from error
    ledger.properties.pop(name, None)
    ledger.publish(name, kind, physical_id(resource), "DELETE_COMPLETE")


def _is_retained(self: Any, json: dict[str, Any]) -> bool:
    """Whether a resource stays where its stack needs it no more; a function may say so."""
    return bool(parsing.clean_json(json.get("DeletionPolicy"), self) == "Retain")


def _can_delete(resource: Any) -> bool:
    """Whether a resource can be unmade at all: of some of moto's, nothing is."""
    by_model = getattr(type(resource), "delete_from_cloudformation_json", None)
    return hasattr(resource, "delete") or not hasattr(by_model, "__isabstractmethod__")


def _delete(self: Any, retained: Iterable[str] = (), *, forced: bool = False) -> None:
    """Unmake everything, those that refer before what they refer to; what fails does not keep the rest.

    Args:
        self: moto's map.
        retained: logical names of resources that stay.
        forced: whether what cannot be unmade stays, too.

    Raises:
        ResourceFailedError: something could not be unmade, and is not to stay.
    """
    self.ledger.sealed = True
    failures: list[ResourceFailedError] = []
    for name in reversed(creation_order(self._resource_json_map)):
        resource, json = self._parsed_resources.get(name), self._resource_json_map[name]
        if resource is None:
            continue
        if name in retained or _is_retained(self, json):
            self.ledger.publish(name, json["Type"], physical_id(resource), "DELETE_SKIPPED")
            continue
        try:
            _remove(self, name, resource, json)
        except ResourceFailedError as failed:
            if forced:
                self.ledger.publish(name, json["Type"], physical_id(resource), "DELETE_SKIPPED")
            else:
                failures.append(failed)
        else:
            del self._parsed_resources[name]
    if failures:
        names = ", ".join(failed.logical_id for failed in failures)
        raise ResourceFailedError(names, f"The following resource(s) failed to delete: [{names}]. ")

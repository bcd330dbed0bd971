"""What everything has that a containment changes, who put it there, and what is owed to it: a model of every call.

It holds each call of the functions to the rules: written down before it is changed, never written over, given back
exactly, and nothing of others overwritten unasked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from tapstack.domain.table_names import CONTAINMENT, PRIOR_STATE
from tapstack.responder.store.items import unpack

Value = Any
Who = Literal["ours", "others"]


class Thing(NamedTuple):
    """A kind and a key, as prior states have them; the key of what belongs to an instance begins with its id."""

    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Step:
    """A function that runs.

    Attributes:
        action: of the workflow, or `api`, or `sweep`.
        incident: whose.
        instance: of the incident.
        flags: how it is to be released.
        began: how many calls there had been.
    """

    action: str
    incident: str = ""
    instance: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)
    began: int = 0


class Begun(NamedTuple):
    """A containment that began.

    Attributes:
        instance: which.
        incident: whose.
        released: when the instance had been released last.
        protected: whether a tag protected it from before, and no incident held it.
    """

    instance: str
    incident: str
    released: str | None
    protected: bool


@dataclass
class Ledger:
    """The model.

    Attributes:
        now: what is there.
        by: who put it there; `others` also where it was given back.
        owed: what is written down for an instance, and not back yet.
        wrong: rules that were broken, a line each.
        calls: how many calls there were.
        released: when each instance was released last.
        begun: containments that began.
        foreign: sessions of others.
        untagged: sessions of ours that others took our tags off, with the calls there had been then.
        protected: instances with a tag that protects, with the calls there had been when they got it.
        late: what was changed although a release had restored it; to be restored once more.
    """

    now: dict[Thing, Value] = field(default_factory=dict)
    by: dict[Thing, Who] = field(default_factory=dict)
    owed: dict[tuple[str, Thing], Value] = field(default_factory=dict)
    gone_groups: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    calls: int = 0
    late: set[Thing] = field(default_factory=set)
    released: dict[str, str] = field(default_factory=dict)
    begun: list[Begun] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    untagged: dict[str, int] = field(default_factory=dict)
    protected: dict[str, int] = field(default_factory=dict)
    joined: int = 0
    """Notifications that an alert joined an incident."""
    _held: set[str] = field(default_factory=set)
    _changed_by_others: list[tuple[int, Thing, Value]] = field(default_factory=list)
    _refused: set[tuple[int, Thing]] = field(default_factory=set)
    _returned: list[tuple[int, Thing]] = field(default_factory=list)
    _settled_at: list[tuple[int, Thing]] = field(default_factory=list)
    _ours: dict[tuple[str, Thing], tuple[Value, ...]] = field(default_factory=dict)
    _held_at: dict[str, int] = field(default_factory=dict)
    _owed_last: dict[tuple[str, Thing], Value] = field(default_factory=dict)

    def begin(self, thing: Thing, value: Value) -> None:
        """Something is there."""
        self.now[thing], self.by[thing] = value, "others"

    def reset(self, thing: Thing) -> None:
        """It is gone."""
        self.now.pop(thing, None)

    def heard(self, operation: str, parameters: Mapping[str, Any], step: Step | None, *, refused: bool = False) -> None:
        """A call was made and answered: by a function, or by others; AWS may have refused it."""
        self.calls += 1
        if refused:
            self._refused |= {(self.calls, thing) for thing, _ in _changes(operation, parameters)}
            return
        if step is not None:
            self._spares(operation, parameters, step)
        if operation == "Publish" and parameters["Subject"].endswith(": joined by another alert"):
            self.joined += 1
        for thing, value in _changes(operation, parameters):
            if thing not in self.now:
                continue
            if step is None:
                # What was there until now, a function may have seen.
                self._changed_by_others.append((self.calls, thing, self.now[thing]))
                self.now[thing], self.by[thing] = value, "others"
            elif step.action == "contain":
                self._isolate(thing, value, step)
            elif step.action in ("release", "restore_again"):
                self._given_back(thing, value, step)
            else:
                self._blame(step, f"changes {thing}")
        if operation == "UpdateItem" and "released_at = :now" in parameters["UpdateExpression"]:
            instance = parameters["Key"]["pk"]["S"].removeprefix(f"{CONTAINMENT}#")
            self.released[instance] = parameters["ExpressionAttributeValues"][":now"]["S"]
            self._held.discard(instance)
        if operation == "TransactWriteItems":
            for action in parameters["TransactItems"]:
                if "quarantine_group_id = :group" in action.get("Update", {}).get("UpdateExpression", ""):
                    instance = action["Update"]["Key"]["pk"]["S"].removeprefix(f"{CONTAINMENT}#")
                    since = self.protected.get(instance, self.calls)
                    protected = step is not None and since <= step.began and instance not in self._held
                    incident = step.incident if step else ""
                    self.begun.append(Begun(instance, incident, self.released.get(instance), protected))
                if "ADD holders" in action.get("Update", {}).get("UpdateExpression", ""):
                    held = action["Update"]["Key"]["pk"]["S"].removeprefix(f"{CONTAINMENT}#")
                    self._held_at[held] = self.calls
                    self._held.add(held)
                self._written(action, step)

    def _spares(self, operation: str, parameters: Mapping[str, Any], step: Step) -> None:
        """Hold a function to leaving sessions alone that are of others, or that it may not change."""
        named: list[str] = []
        if operation in ("DeleteTrafficMirrorSession", "ModifyTrafficMirrorSession"):
            named = [parameters["TrafficMirrorSessionId"]]
            lost = [one for one in named if self.untagged.get(one, self.calls) <= step.began]
            # Of tags AWS refuses that, and the functions go on.
            for session in lost:
                self._blame(step, f"calls {operation} for {session}, which has lost our tags")
        elif operation in ("CreateTags", "DeleteTags"):
            named = parameters["Resources"]
        for session in named:
            if session in self.foreign:
                self._blame(step, f"calls {operation} for {session}, which is of others")

    def _written(self, action: Mapping[str, Any], step: Step | None) -> None:
        write = action.get("Put") or action.get("Update") or {}
        keys = write.get("Item") or write.get("Key") or {}
        sort = str(keys.get("sk", {}).get("S", ""))
        if not sort.startswith(f"{PRIOR_STATE}#") or step is None:
            return
        instance = keys["pk"]["S"].removeprefix(f"{CONTAINMENT}#")
        kind, _, key = sort.removeprefix(f"{PRIOR_STATE}#").partition("#")
        thing = Thing(kind, f"{instance} {key}" if kind == "volume" else key)
        if "Put" in action:
            item = {name: _plain(unpack(write["Item"][name])) for name in ("original", "ours", "passing")}
            self._ours[instance, thing] = (item["ours"], item["passing"])
            self._owes(instance, thing, item["original"], step)
        elif thing in self.now:
            self._settled(instance, thing, step)

    def _owes(self, instance: str, thing: Thing, original: Value, step: Step) -> None:
        place = (instance, thing)
        if thing in self.now:
            seen = self.seen_since(step.began, thing)
            if self._owed_last.get(place) is not None:
                # What is ours may be what a release has not ended to show.
                seen.append(self._owed_last[place])
            if place in self.owed and self.owed[place] != original:
                self._blame(step, f"writes {original} over the original {self.owed[place]} of {thing}")
            elif original not in seen:
                self._blame(step, f"writes down {original} as the original of {thing}, which had {seen}")
        self.owed[place] = original

    def _isolate(self, thing: Thing, value: Value, step: Step) -> None:
        if (step.instance, thing) not in self.owed:
            if any(one == thing and at > step.began for at, one in self._settled_at):
                # A release came in between: no call can know.
                self.late.add(thing)
            else:
                self._blame(step, f"changes {thing} from {self.now[thing]} to {value} without writing it down")
        self.now[thing], self.by[thing] = value, "ours"

    def _given_back(self, thing: Thing, value: Value, step: Step) -> None:
        place, there = (step.instance, thing), self.now[thing]
        owed = self.owed.get(place, self._owed_last.get(place))
        decided = bool(step.flags.get("overwrite") or step.flags.get("keep"))
        if value != owed and not (decided and value == self._without_gone(owed)):
            self._blame(step, f"gives {value} back to {thing}, which had {owed}")
        # What others put there cannot be distinguished from ours where it is the same.
        by_others = self.by[thing] == "others" and there not in (value, *self._ours.get(place, ()))
        if by_others and not step.flags.get("overwrite") and not self._meanwhile(step, thing):
            self._blame(step, f"sets {thing} to {value} over {there}, which others set")
        self.now[thing], self.by[thing] = value, "others"
        self._returned.append((self.calls, thing))
        self.late.discard(thing)

    def _settled(self, instance: str, thing: Thing, step: Step) -> None:
        place = (instance, thing)
        owed = self.owed.pop(place, None)
        self._settled_at.append((self.calls, thing))
        self._owed_last[place] = owed
        if owed is None:
            self._blame(step, f"notes that {thing} is back, and nothing was owed to it")
        elif self.by[thing] == "ours" and self.now[thing] != owed:
            refused = any(one == thing and at > step.began for at, one in self._refused)
            if not (step.flags.get("keep") and (refused or self._without_gone(owed) != owed)):
                self._blame(step, f"notes that {thing} is back, which has {self.now[thing]} and not {owed}")
            # Given up, because a responder chose so.
            self.by[thing] = "others"
        elif self.now[thing] not in (owed, self._without_gone(owed)):
            decided = step.flags.get("keep") or step.flags.get("overwrite")
            if not decided and not self._meanwhile(step, thing):
                self._blame(step, f"gives {thing} up, which has {self.now[thing]} and not {owed}")

    def seen_since(self, began: int, thing: Thing) -> list[Value]:
        """Return what a function may have seen that began then."""
        return [
            self.now[thing],
            *(before for at, one, before in self._changed_by_others if one == thing and at > began),
        ]

    def connected_since(self, began: int, instance: str, thing: Thing) -> bool:
        """Return whether others changed it since, or a release that was overtaken gave it back."""
        held = self._held_at.get(instance, 0)
        return any(one == thing and at > began for at, one, _ in self._changed_by_others) or any(
            # What came back before the instance was held is to be isolated again.
            one == thing and at > held
            for at, one in self._returned
        )

    def _meanwhile(self, step: Step, thing: Thing) -> bool:
        return any(one == thing and at > step.began for at, one, _ in self._changed_by_others)

    def _without_gone(self, value: Value) -> Value:
        return tuple(item for item in value if item not in self.gone_groups) if isinstance(value, tuple) else value

    def _blame(self, step: Step, what: str) -> None:
        self.wrong.append(f"{step.action} for {step.incident} {what}")

    def unrecorded(self) -> list[Thing]:
        """Return what is as containments left it, and nothing says how it was."""
        known = {thing for _, thing in self.owed}
        return [thing for thing in self.now if self.by[thing] == "ours" and thing not in known | self.late]


def _plain(value: Value) -> Value:
    return tuple(sorted(value)) if isinstance(value, list | tuple) else value


def _changes(operation: str, parameters: Mapping[str, Any]) -> Iterator[tuple[Thing, Value]]:
    """Yield what a call changes, as prior states have it."""
    match operation:
        case "ModifyNetworkInterfaceAttribute" if "Groups" in parameters:
            yield Thing("groups", parameters["NetworkInterfaceId"]), _plain(parameters["Groups"])
        case "ModifyInstanceAttribute":
            instance = parameters["InstanceId"]
            if "DisableApiTermination" in parameters:
                yield Thing("termination", instance), parameters["DisableApiTermination"]["Value"]
            if "InstanceInitiatedShutdownBehavior" in parameters:
                yield Thing("shutdown", instance), parameters["InstanceInitiatedShutdownBehavior"]["Value"]
            for mapping in parameters.get("BlockDeviceMappings", ()):
                yield Thing("volume", f"{instance} {mapping['DeviceName']}"), mapping["Ebs"]["DeleteOnTermination"]
        case "RegisterTargets" | "DeregisterTargets":
            for target in parameters["Targets"]:
                key = f"{parameters['TargetGroupArn']} {target['Id']}:{target['Port']}"
                yield Thing("target-group", key), "registered" if operation == "RegisterTargets" else "deregistered"

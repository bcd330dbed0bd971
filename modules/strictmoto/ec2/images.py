"""Public images: there from the beginning, each made when somebody reads it.

moto makes about 1,300 of them, each with a volume and a snapshot, for every account and Region, and once more when the
account is emptied: most of the time that an empty account takes, and of its memory. An instance reads one of them.

An image is deregistered and changed by its owner only: AuthFailure.

Sources: moto 5.2.5, moto/ec2/models/amis.py (which images, and their owner's alias); Amazon EC2 API Reference, "Error
codes for the Amazon EC2 API" (AuthFailure: "you might be trying to run an AMI for which you do not have permission").
That DeregisterImage and ModifyImageAttribute answer so is of callers' reports, and the message of DeregisterImage's.
"""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any, Final

from moto.core.parse import default_timestamp_parser
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend as _Backend
from moto.ec2.models import amis
from moto.utilities.utils import load_resource

# moto has types, but none for what is replaced at run time.
EC2Backend: Any = _Backend

_OF_REGIONS: Final = ("latest_amis", "ecs/optimized_amis")
_OF_OWNERS: Final = ("deregister_image", "modify_image_attribute")
_WILDCARDS: Final = frozenset("*?[")


@functools.cache
def install() -> None:
    """Make the moto of this process make them so. A second call changes nothing."""
    load, describe = EC2Backend._load_amis, EC2Backend.describe_images

    @functools.wraps(load)
    def load_images(self: Any) -> None:
        self.amis = _Images(self)
        self.snapshots = _Snapshots(self.amis)

    @functools.wraps(describe)
    def describe_images(
        self: Any,
        ami_ids: list[str] | None = None,
        filters: dict[str, Any] | None = None,
        exec_users: list[str] | None = None,
        owners: list[str] | None = None,
    ) -> Any:
        asked = ami_ids or (filters or {}).get("image-id") or ()
        ids = (asked,) if isinstance(asked, str) else asked
        if not ids or _WILDCARDS.intersection(*ids):
            return describe(self, ami_ids, filters, exec_users, owners)
        named = {name: image for name in ids if (image := self.amis.get(name))}
        own = SimpleNamespace(amis=named, deleted_amis=self.deleted_amis, account_id=self.account_id)
        return describe(own, ami_ids, filters, exec_users, owners)

    EC2Backend._load_amis = load_images
    EC2Backend.describe_images = describe_images
    for name in _OF_OWNERS:
        setattr(EC2Backend, name, _of_owner(getattr(EC2Backend, name)))


def _of_owner(change: Any) -> Any:
    """Return moto's method that changes an image so that it refuses those of others."""

    @functools.wraps(change)
    def changing(self: Any, ami_id: str, *given: Any, **named: Any) -> Any:
        image = self.amis.get(ami_id)
        if image is not None and image.owner_id != self.account_id:
            raise EC2ClientError("AuthFailure", f"Not authorized for image:{ami_id}")
        return change(self, ami_id, *given, **named)

    return changing


@functools.cache
def _public(region: str) -> Mapping[str, Mapping[str, Any]]:
    """Return what makes the public images of a Region, by the image's id."""
    given = list(amis.AMIS)
    for directory in _OF_REGIONS:
        try:
            given += load_resource(f"ec2/resources/{directory}/{region}.json")
        except FileNotFoundError:  # moto knows none of this Region
            continue
    return {one["ami_id"]: one for one in given}


class _Images(dict[str, Any]):
    """Images by their id; public ones are made when they are read."""

    def __init__(self, backend: Any) -> None:
        super().__init__()
        self._backend = backend
        self._lock = threading.RLock()
        self._waiting = dict(_public(backend.region_name))

    def __deepcopy__(self, memo: dict[int, Any]) -> _Images:
        """Copy what was made, and the backend; late answers come from copies, and a lock has none."""
        copied = _Images.__new__(_Images)
        memo[id(self)] = copied
        with self._lock:
            copied._waiting = dict(self._waiting)
            made = dict(dict.items(self))
        copied._lock = threading.RLock()
        copied._backend = copy.deepcopy(self._backend, memo)
        dict.update(copied, copy.deepcopy(made, memo))
        return copied

    def _make(self, name: object) -> None:
        with self._lock:
            given = self._waiting.get(name) if isinstance(name, str) else None
            if given is None:
                return
            created = given.get("creation_date")
            read = {"creation_date": default_timestamp_parser(created)} if isinstance(created, str) else {}
            # Terraform filters by the alias.
            self[given["ami_id"]] = amis.Ami(self._backend, **{**given, "owner_alias": "amazon", **read})
            # Afterwards: another thread that asks for it meanwhile finds it in one of the two.
            del self._waiting[given["ami_id"]]

    def make_all(self) -> None:
        """Make those that nobody has read."""
        with self._lock:
            for name in tuple(self._waiting):
                self._make(name)

    def __contains__(self, name: object) -> bool:
        # In this order: what waits no more is there already.
        return name in self._waiting or super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self._make(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self._make(name)
        return super().get(name, default)

    def pop(self, name: str, *default: Any) -> Any:
        self._make(name)
        return super().pop(name, *default)

    def __iter__(self) -> Iterator[str]:
        self.make_all()
        return super().__iter__()

    def __len__(self) -> int:
        with self._lock:
            return super().__len__() + len(self._waiting)

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        self.make_all()
        return super().keys()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        self.make_all()
        return super().values()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        self.make_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        self.make_all()
        return super().copy()


WITHOUT_PUBLIC: Final = ContextVar("WITHOUT_PUBLIC", default=False)
"""Whether snapshots are listed of which none can be that of a public image that nobody has read."""


class _Snapshots(dict[str, Any]):
    """Snapshots by their id, those of public images among them: made, at the latest, when all are listed.

    The id of such a snapshot is known to nobody who did not read its image.
    """

    def __init__(self, images: _Images) -> None:
        super().__init__()
        self._images = images

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        if not WITHOUT_PUBLIC.get():
            self._images.make_all()
        return super().values()

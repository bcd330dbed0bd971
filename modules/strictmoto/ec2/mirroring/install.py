"""Puts Traffic Mirroring into the moto of this process; no file of moto is touched."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from moto.ec2 import utils
from moto.ec2.models import EC2Backend
from moto.ec2.responses.traffic_mirrors import TrafficMirrors

from strictmoto.ec2.mirroring import tags
from strictmoto.ec2.mirroring.mirroring import of
from strictmoto.ec2.mirroring.responses import ACTIONS, respond_to
from strictmoto.ec2.mirroring.state import KINDS


@functools.cache
def install() -> None:
    """Teach moto's EC2 the Traffic Mirroring of AWS, for all accounts and Regions.

    Calling it again changes nothing. Mirror resources that stock moto made before are no
    longer seen.
    """
    for action in ACTIONS:
        setattr(TrafficMirrors, action, respond_to(action))
    _set_prefixes()
    _wrap("do_resources_exist", _do_resources_exist)
    _wrap("iter_tagged_resources", _iter_tagged_resources)
    _wrap("delete_network_interface", _delete_network_interface)


def _set_prefixes() -> None:
    """Let CreateTags take AWS's ids, and DescribeTags name their types; both look here."""
    for kind in KINDS:
        utils.EC2_PREFIX_TO_RESOURCE.pop(utils.EC2_RESOURCE_TO_PREFIX.get(kind.kind, ""), None)
        utils.EC2_RESOURCE_TO_PREFIX[kind.kind] = kind.prefix
        utils.EC2_PREFIX_TO_RESOURCE[kind.prefix] = kind.kind


def _wrap(name: str, extension: Callable[..., Any]) -> None:
    """Replace a method of the backend by one that is given the original first."""
    original = getattr(EC2Backend, name)

    @functools.wraps(original)
    def extended(backend: Any, *args: Any, **kwargs: Any) -> Any:
        return extension(original, backend, *args, **kwargs)

    setattr(EC2Backend, name, extended)


def _do_resources_exist(original: Callable[..., bool], backend: Any, resource_ids: list[str]) -> bool:
    tags.check_exist(of(backend), resource_ids)
    return original(backend, resource_ids)


def _iter_tagged_resources(original: Callable[..., Iterator[Any]], backend: Any) -> Iterator[Any]:
    yield from original(backend)
    yield from tags.tagged_resources(of(backend))


def _delete_network_interface(original: Callable[..., None], backend: Any, eni_id: str) -> None:
    original(backend, eni_id)
    of(backend).drop_sessions_of(eni_id)

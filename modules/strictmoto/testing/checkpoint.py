"""Checkpoints of an account: what many tests begin with is made once, and restored for each of them.

Copying and restoring the resources of a small company takes a fortieth of the time of the calls that make them.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from moto.core.base_backend import BackendDict

from strictmoto.account import Account

Made = TypeVar("Made")


@dataclass(frozen=True)
class Checkpoint:
    """The resources of an account at some time.

    Attributes:
        places: where each backend belongs: moto's backends of a service, account, and Region or partition.
        backends: their copies, in the same order.
    """

    places: tuple[tuple[Any, str, str], ...]
    backends: tuple[Any, ...]


def take_checkpoint() -> Checkpoint:
    """Copy the resources of the account that runs, in all Regions, and of the accounts beside it.

    What is no resource is not in it: recorded calls, faults, credentials, issuers, and what functions, schedules and
    workflows have begun.

    Raises:
        TypeError: an execution runs; threads have no copy.
        ValueError: a bucket has objects.
    """
    services: Any = BackendDict
    found = [
        (service, where, backend) for service in services._instances for *where, backend in service.iter_backends()
    ]
    places = tuple((service, account, region) for service, (account, region), _ in found)
    for service, _, backend in found:
        if service.service_name == "s3" and any(bucket.keys for bucket in backend.buckets.values()):
            raise ValueError("a bucket has objects, which are open files: take the checkpoint before they are put")
    return Checkpoint(places, _copied(places, tuple(backend for *_, backend in found)))


def restore(account: Account, checkpoint: Checkpoint) -> None:
    """Empty an account, and give it the resources that a checkpoint has; as often as wanted."""
    account.reset()
    for (service, number, region), backend in zip(
        checkpoint.places, _copied(checkpoint.places, checkpoint.backends), strict=True
    ):
        service[number][region] = backend


def made_once(account: Account, make: Callable[[Account], Made]) -> Made:
    """Return what a function made in an empty account; it is called once, and then a checkpoint is restored.

    Args:
        account: that runs, and loses whatever it holds.
        make: makes resources, and returns what names them: the same value each time, so nothing may change it.
    """
    first: tuple[Made, Checkpoint] = _first(account, make)
    restore(account, first[1])
    return first[0]


@functools.cache
def _first(account: Account, make: Callable[[Account], Made]) -> tuple[Made, Checkpoint]:
    account.reset()
    made = make(account)
    return made, take_checkpoint()


def _copied(places: tuple[tuple[Any, str, str], ...], backends: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy backends together, so that what they share is shared by the copies."""
    # Who asks for the backends of another service finds those of the process.
    shared = {id(service): service for service, _, _ in places}
    return tuple(copy.deepcopy(list(backends), shared))

"""Whether packets are mirrored: what CloudWatch counts of an instance, and when their absence is a warning.

A traffic mirror session that exists proves nothing: only the metrics NetworkMirrorIn and NetworkMirrorOut of the
source's instance say that AWS mirrors. They count all sessions of all its interfaces, and what AWS sends, not what
arrives.

Source: VPC Traffic Mirroring guide, "Monitor mirrored traffic using Amazon CloudWatch".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, get_args

PacketsState = Literal["mirroring", "packets seen", "no packets seen"]
"""`mirroring` while sessions exist and nothing is known of packets; `no packets seen` after ten minutes without any."""
STATES: Final[tuple[PacketsState, ...]] = get_args(PacketsState)
WARN_AFTER: Final = timedelta(minutes=10)
"""How long CloudWatch may count nothing. Its metrics are one to five minutes late."""
SEEN_AFTER_SECONDS: Final = 300
"""How late the metrics are at most."""
FIRST_START_SECONDS: Final = 600
"""How long the first start of a launched appliance takes at most, as its vendor says."""
PERIOD: Final = timedelta(minutes=5)
"""Of the metrics, with basic monitoring; with detailed monitoring of the instance some have one of a minute."""
MEASURED: Final = "CloudWatch counts what AWS mirrors at the instance; only the appliance shows what arrives there."


def period_of(moment: datetime) -> datetime:
    """Return the beginning of the period that a moment lies in."""
    seconds = int(PERIOD.total_seconds())
    return moment - timedelta(seconds=int(moment.timestamp()) % seconds, microseconds=moment.microsecond)


def first_period(since: datetime, *, ended: bool) -> datetime:
    """Return the beginning of the first period whose packets count.

    The period in which mirroring began also has what was mirrored before by sessions that have ended. Sessions of
    others that go on count in every period: no period without them follows.

    Args:
        since: when mirroring began.
        ended: whether sessions may have ended in that period.
    """
    began_in = period_of(since)
    return began_in + PERIOD if ended and began_in != since else began_in


def judge(
    instances: Sequence[str], counted: Mapping[str, datetime], *, since: datetime, now: datetime
) -> tuple[PacketsState, tuple[str, ...]]:
    """Return what is known of the packets of some instances, and of which of them none were counted.

    Args:
        instances: whose interfaces are mirrored; none where they are attached to none: CloudWatch counts nothing then.
        counted: the beginning of a period since then in which CloudWatch counted packets, by instance.
        since: when mirroring began, or when the first period that counts began, if that is later.
        now: the present time.
    """
    missing = tuple(instance for instance in instances if instance not in counted)
    if not instances:
        return "mirroring", ()
    if not missing:
        return "packets seen", ()
    return ("no packets seen", missing) if now - since >= WARN_AFTER else ("mirroring", ())


def likely_causes(
    missing: Sequence[str],
    *,
    states: Mapping[str, str],
    contained: Sequence[str] = (),
    earlier: Sequence[str],
    filter_id: str,
) -> tuple[str, ...]:
    """Return why CloudWatch may count no packets, the certain ones first.

    Args:
        missing: the instances without packets.
        states: of these, as EC2 names them, such as `stopped`; an instance that does not exist has none.
        contained: those of them that are contained.
        earlier: mirror sessions of others on their interfaces that have a lower number, with that.
        filter_id: the mirror filter of the sessions.
    """
    idle = [f"{one} is {states.get(one, 'gone')}" for one in missing if states.get(one) != "running"]
    quiet = [f"{one} is contained: AWS does not mirror packets that its security groups drop" for one in contained]
    others = [
        f"another mirror session, {session}, takes the packets that its filter accepts first" for session in earlier
    ]
    return (
        *idle,
        *quiet,
        *others,
        f"no traffic, or none that the filter {filter_id} accepts",
        "the security group of the appliance, or of the instances behind the load balancer: "
        "it must admit UDP 4789 from the source",
        "no route from the subnet of the source to the appliance",
        "a network ACL of either subnet that drops UDP 4789",
    )

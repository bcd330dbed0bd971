"""Which instance types can be mirrored, and how many sources their interfaces take as targets.

Data with a date. Since 28 August 2025 AWS publishes an allow-list of source types: what is not
on it cannot be mirrored. The older "Nitro only, except these" lists that many tools carry are
stale. A list that AWS has changed since can be overruled, for sources and for targets.

Source: VPC Traffic Mirroring guide, "Traffic mirror sources" and "Traffic Mirroring quotas".
"""

from __future__ import annotations

import re
from typing import Final

from tapstack.domain import limits
from tapstack.domain.errors import RuleViolation
from tapstack.domain.suggestions import did_you_mean
from tapstack.domain.tokens import is_token

AS_OF: Final = "2026-11-26"
"""The day on which the two pages were read."""

SOURCE_FAMILIES: Final = frozenset(
    """
    a1 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id m6idn m6in m7a m7g m7gd m7i m7i-flex mac1 mac2
    mac2-m1ultra mac2-m2 mac2-m2pro t3 t3a t4g
    c4 c5 c5a c5ad c5d c5n c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7i c7i-flex
    r4 r5 r5a r5ad r5b r5d r5dn r5n r6a r6g r6gd r6i r6id r6idn r6in r7a r7g r7gd r7i r7iz u-3tb1 u-6tb1 u-9tb1
    u-12tb1 u-18tb1 u-24tb1 u7i-6tb u7i-8tb u7i-12tb u7in-16tb u7in-24tb u7in-32tb u7inh-32tb x1 x1e x2gd x2idn
    x2iedn x2iezn z1d
    d2 d3 d3en h1 i3 i3en i4g i4i i7i im4gn is4gen
    dl1 dl2q f2 g3 g4ad g4dn g5 g5g g6 g6e g6f gr6 gr6f inf1 inf2 p3 p3dn p4d p4de p5 p5e trn1 trn1n vt1
    hpc6a hpc6id hpc7a
    """.split()  # noqa: SIM905  (the tables of the guide, not one word a line)
)
"""Families whose virtualized sizes can be sources."""

METAL_SOURCE_FAMILIES: Final = frozenset(
    """
    m5 m5d m6g m6gd mac1 mac2 mac2-m1ultra mac2-m2 mac2-m2pro a1 c5 c5d c6g c6gd r5 r5b r5d r6g r6gd x2gd z1d i3
    g5g
    """.split()  # noqa: SIM905  (the tables of the guide, not one word a line)
)
"""Families whose size `metal` can be a source."""

LARGEST_TARGETS: Final = frozenset(
    """
    m5.24xlarge m5d.24xlarge m5dn.24xlarge m5n.24xlarge m5zn.12xlarge m6a.48xlarge m6g.16xlarge m6gd.16xlarge
    m6i.32xlarge m6id.32xlarge m6idn.32xlarge m6in.32xlarge m7a.48xlarge m7i.48xlarge m8a.48xlarge
    m8azn.24xlarge m8g.48xlarge m8gb.24xlarge m8gb.48xlarge m8gd.48xlarge m8gn.24xlarge m8gn.48xlarge
    m8i.96xlarge m8id.96xlarge c5.18xlarge c5.24xlarge c5d.18xlarge c5d.24xlarge c5n.18xlarge c6a.48xlarge
    c6g.16xlarge c6gd.16xlarge c6gn.16xlarge c6i.32xlarge c6id.32xlarge c6in.32xlarge c7a.48xlarge c7gn.16xlarge
    c7i.48xlarge c8a.48xlarge c8g.48xlarge c8gb.24xlarge c8gb.48xlarge c8gd.48xlarge c8gn.24xlarge c8gn.48xlarge
    c8i.96xlarge c8id.96xlarge r5.24xlarge r5b.24xlarge r5d.24xlarge r5dn.24xlarge r5n.24xlarge r6a.48xlarge
    r6g.16xlarge r6gd.16xlarge r6i.32xlarge r6id.32xlarge r6idn.32xlarge r6in.32xlarge r7a.48xlarge r7i.48xlarge
    r7iz.32xlarge r8a.48xlarge r8g.48xlarge r8gb.24xlarge r8gb.48xlarge r8gd.48xlarge r8gn.24xlarge
    r8gn.48xlarge r8i.96xlarge r8id.96xlarge u-6tb1.56xlarge u-6tb1.112xlarge u-9tb1.112xlarge u-12tb1.112xlarge
    u-18tb1.112xlarge u-24tb1.112xlarge u7i-6tb.112xlarge u7i-8tb.112xlarge u7i-12tb.224xlarge
    u7in-16tb.224xlarge u7in-24tb.224xlarge u7in-32tb.224xlarge u7inh-32tb.480xlarge x2gd.16xlarge
    x2idn.32xlarge x2iedn.32xlarge x2iezn.12xlarge x8g.48xlarge x8aedz.24xlarge x8i.96xlarge z1d.12xlarge
    i3en.24xlarge i4g.16xlarge i4i.32xlarge i7i.48xlarge i7ie.48xlarge i8g.48xlarge i8ge.48xlarge im4gn.16xlarge
    dl1.24xlarge dl2q.24xlarge f2.48xlarge g5.48xlarge g5g.16xlarge g6.48xlarge g6e.12xlarge g6e.24xlarge
    g6e.48xlarge g7e.12xlarge g7e.24xlarge g7e.48xlarge inf1.24xlarge inf2.48xlarge p3dn.24xlarge p4d.24xlarge
    p4de.24xlarge p5.4xlarge p5.48xlarge p5e.48xlarge p5en.48xlarge p6-b200.48xlarge p6-b300.48xlarge
    p6e-gb200.36xlarge trn1.32xlarge trn1n.32xlarge trn2.3xlarge trn2.48xlarge trn2u.48xlarge vt1.24xlarge
    hpc6a.48xlarge hpc6id.32xlarge hpc7a.12xlarge hpc7a.24xlarge hpc7a.48xlarge hpc7a.96xlarge hpc7g.4xlarge
    hpc7g.8xlarge hpc7g.16xlarge hpc8a.96xlarge
    """.split()  # noqa: SIM905  (the tables of the guide, not one word a line)
)
"""The types whose interfaces take 100 sources as targets, where others take 10."""

_BURSTABLE: Final = ("t3", "t3a", "t4g")
_SMALL_SIZES: Final = {
    **dict.fromkeys(("nano", "micro", "small"), _BURSTABLE),
    "medium": (
        *_BURSTABLE,
        *("a1", "c6g", "c6gd", "c6gn", "c7g", "c7gd", "is4gen", "m6g", "m6gd", "m7g", "m7gd"),
        *("r6g", "r6gd", "r7g", "r7gd", "x2gd"),
    ),
}
"""The sizes below `large`, and the families of the list that have them."""

_INSTANCE_TYPE: Final = re.compile(r"([a-z][a-z0-9-]*)\.([a-z0-9-]+)", re.ASCII)

_SIZES: Final = ("nano", "micro", "small", "medium", "large", "xlarge", "metal")
_SIZE: Final = re.compile(rf"{'|'.join(_SIZES)}|\d+xlarge|metal-\d+xl", re.ASCII)
"""Sizes as Amazon EC2 Instance Types, "Naming conventions", has them."""


def check_instance_type(value: str) -> str:
    """Return `value` when it has the form of an instance type, or is a token.

    Raises:
        RuleViolation: it has another form.
    """
    if is_token(value) or _INSTANCE_TYPE.fullmatch(value):
        return value
    hint = "; it must be lower case" if _INSTANCE_TYPE.fullmatch(value.lower()) else ""
    raise RuleViolation(f"{value!r} is not an instance type: expected the form m5.xlarge{hint}")


def check_size(instance_type: str) -> None:
    """Refuse an instance type, as a person wrote it, of a size that no type has; a token passes.

    Raises:
        RuleViolation: such as m5.lrge.
    """
    size = check_instance_type(instance_type).partition(".")[2]
    if not (is_token(instance_type) or _SIZE.fullmatch(size)):
        raise RuleViolation(
            f"instance type {instance_type} has the size {size}, which no type has: {did_you_mean(size, _SIZES)}accept "
            "it with accept_instance_type if it is newer than this version"
        )


def can_be_mirrored(instance_type: str) -> bool:
    """Return whether this instance type is on AWS's allow-list of mirror sources.

    Args:
        instance_type: for example m5.xlarge.

    Raises:
        RuleViolation: it does not look like an instance type.
    """
    family, _, size = check_instance_type(instance_type).partition(".")
    if size.startswith("metal"):
        return size == "metal" and family in METAL_SOURCE_FAMILIES
    return family in SOURCE_FAMILIES


def source_patterns() -> tuple[str, ...]:
    """Return the allow-list as values of the filter `instance-type`, which takes up to 200 of them.

    Size by size, because a wildcard for the whole family would find its bare metal, too.
    """
    patterns = [f"{family}.*large" for family in SOURCE_FAMILIES]
    patterns += [f"{family}.{size}" for size, families in _SMALL_SIZES.items() for family in families]
    return tuple(sorted([*patterns, *(f"{family}.metal" for family in METAL_SOURCE_FAMILIES)]))


def check_source_type(instance_type: str, *, accept: bool = False, override: str = "accept_instance_type") -> None:
    """Refuse a source that AWS will not mirror.

    Args:
        instance_type: for example m5.xlarge; a token passes.
        accept: the user knows better than the list of this version.
        override: the setting that overrules the list, as the reader of the message knows it.
    """
    if is_token(instance_type):
        return
    if not can_be_mirrored(instance_type) and not accept:
        raise RuleViolation(
            f"instance type {instance_type} cannot be a mirror source: it is not on AWS's allow-list as of {AS_OF}; "
            f"accept it with {override} if the list has changed"
        )


def sources_per_target(instance_type: str | None, *, accept: bool = False) -> int:
    """Return how many distinct sources an interface of this instance type takes as a target: 10 or 100.

    Args:
        instance_type: of the appliance; the smaller number where it is None or a token.
        accept: it takes the larger number, whatever the list of this version says.
    """
    if instance_type is None or is_token(instance_type):
        return limits.SOURCES_PER_INTERFACE_TARGET
    if check_instance_type(instance_type) in LARGEST_TARGETS or accept:
        return limits.SOURCES_PER_LARGEST_INTERFACE_TARGET
    return limits.SOURCES_PER_INTERFACE_TARGET

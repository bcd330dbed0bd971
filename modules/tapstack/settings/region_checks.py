"""Rules of Regions and accounts: those of a site, and what its ARNs and addresses name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

from tapstack.domain.identifiers import kind_of, noun_of
from tapstack.domain.regions import check_address, check_arn, check_region, partition_of
from tapstack.settings.appliance import ApplianceTemplate
from tapstack.settings.checking import Checker
from tapstack.settings.fields import Settings
from tapstack.settings.model import PACKET_BASICS, Backend, Deployment, Site
from tapstack.settings.problems import Path


def check_backend(checker: Checker, path: Path, backend: Backend) -> None:
    """Check the Region of the state."""
    s3 = backend.s3
    if s3 is None:
        return
    path = (*path, "s3")
    with checker.part():
        checker.ask((*path, "region"), partial(check_region, s3.region, accept_unknown=s3.accept_unknown_region))
    with checker.part():
        if s3.kms_key_id is not None:
            key = s3.kms_key_id
            checker.ask((*path, "kms_key_id"), partial(check_arn, key, s3.region, same_region=True), key)
    with checker.part():
        if s3.role_arn is not None:
            checker.ask((*path, "role_arn"), partial(check_arn, s3.role_arn, s3.region), s3.role_arn)


def check_region_of_site(checker: Checker, path: Path, site: Site, backend: Backend) -> None:
    """Check the Region of a site, and that what it names can be used from there."""
    region = site.region
    with checker.part():
        _warn_of_state_elsewhere(checker, path, region, backend)
    checker.ask((*path, "region"), partial(check_region, region, accept_unknown=site.accept_unknown_region))
    with checker.part():
        if site.assume_role is not None:
            arn = site.assume_role.role_arn
            asked = partial(check_arn, arn, region, accounts=site.allowed_account_ids)
            checker.ask((*path, "assume_role", "role_arn"), asked, arn)
    with checker.part():
        _check_targets(checker, path, site)
    with checker.part():
        if site.packet_basics is not None:
            here = (*path, PACKET_BASICS)
            _check_appliance(checker, here, site.packet_basics, site)
            _check_arns(checker, (*here, "notification_arns"), site.packet_basics.notification_arns, region)
    with checker.part():
        if site.response is not None and site.response.appliance.launch is not None:
            _check_appliance(checker, (*path, "response", "appliance", "launch"), site.response.appliance.launch, site)


def regions_of_ids(checker: Checker, deployment: Deployment) -> dict[str, tuple[str, str]]:
    """Return the site that names an id of one Region first, and its Region, by the id; nothing for a single Region."""
    regions: dict[str, str] = {}
    for name, site in deployment.sites.items():
        with checker.part():
            regions[name] = str(site.region)
    found: dict[str, tuple[str, str]] = {}
    if len(set(regions.values())) < 2:
        return found
    # That a site is in a VPC is more certain than what others say of it.
    for name, region in regions.items():
        with checker.part():
            found.setdefault(deployment.sites[name].vpc_id, (name, region))
    for name, region in regions.items():
        for _, value in _regional_ids((), deployment.sites[name]):
            found.setdefault(value, (name, region))
    return found


def check_regions_of_ids(checker: Checker, path: Path, site: Site, regions: dict[str, tuple[str, str]]) -> set[str]:
    """Refuse the ids that another site names in another Region, and return them; `regions` is of `regions_of_ids`."""
    elsewhere: set[str] = set()
    with checker.part():
        for here, value in _regional_ids(path, site) if regions else ():
            first, region = regions.get(value, (str(path[-1]), site.region))
            if region != str(site.region):
                elsewhere.add(value)
                checker.say(
                    here,
                    f"{noun_of(kind_of(value) or 'resource')} is in one Region, and site {first} has this one in "
                    f"{region}, not {site.region}",
                    value,
                )
    return elsewhere


_REGIONAL: Final[dict[str, str | tuple[str, ...]]] = {
    "exclude": "eni-",
    "filter": "tmf-",
    "filter_id": "tmf-",
    "gateway_load_balancer_endpoint_id": "vpce-",
    "instance_id": "i-",
    "instance_ids": "i-",
    "mirror_source": "eni-",
    "mirrored_from": ("pl-", "sg-", "vpc-"),
    "network_interface_id": "eni-",
    "subnet_id": "subnet-",
    "subnet_ids": "subnet-",
    "target": "tmt-",
    "target_id": "tmt-",
    "vpc_id": "vpc-",
    "vpc_ids": "vpc-",
}
"""The fields that hold ids of one Region, and how these begin: some hold names and CIDR blocks as well."""


def _regional_ids(path: Path, part: Any) -> Iterator[tuple[Path, str]]:
    """Yield the ids of one Region in a part of the file, with their places."""
    if isinstance(part, Settings):
        for name in type(part).model_fields:
            value = getattr(part, name) if name in part.model_fields_set else None
            begin = _REGIONAL.get(name)
            if begin is not None and isinstance(value, str) and value.startswith(begin):
                yield (*path, name), value
            elif begin is not None and isinstance(value, list):
                for position, item in enumerate(value):
                    if isinstance(item, str) and item.startswith(begin):
                        yield (*path, name, position), item
            elif isinstance(value, list | dict | Settings):
                yield from _regional_ids((*path, name), value)
    elif isinstance(part, dict | list):
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            yield from _regional_ids((*path, key), value)


def _warn_of_state_elsewhere(checker: Checker, path: Path, region: str, backend: Backend) -> None:
    here, there = partition_of(region), partition_of(backend.s3.region) if backend.s3 is not None else None
    if here is not None and there is not None and here is not there:
        checker.warn(
            (*path, "region"),
            f"{region} is of partition {here.name} and the state's bucket of {there.name}: one set of credentials "
            "does not reach both",
        )


def accounts_of(site: Site) -> list[str]:
    """Return the accounts that the site can be in, where the file says so: those allowed, or that of the role."""
    if site.allowed_account_ids:
        return site.allowed_account_ids
    return [site.assume_role.role_arn.split(":")[4]] if site.assume_role is not None else []


def _check_appliance(checker: Checker, path: Path, settings: ApplianceTemplate, site: Site) -> None:
    with checker.part():
        checker.ask((*path, "template_url"), partial(check_address, settings.template_url, site.region))
    with checker.part():
        if settings.permissions_boundary is not None:
            arn = settings.permissions_boundary
            # AWS's own policies belong to an account that is called so.
            accounts = [*found, "aws"] if (found := accounts_of(site)) else []
            checker.ask((*path, "permissions_boundary"), partial(check_arn, arn, site.region, accounts=accounts), arn)


def _check_targets(checker: Checker, path: Path, site: Site) -> None:
    for name, target in site.targets.items():
        here = (*path, "targets", name)
        with checker.part():
            if target.network_load_balancer_arn is not None:
                arn = target.network_load_balancer_arn
                asked = partial(check_arn, arn, site.region, same_region=True, accounts=accounts_of(site))
                checker.ask((*here, "network_load_balancer_arn"), asked, arn)
        with checker.part():
            for position, principal in enumerate(target.share_with):
                asked = partial(check_arn, principal, site.region)
                checker.ask((*here, "share_with", position), asked, principal)
                if accounts_of(site) == [principal]:
                    checker.say(
                        (*here, "share_with", position),
                        "expected other accounts: the site's own account has the target without sharing",
                        principal,
                    )


def _check_arns(checker: Checker, path: Path, arns: Iterable[str], region: str) -> None:
    """Check topics, which CloudFormation reaches in its own Region only."""
    for position, arn in enumerate(arns):
        checker.ask((*path, position), partial(check_arn, arn, region, same_region=True), arn)

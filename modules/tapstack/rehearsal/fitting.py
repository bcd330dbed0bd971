"""Make a deployment file fit the account: its ids become those of the company.

A deployment file names resources of its owner's accounts. In the rehearsal each VPC of the file gets a
company in its account and Region, and every id of the file one of that company's resources of
the same kind, the same id always the same resource. Everything else stays as written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from strictmoto.account import ACCOUNT_ID, Account
from strictmoto.company import Company, found_company
from strictmoto.identity.principals import found_role
from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment, Site


def fit(
    text: str,
    account: Account,
    *,
    file: str = "deployment.yaml",
    publish: Callable[[str], str] | None = None,
    deployment: Deployment | None = None,
) -> str:
    """Return a deployment file for the account, and found a company for every VPC of it.

    Args:
        text: of a deployment file that is right.
        account: where the companies are founded.
        file: what messages call the file.
        publish: returns the address of the appliance's template for a Region; the file's own address by default.
        deployment: what the text says, where it was read before.

    Raises:
        DeploymentError: the file is not right.
    """
    deployment = deployment or parse_deployment(text, file)
    names: dict[str, str] = {}
    founded: Counter[tuple[str, str]] = Counter()
    for (place, _), sites in _by_vpc(deployment).items():
        founded[place] += 1
        names |= _names_of(sites, account, founded[place])
    if publish is not None:
        # Nothing reaches from one partition into another: each site gets what its own Region can read.
        published = {region: publish(region) for region in {site.region for site in deployment.sites.values()}}
        names |= {url: published[site.region] for site in deployment.sites.values() for url in _template_urls(site)}
    pattern = re.compile("|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)")
    return pattern.sub(lambda match: names[match.group()], text)


def _template_urls(site: Site) -> Iterator[str]:
    if site.packet_basics is not None:
        yield site.packet_basics.template_url
    if site.response is not None and site.response.appliance.launch is not None:
        yield site.response.appliance.launch.template_url


def _by_vpc(deployment: Deployment) -> Mapping[tuple[tuple[str, str], str], list[Site]]:
    """Return the sites of each VPC, by the account and Region that it is in, and its id."""
    found: dict[tuple[tuple[str, str], str], list[Site]] = {}
    for site in deployment.sites.values():
        role = _role_of(site)
        place = (role.split(":")[4] if role else ACCOUNT_ID, site.region)
        found.setdefault((place, site.vpc_id), []).append(site)
    return found


def _role_of(site: Site) -> str | None:
    return site.assume_role.role_arn if site.assume_role else None


def _names_of(sites: list[Site], account: Account, number: int) -> dict[str, str]:
    """Return the account's name for every id of the sites of one VPC, which are numbered within their Region."""
    names: dict[str, str] = {}
    for site in sites:
        if (role := _role_of(site)) is None:
            # Without a role the caller's own account is deployed to.
            names |= dict.fromkeys(site.allowed_account_ids, ACCOUNT_ID)
        else:
            found_role(role)
    region, role = sites[0].region, _role_of(sites[0])
    company = found_company(account, region=region, role_arn=role, number=number)
    ec2 = account.client("ec2", region=region, role_arn=role)
    names[sites[0].vpc_id] = company.shop.id
    # Lookups first: instances stand in the private subnets, and a lookup shall find some.
    subnets = list(dict.fromkeys(_ids([site.sessions for site in sites], "subnet-") + _ids(sites, "subnet-")))
    names |= _matched(subnets, company.shop.private + company.shop.public, None)
    servers = ("web-1", "web-2", "database")
    names |= _matched(_ids(sites, "i-"), tuple(company.instances[name] for name in servers), None)
    interfaces = tuple(interface for name in servers for interface in company.interfaces[name])
    names |= _matched(_ids(sites, "eni-"), interfaces, lambda: _another_interface(ec2, company))
    names |= _matched(_ids(sites, "sg-"), tuple(company.security_groups.values()), None)
    for site in sites:
        names |= _of_telemetry(site, account, region, role)
    return names


def _of_telemetry(site: Site, account: Account, region: str, role: str | None) -> dict[str, str]:
    """Make what telemetry uses and does not make: buckets that exist, and the Region's detector; return its name."""
    if site.xdr is None:
        return {}
    s3 = account.client("s3", region=region, role_arn=role)
    for name in filter(None, (site.xdr.landing.bucket, site.xdr.landing.access_log_bucket)):
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        s3.create_bucket(Bucket=name, **place)
    if site.xdr.guardduty is None:
        return {}
    guardduty = account.client("guardduty", region=region, role_arn=role)
    there = guardduty.list_detectors()["DetectorIds"] or [guardduty.create_detector(Enable=True)["DetectorId"]]
    return {site.xdr.guardduty.detector_id: there[0]}


def _matched(wanted: list[str], there: tuple[str, ...], more: Callable[[], str] | None) -> dict[str, str]:
    """Give every id one that is there, in order; further ones are made, or shared where they cannot be."""
    matched = {}
    for position, name in enumerate(wanted):
        if position < len(there):
            matched[name] = there[position]
        else:
            matched[name] = more() if more else there[position % len(there)]
    return matched


def _another_interface(ec2: Any, company: Company) -> str:
    made = ec2.create_network_interface(SubnetId=company.shop.private[0], Groups=[company.security_groups["web"]])
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def _ids(part: Any, prefix: str) -> list[str]:
    """Return the ids of one kind in a part of the file, each once, in its order."""
    pattern = re.compile(rf"{re.escape(prefix)}[0-9a-f]+")
    return list(dict.fromkeys(text for text in _texts(part) if pattern.fullmatch(text)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts(value.model_dump())
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)

"""Rules of a site's telemetry about more than one field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.identifiers import example_of
from tapstack.domain.landing_policies import check_policy_size
from tapstack.domain.regions import check_arn
from tapstack.domain.telemetry import landing_bucket_name, producer_of
from tapstack.domain.xdr_settings import check_external_ids, check_readers
from tapstack.settings.checking import Checker
from tapstack.settings.model import Deployment, Site
from tapstack.settings.problems import Path
from tapstack.settings.region_checks import accounts_of
from tapstack.settings.xdr import Landing, Reader, Xdr

_ACCOUNT = example_of("account")[1:13]
Differ = Callable[[Site, Site], bool]


def check_xdr(checker: Checker, path: Path, project: str, site: Site) -> None:
    """Check a site's telemetry, where it has some.

    Args:
        checker: gathers what is wrong.
        path: where it stands in the file.
        project: of the deployment.
        site: that has it.
    """
    xdr = site.xdr
    if xdr is None:
        return
    with checker.part():
        _check_landing(checker, (*path, "landing"), project, xdr.landing, site)
    with checker.part():
        _check_existing(checker, path, xdr)
    with checker.part():
        if xdr.incidents.ocsf and site.response is None:
            checker.say(
                (*path, "incidents", "ocsf"), "has no effect: this site has no response, whose incidents these would be"
            )
    with checker.part():
        for name, feed in xdr.feeds.items():
            here = (*path, "feeds", name, "principals")
            _check_arns(checker, here, feed.principals, site)
            if site.assume_role is not None and (deploys := site.assume_role.role_arn) in feed.principals:
                checker.say(
                    (*here, feed.principals.index(deploys)),
                    "is the role that deploys this site (assume_role.role_arn), and the policy of the bucket denies "
                    "the principals of feeds listing, reading and deleting: expected a role of the producer's own",
                    deploys,
                )
    with checker.part():
        for name, reader in xdr.readers.items():
            with checker.part():
                _check_reader(checker, (*path, "readers", name), reader, site)
            with checker.part():
                known = [project, *map(str, path[1:2]), name]
                trust = "vendor" if reader.vendor is not None else "own"
                asked = partial(check_external_ids, reader.to_domain(), known, accounts_of(site))
                checker.ask((*path, "readers", name, trust, "external_id"), asked)
    with checker.part():
        readers = {name: reader.to_domain() for name, reader in xdr.readers.items()}
        for name, setting, message in check_readers(readers, existing=xdr.landing.bucket is not None):
            checker.say((*path, "readers", name, setting), message)


def check_shared(checker: Checker, deployment: Deployment, differ: Differ) -> None:
    """Refuse what an account has once, and two sites would have: an IAM provider of an issuer, a detector's export.

    Args:
        checker: gathers what is wrong.
        deployment: all sites.
        differ: whether two sites are known to be in different accounts.
    """
    issuers: dict[str, str] = {}
    detectors: dict[str, str] = {}
    for name, site in deployment.sites.items():
        with checker.part():
            if site.xdr is not None and site.xdr.guardduty is not None:
                detector = site.xdr.guardduty.detector_id
                if (first := detectors.setdefault(detector, name)) != name:
                    checker.say(
                        ("sites", name, "xdr", "guardduty", "detector_id"),
                        f"site {first} exports the findings of this detector, which can export to one bucket",
                        detector,
                    )
        with checker.part():
            for reader, issuer in _issuers(site).items():
                first = issuers.setdefault(issuer, name)
                if first != name and not differ(deployment.sites[first], site):
                    checker.say(
                        ("sites", name, "xdr", "readers", reader, "oidc"),
                        f"site {first} makes the IAM provider of {issuer}, and an account can have one: give its ARN "
                        "as provider_arn here",
                    )


def _issuers(site: Site) -> Mapping[str, str]:
    """Return the issuers whose IAM provider a site makes, by reader."""
    readers = site.xdr.readers.items() if site.xdr is not None else ()
    return {
        name: str(reader.to_domain().issuer)
        for name, reader in readers
        if reader.oidc is not None and reader.oidc.provider_arn is None
    }


def _check_landing(checker: Checker, path: Path, project: str, landing: Landing, site: Site) -> None:
    with checker.part():
        if landing.bucket is None:
            name = landing_bucket_name(project, str(path[1]), _ACCOUNT)
            checker.ask(path, partial(check_bucket_name, name))
    with checker.part():
        _check_policy_size(checker, path, project, site)
    with checker.part():
        if landing.bucket_key_arn is not None:
            # S3 takes no key of another Region.
            key = landing.bucket_key_arn
            checker.ask((*path, "bucket_key_arn"), partial(check_arn, key, site.region, same_region=True), key)
    with checker.part():
        for position, account in enumerate(landing.flow_log_accounts):
            if site.allowed_account_ids == [account]:
                checker.say(
                    (*path, "flow_log_accounts", position),
                    "is the site's own account, whose flow logs are delivered anyway: leave it out",
                    account,
                )


def _check_policy_size(checker: Checker, path: Path, project: str, site: Site) -> None:
    assert site.xdr is not None
    xdr, landing = site.xdr, site.xdr.landing
    if landing.bucket is not None:
        return
    checker.ask(
        (*path, "flow_log_accounts") if landing.flow_log_accounts else path,
        partial(
            check_policy_size,
            landing_bucket_name(project, str(path[1]), _ACCOUNT),
            [*landing.flow_log_accounts, *([_ACCOUNT] if xdr.flow_logs is not None else [])],
            {name: feed.principals for name, feed in xdr.feeds.items()},
            region=site.region,
            detector_id=xdr.guardduty.detector_id if xdr.guardduty is not None else None,
        ),
    )


def _check_existing(checker: Checker, path: Path, xdr: Xdr) -> None:
    """Refuse what would need the policy of an existing bucket, which stays with its owner."""
    if xdr.landing.bucket is None:
        return
    for name in xdr.feeds:
        checker.say(
            (*path, "feeds", name),
            f"has no effect: the policy of the existing bucket {xdr.landing.bucket} says who may put objects there",
        )
    if xdr.guardduty is not None and xdr.landing.bucket_key_arn is None:
        checker.say(
            (*path, "guardduty"), "GuardDuty exports with a KMS key: expected landing.bucket_key_arn beside bucket"
        )


def _check_reader(checker: Checker, path: Path, reader: Reader, site: Site) -> None:
    assert site.xdr is not None
    with checker.part():
        for position, prefix in enumerate(reader.prefixes):
            if why := _why_empty(prefix, site, site.xdr):
                checker.say((*path, "prefixes", position), why, prefix)
    with checker.part():
        _check_flow_format(checker, path, reader, site.xdr)
    with checker.part():
        if reader.vendor is not None:
            arn = reader.vendor.principal
            _check_arns(checker, (*path, "vendor", "principal"), [arn], site, listed=False)
            if accounts_of(site) == [arn.split(":")[4] if ":" in arn else arn]:
                here = (*path, "vendor", "principal")
                checker.say(here, "is the site's own account: expected own in place of vendor")
    with checker.part():
        if reader.own is not None:
            here = (*path, "own", "principals")
            _check_arns(checker, here, reader.own.principals, site)
            checker.warn(here, *reader.own.to_domain().warnings(), by_constructs=True)
    with checker.part():
        if reader.oidc is not None and reader.oidc.provider_arn is not None:
            arn = reader.oidc.provider_arn
            asked = partial(check_arn, arn, site.region, accounts=accounts_of(site))
            checker.ask((*path, "oidc", "provider_arn"), asked, arn)


def _why_empty(prefix: str, site: Site, xdr: Xdr) -> str:
    """Return why nothing would ever be read below a prefix; empty where something may be."""
    producer = producer_of(prefix)
    if xdr.landing.bucket is not None:
        # Others may put there as well.
        return ""
    if prefix == "flow" and xdr.flow_logs is None and not xdr.landing.flow_log_accounts:
        return "nothing lands there: expected flow_logs, or landing.flow_log_accounts, in xdr"
    if prefix == "guardduty" and xdr.guardduty is None:
        return "nothing lands there: expected guardduty in xdr"
    if prefix.startswith("incidents") and site.response is None:
        return "nothing lands there: expected a response in this site, whose incidents these are"
    if prefix == "incidents-ocsf" and not xdr.incidents.ocsf:
        return "nothing lands there: expected incidents: {ocsf: true} in xdr"
    if producer is not None and producer not in xdr.feeds:
        return f"nothing lands there: expected {producer} under feeds"
    return ""


def _check_flow_format(checker: Checker, path: Path, reader: Reader, xdr: Xdr) -> None:
    if xdr.flow_logs is None or "flow" not in reader.prefixes:
        return
    means, position = reader.to_domain().means, reader.prefixes.index("flow")
    if xdr.flow_logs.file_format == "parquet" and not means.parquet:
        checker.say(
            (*path, "prefixes", position), f"{means.called} reads no Parquet: set flow_logs.file_format: text", "flow"
        )
    if xdr.flow_logs.record_format != "default" and means.default_fields_only:
        checker.warn(
            (*path, "prefixes", position),
            f"{means.called} expects flow logs with the fields of version 2: flow_logs.record_format has more",
        )


def _check_arns(checker: Checker, path: Path, arns: list[str], site: Site, *, listed: bool = True) -> None:
    for position, arn in enumerate(arns):
        here = (*path, position) if listed else path
        checker.ask(here, partial(check_arn, arn, site.region), arn)

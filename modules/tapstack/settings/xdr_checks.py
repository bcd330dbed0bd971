"""Rules of a site's telemetry about more than one field."""

from __future__ import annotations

from functools import partial

from tapstack.domain.buckets import check_bucket_name
from tapstack.domain.identifiers import example_of
from tapstack.domain.regions import check_arn
from tapstack.domain.telemetry import landing_bucket_name
from tapstack.settings.checking import Checker
from tapstack.settings.model import Site
from tapstack.settings.problems import Path
from tapstack.settings.xdr import Landing


def check_xdr(checker: Checker, path: Path, project: str, site: Site) -> None:
    """Check a site's telemetry, where it has some.

    Args:
        checker: gathers what is wrong.
        path: where it stands in the file.
        project: of the deployment.
        site: that has it.
    """
    if site.xdr is None:
        return
    with checker.part():
        _check_landing(checker, (*path, "landing"), project, site.xdr.landing, site)


def _check_landing(checker: Checker, path: Path, project: str, landing: Landing, site: Site) -> None:
    with checker.part():
        if landing.bucket is None:
            name = landing_bucket_name(project, str(path[1]), example_of("account")[1:13])
            checker.ask(path, partial(check_bucket_name, name))
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

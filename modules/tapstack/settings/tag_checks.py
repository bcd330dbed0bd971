"""Rules of the tags of a site, which depend on the services that get them."""

from __future__ import annotations

from collections.abc import Mapping

from tapstack.domain import tags
from tapstack.domain.packet_basics import makes_iam
from tapstack.settings.checking import Checker
from tapstack.settings.model import Deployment
from tapstack.settings.problems import Path


def check_tags(checker: Checker, deployment: Deployment) -> None:
    """Check the tags of every site, those of the project included; what is wrong with the latter is said once."""
    said: set[tuple[Path, str]] = set()
    for name, site in deployment.sites.items():
        with checker.part():
            merged = {**deployment.tags, **site.tags}
            services = _services(deployment, name)
            for key, rule, message in tags.tag_problems(merged, services):
                of_site = key in site.tags or (key is None and bool(site.tags))
                path: Path = ("sites", name, "tags") if of_site else ("tags",)
                if key is not None:
                    path = (*path, key)
                if (path, rule) not in said:
                    said.add((path, rule))
                    checker.say(path, message)
            if not any(rules.any_case for rules in services):
                for key, first in tags.respelled_keys(merged):
                    path = (*(("sites", name) if key in site.tags else ()), "tags", key)
                    message = (
                        f"differs from {first} in case only: two tags here, but one key to IAM, which refuses them "
                        "where a site has a response"
                    )
                    if (path, message) not in said:
                        said.add((path, message))
                        checker.warn(path, message)


def check_sought_keys(checker: Checker, path: Path, sought: Mapping[str, str]) -> None:
    """Warn of keys of tags that are looked for, and that no tag is likely to have."""
    for key in sought:
        if signs := sorted({"*", "?"} & set(key)):
            checker.warn(
                (*path, key), f"{' and '.join(signs)} in a key is the sign itself: only values may be patterns"
            )


def _services(deployment: Deployment, name: str) -> list[tags.TagRules]:
    """Return the services that get the tags of a site, by its parts."""
    site = deployment.sites[name]
    services = [tags.EC2]
    if site.packet_basics is not None:
        services.append(tags.CLOUDFORMATION)
        # CloudFormation passes them on to what it makes.
        if makes_iam(site.packet_basics.capabilities):
            services.append(tags.IAM)
    for target in site.targets.values():
        if target.load_balancer is not None:
            services.append(tags.ELASTIC_LOAD_BALANCING)
        if target.share_with:
            services.append(tags.RAM)
    if site.response is not None:
        services += tags.RESPONSE
    if site.xdr is not None:
        services += tags.XDR
    return list(dict.fromkeys(services))

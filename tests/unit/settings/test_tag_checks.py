"""Tags of a file, held against the services that get them."""

import pytest
import yaml

from tapstack.settings.checking import Checker
from tapstack.settings.load import parse_deployment
from tapstack.settings.model import Deployment
from tapstack.settings.tag_checks import check_tags
from tests.unit.settings.reading import APPLIANCE, SITE, USABLE, report

TARGET = "    targets: {sensor: {network_interface_id: eni-0a0000000000000aa}}\n"
BALANCED = """\
    targets:
      lb:
        load_balancer: {subnet_ids: [subnet-0123abc1, subnet-0123abc2], instance_ids: [i-0123abcd]}
"""
ODD = 'tags: {Owner: "R&D (EU)", owner: soc, reviewed: ""}\n'
PLAIN = "expected letters, digits, spaces and _.:/=+-@"


def test_when_only_ec2_gets_the_tags_then_any_pass_and_keys_that_differ_in_case_only_are_warned_of() -> None:
    second = (SITE + TARGET).partition("\n")[2].replace("production", "second").replace("0a1b2c3d4e5f60718", "0123abcd")
    deployment = parse_deployment(ODD + SITE + TARGET + second.replace("eni-0a", "eni-0b") + "    tags: {OWNER: me}\n")

    assert deployment.tags["reviewed"] == ""
    why = "in case only: two tags here, but one key to IAM, which refuses them where a site has a response"
    assert deployment.warnings() == [
        f"deployment.yaml:1: tags.owner: differs from Owner {why}",
        f"deployment.yaml:11: sites.second.tags.OWNER: differs from Owner {why}",
    ]


def test_when_a_site_has_a_response_then_the_keys_are_refused_and_not_warned_of() -> None:
    checker = Checker()
    text = (
        "tags: {Owner: x, owner: y}\n"
        + SITE
        + "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}}\n"
    )

    check_tags(checker, Deployment.model_validate(yaml.safe_load(text)))

    assert (len(checker.problems), checker.warnings) == (1, [])


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            USABLE,
            ["tags.reviewed: the tag value is empty, and CloudFormation does not accept empty values"],
            id="CloudFormation",
        ),
        pytest.param(
            USABLE + "      capabilities: [CAPABILITY_IAM]\n",
            [
                f"tags.Owner: tag value 'R&D (EU)' holds '&', which IAM does not take: {PLAIN}",
                "tags.owner: differs from Owner in case only, and is the same key to IAM: keep one",
                "tags.reviewed: the tag value is empty, and CloudFormation does not accept empty values",
            ],
            id="a template that makes roles",
        ),
        pytest.param(
            SITE + BALANCED,
            [f"tags.Owner: tag value 'R&D (EU)' holds '&', which Elastic Load Balancing does not take: {PLAIN}"],
            id="a load balancer",
        ),
        pytest.param(
            SITE + TARGET.replace("}}", ", share_with: ['111122223333']}}"),
            [f"tags.Owner: tag value 'R&D (EU)' holds '&', which RAM does not take: {PLAIN}"],
            id="sharing",
        ),
        pytest.param(
            SITE + "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}}\n",
            [
                f"tags.Owner: tag value 'R&D (EU)' holds '&', which API Gateway does not take: {PLAIN}",
                "tags.owner: differs from Owner in case only, and is the same key to IAM: keep one",
            ],
            id="a response",
        ),
    ],
)
def test_fails_when_a_service_refuses_the_tags_that_reach_it(text: str, problems: list[str]) -> None:
    assert report(ODD + text) == [f"deployment.yaml:1: {problem}" for problem in problems]


def test_fails_when_the_tags_of_several_sites_are_wrong_and_names_those_of_the_project_once() -> None:
    second = SITE.partition("\n")[2].replace("production", "second").replace("vpc-0a1b2c3d4e5f60718", "vpc-0123abcd")
    text = "tags: {empty: ''}\n" + USABLE + second + APPLIANCE + "    tags: {mine: ''}\n"
    no_value = "the tag value is empty, and CloudFormation does not accept empty values"
    assert report(text) == [
        f"deployment.yaml:1: tags.empty: {no_value}",
        f"deployment.yaml:17: sites.second.tags.mine: {no_value}",
    ]


def test_fails_when_different_services_refuse_a_tag_of_the_project_and_names_it_once() -> None:
    second = (
        (SITE + BALANCED).partition("\n")[2].replace("production", "second").replace("0a1b2c3d4e5f60718", "0123abcd")
    )
    response = "    response: {appliance: {target: tmt-0123abcd, filter: tmf-0123abcd}}\n"
    [problem] = report("tags: {owner: \u201csoc\u201d}\n" + SITE + response + second)
    assert problem.startswith(
        "deployment.yaml:1: tags.owner: tag value '\u201csoc\u201d' holds '\u201c', which API Gateway"
    )


def test_fails_when_there_are_sixty_tags() -> None:
    tags = ", ".join(f"k{n}: v" for n in range(60))
    assert report(f"tags: {{{tags}}}\n" + SITE + TARGET) == [
        "deployment.yaml:1: tags: expected at most 40 tags: AWS allows 50 on a resource, of which 10 are kept for "
        "those that Tapstack and templates add; got 60"
    ]


@pytest.mark.parametrize("key", ["tapstack:site", "Tapstack:x", "aws:x", "AWS:x", "Name"])
def test_fails_when_a_key_is_reserved(key: str) -> None:
    [project, site] = report(f"tags: {{'{key}': a}}\n" + SITE + TARGET + f"    tags: {{'{key}': a}}\n")
    assert project.startswith(f"deployment.yaml:1: tags.{key}: tag key '{key}' is reserved: ")
    assert site.startswith(f"deployment.yaml:7: sites.production.tags.{key}: tag key '{key}' is reserved: ")


def test_when_tags_are_conditions_of_a_lookup_then_reserved_keys_pass() -> None:
    text = (
        USABLE
        + "    sessions: {s: {sources: [{tags: {'aws:autoscaling:groupName': web, "
        + "Name: 'a&b', 'tapstack:site': ''}}]}}\n"
        + "    response: {policy: [{name: p, action: capture, tags: {'aws:autoscaling:groupName': web}}], "
        "containment: {protect: {tags: {'aws:autoscaling:groupName': '*'}}}}\n"
    )
    site = parse_deployment(text).sites["production"]
    assert list(site.sessions["s"].sources[0].tags) == ["aws:autoscaling:groupName", "Name", "tapstack:site"]

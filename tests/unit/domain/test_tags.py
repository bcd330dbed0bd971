from collections.abc import Iterable

import botocore.session
import pytest

from tapstack.domain import tags
from tapstack.domain.tags import (
    check_construct_tags,
    check_own_tag_key,
    check_sought_tag_key,
    check_tag_value,
    tag_problems,
)
from tests.unit.refusals import refusal

# The operation that gives a resource its tags, as the SDK models it.
OPERATIONS = {
    tags.CLOUDFORMATION: ("cloudformation", "CreateStack", "Tags"),
    tags.CLOUDWATCH: ("cloudwatch", "TagResource", "Tags"),
    tags.DYNAMODB: ("dynamodb", "TagResource", "Tags"),
    tags.ELASTIC_LOAD_BALANCING: ("elbv2", "AddTags", "Tags"),
    tags.EVENTBRIDGE: ("events", "TagResource", "Tags"),
    tags.IAM: ("iam", "TagRole", "Tags"),
    tags.KMS: ("kms", "TagResource", "Tags"),
    tags.LAMBDA: ("lambda", "TagResource", "Tags"),
    tags.LOGS: ("logs", "TagResource", "tags"),
    tags.SNS: ("sns", "TagResource", "Tags"),
    tags.STEP_FUNCTIONS: ("stepfunctions", "TagResource", "tags"),
}


@pytest.mark.parametrize("rules", OPERATIONS, ids=lambda rules: rules.service)
def test_when_a_service_is_asked_by_its_model_then_it_takes_no_more_than_the_rules_say(rules: tags.TagRules) -> None:
    service, operation, member = OPERATIONS[rules]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    given = shape.members[member]
    if given.type_name == "map":
        key, value = given.key, given.value
    else:
        members = {name.lower().removeprefix("tag"): found for name, found in given.member.members.items()}
        key, value = members["key"], members["value"]
    assert (key.metadata["min"], key.metadata["max"]) == tags.KEY_LENGTH
    assert value.metadata["max"] == tags.VALUE_LENGTH
    assert (value.metadata.get("min", 0) > 0) is rules.with_value
    if "pattern" in value.metadata:
        assert r"[\p{L}\p{Z}\p{N}_.:/=+\-@]" in value.metadata["pattern"]
        assert rules.plain


@pytest.mark.parametrize("key", ["a", "k" * 128, "team", "aws:cloudformation:stack-name", "tapstack:site", "Name", "&"])
def test_when_a_tag_is_looked_for_then_any_key_of_the_right_length_passes(key: str) -> None:
    assert check_sought_tag_key(key) == key


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_fails_when_a_key_has_the_wrong_length(key: str) -> None:
    assert refusal(lambda: check_sought_tag_key(key)) == f"{key!r} is not a tag key: expected 1 to 128 characters"
    assert refusal(lambda: check_own_tag_key(key)) == f"{key!r} is not a tag key: expected 1 to 128 characters"


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("aws:x", "AWS sets those that begin with aws:"),
        ("AWS:x", "AWS sets those that begin with aws:"),
        ("tapstack:site", "Tapstack sets those that begin with tapstack:"),
        ("TapStack:x", "Tapstack sets those that begin with tapstack:"),
        ("Name", "Tapstack sets it"),
    ],
)
def test_fails_when_a_key_is_reserved(key: str, message: str) -> None:
    assert refusal(lambda: check_own_tag_key(key)) == f"tag key {key!r} is reserved: {message}"


def test_when_a_key_is_not_reserved_then_it_passes() -> None:
    for key in ("owner", "name", "awsome", "tapstack", "tapstack-protected", "k" * 128):
        assert check_own_tag_key(key) == key


def test_when_a_value_has_up_to_256_characters_then_it_passes() -> None:
    assert check_tag_value("") == ""
    assert check_tag_value("v" * 256) == "v" * 256


def test_fails_when_a_value_is_longer() -> None:
    assert refusal(lambda: check_tag_value("v" * 257)) == "a tag value holds at most 256 characters, got 257"


ODD = {"Owner": "R&D (EU)", "owner": "sécurité 🚨", "reviewed": "", "a&b": "c"}


def problems_of(given: dict[str, str], services: Iterable[tags.TagRules]) -> list[tuple[str | None, str]]:
    return [(problem.key, problem.message) for problem in tag_problems(given, services)]


def test_when_only_ec2_gets_the_tags_then_it_takes_all_of_them() -> None:
    assert problems_of(ODD, [tags.EC2]) == []


def test_fails_when_cloudformation_gets_an_empty_value() -> None:
    assert problems_of(ODD, [tags.EC2, tags.CLOUDFORMATION]) == [
        ("reviewed", "the tag value is empty, and CloudFormation does not accept empty values")
    ]


def test_fails_when_a_service_takes_plain_text_only() -> None:
    expected = "expected letters, digits, spaces and _.:/=+-@"
    assert problems_of(ODD, [tags.EC2, tags.ELASTIC_LOAD_BALANCING]) == [
        ("Owner", f"tag value 'R&D (EU)' holds '&', which Elastic Load Balancing does not take: {expected}"),
        ("owner", f"tag value 'sécurité 🚨' holds '🚨', which Elastic Load Balancing does not take: {expected}"),
        ("a&b", f"tag key 'a&b' holds '&', which Elastic Load Balancing does not take: {expected}"),
    ]


def test_fails_when_a_load_balancer_gets_spaces_at_an_end() -> None:
    given = {" a": "b", "a ": "b", "c": "b ", "d e": "f g"}
    said = "begins or ends with a space, which Elastic Load Balancing does not take"
    assert problems_of(given, [tags.EC2, tags.IAM]) == []
    assert problems_of(given, [tags.EC2, tags.ELASTIC_LOAD_BALANCING]) == [
        (" a", f"tag key ' a' {said}"),
        ("a ", f"tag key 'a ' {said}"),
        ("c", f"tag value 'b ' {said}"),
    ]


def test_fails_when_keys_are_the_same_to_iam() -> None:
    assert problems_of({"Owner": "a", "owner": "b"}, [tags.EC2, tags.IAM]) == [
        ("owner", "differs from Owner in case only, and is the same key to IAM: keep one")
    ]


def test_when_letters_are_of_any_language_then_they_are_plain() -> None:
    assert problems_of({"équipe": "安全 1_.:/=+-@"}, tags.RESPONSE) == []


@pytest.mark.parametrize(("count", "problems"), [(40, 0), (41, 1)])
def test_fails_when_there_are_more_tags_than_a_resource_holds(count: int, problems: int) -> None:
    found = problems_of({f"k{n}": "v" for n in range(count)}, [tags.EC2])
    assert (
        found
        == [
            (
                None,
                "expected at most 40 tags: AWS allows 50 on a resource, of which 10 are kept for those that Tapstack "
                "and templates add; got 41",
            )
        ][:problems]
    )


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"Name": "web", "team": "R&D"},
        {"Name": "web ${each.key}"},
        {"${TfToken[TOKEN.0]}": "a", "owner": "${TfToken[TOKEN.1]}"},
        {"TfToken[TOKEN.2]": "String Map"},
    ],
)
def test_when_a_construct_can_have_its_tags_then_they_pass(given: dict[str, str] | None) -> None:
    check_construct_tags(given, tags.EC2)


def test_when_values_are_tokens_then_no_service_refuses_them() -> None:
    check_construct_tags({"Name": "${each.key}", "team": "${TfToken[TOKEN.0]}"}, tags.CLOUDFORMATION, *tags.RESPONSE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"aws:x": "y"}, "tag key 'aws:x' is reserved: AWS sets those that begin with aws:"),
        ({"tapstack:site": "z"}, "tag key 'tapstack:site' is reserved: Tapstack sets those that begin with tapstack:"),
        ({"": "z"}, "'' is not a tag key: expected 1 to 128 characters"),
        ({"team": "v" * 257}, "a tag value holds at most 256 characters, got 257"),
        ({"Owner": "a", "owner": "b"}, "tags['owner']: differs from Owner in case only, and is the same key to IAM"),
        ({"team": ""}, "tags['team']: the tag value is empty, and CloudFormation does not accept empty values"),
        ({f"k{n}": "v" for n in range(60)}, "tags: expected at most 40 tags"),
    ],
)
def test_fails_when_a_construct_cannot_have_its_tags(given: dict[str, str], message: str) -> None:
    found = refusal(lambda: check_construct_tags(given, tags.EC2, tags.CLOUDFORMATION, tags.IAM))
    assert found.startswith(message)

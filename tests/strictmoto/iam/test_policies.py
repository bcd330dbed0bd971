"""The evaluation of IAM policies, as the IAM User Guide describes it."""

from __future__ import annotations

from typing import Any

import pytest

from strictmoto.iam.policies import Request, Resource, judge, read_policy

SESSION = "arn:aws:ec2:eu-central-1:123456789012:traffic-mirror-session/tms-01"
INTERFACE = "arn:aws:ec2:eu-central-1:123456789012:network-interface/eni-01"


def policy(**statement: Any) -> Any:
    return read_policy({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", **statement}]})


def allowed(statements: Any, action: str, *resources: Resource, **context: tuple[str, ...]) -> bool:
    return judge(statements, Request(action, resources or (Resource("*"),), context)).allowed


def test_fails_when_no_statement_covers_the_action() -> None:
    assert not allowed(policy(Action="ec2:DescribeVpcs"), "ec2:DescribeSubnets")


@pytest.mark.parametrize(
    "pattern", ["ec2:DescribeVpcs", "ec2:describevpcs", "ec2:Describe*", "*", ["s3:*", "ec2:?escribeVpcs"]]
)
def test_when_a_pattern_covers_the_action_then_it_is_allowed(pattern: Any) -> None:
    assert allowed(policy(Action=pattern), "ec2:DescribeVpcs")


def test_when_an_action_is_excepted_then_all_others_are_allowed() -> None:
    statements = policy(NotAction="iam:*")
    assert allowed(statements, "ec2:DescribeVpcs")
    assert not allowed(statements, "iam:CreateUser")


def test_fails_when_one_of_the_resources_is_not_allowed() -> None:
    statements = policy(Action="ec2:CreateTrafficMirrorSession", Resource=SESSION)
    verdict = judge(statements, Request("ec2:CreateTrafficMirrorSession", (Resource(SESSION), Resource(INTERFACE))))
    assert not verdict.allowed
    assert verdict.refused == (INTERFACE,)


def test_when_each_resource_is_allowed_by_another_statement_then_all_are_named() -> None:
    statements = read_policy(
        {
            "Statement": [
                {"Sid": "New", "Effect": "Allow", "Action": "ec2:CreateTrafficMirrorSession", "Resource": SESSION},
                {"Sid": "Of", "Effect": "Allow", "Action": "ec2:*", "Resource": "*:network-interface/*"},
            ]
        },
        "capture",
    )
    verdict = judge(statements, Request("ec2:CreateTrafficMirrorSession", (Resource(SESSION), Resource(INTERFACE))))
    assert verdict.allowed
    assert [statement.name for statement in verdict.by] == ["capture/New", "capture/Of"]


def test_fails_when_another_statement_denies() -> None:
    statements = read_policy(
        {
            "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "ec2:Delete*", "NotResource": SESSION},
            ]
        }
    )
    assert allowed(statements, "ec2:DeleteTrafficMirrorSession", Resource(SESSION))
    assert not allowed(statements, "ec2:DeleteTrafficMirrorSession", Resource(INTERFACE))


class TestConditions:
    def holds(self, operator: str, expected: Any, **context: tuple[str, ...]) -> bool:
        return allowed(policy(Action="a:B", Condition={operator: {"key": expected}}), "a:B", **context)

    @pytest.mark.parametrize(
        ("operator", "expected", "actual", "result"),
        [
            ("StringEquals", "x", "x", True),
            ("StringEquals", ["w", "x"], "x", True),
            ("StringEquals", "x", "X", False),
            ("StringEquals", "x*", "xy", False),
            ("StringNotEquals", ["w", "x"], "x", False),
            ("StringNotEquals", ["w", "x"], "y", True),
            ("StringEqualsIgnoreCase", "x", "X", True),
            ("StringLike", "x*", "xy", True),
            ("StringNotLike", "x*", "xy", False),
            ("ArnLike", "arn:aws:s3:::*", "arn:aws:s3:::one", True),
            ("StringNotEqualsIgnoreCase", "x", "X", False),
            ("ArnEquals", "arn:aws:s3:::o?e", "arn:aws:s3:::one", True),
            ("ArnNotEquals", "arn:aws:s3:::one", "arn:aws:s3:::two", True),
            ("ArnNotLike", "arn:aws:s3:::*", "arn:aws:s3:::one", False),
            ("ArnLike", "arn:aws:s3:::*", "no ARN", False),
            ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", True),
            ("Bool", True, "true", True),
            ("Bool", "false", "true", False),
            ("NumericEquals", "5", "5.0", True),
            ("NumericNotEquals", "5", "4", True),
            ("NumericLessThan", "5", "5", False),
            ("NumericLessThanEquals", "5", "4", True),
            ("NumericGreaterThan", "5", "6", True),
            ("NumericGreaterThanEquals", "5", "4", False),
            ("NumericLessThan", "5", "none", False),
            ("DateEquals", "2026-01-01T00:00:00Z", "1767225600", True),
            ("DateNotEquals", "2026-01-01T00:00:00Z", "1767225601", True),
            ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
            ("DateLessThanEquals", "2026-01-01", "2026-01-01T00:00:00Z", True),
            ("DateGreaterThan", "2026-01-01T00:00:00+01:00", "2025-12-31T23:30:00Z", True),
            ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", False),
            ("DateLessThan", "2026-01-01T00:00:00Z", "soon", False),
            ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
            ("IpAddress", "2001:db8::/32", "10.1.2.3", False),
            ("IpAddress", "10.1.2.3", "10.1.2.3", True),
            ("NotIpAddress", "10.0.0.0/8", "10.1.2.3", False),
        ],
    )
    def test_when_a_value_is_compared_then_the_operator_decides(
        self, operator: str, expected: Any, actual: str, result: bool
    ) -> None:
        assert self.holds(operator, expected, key=(actual,)) is result

    def test_when_the_key_is_spelled_otherwise_then_it_is_the_same_key(self) -> None:
        assert self.holds("StringEquals", "x", KEY=("x",))

    @pytest.mark.parametrize(
        ("operator", "result"),
        [
            ("StringEquals", False),
            ("StringLike", False),
            ("StringNotEquals", True),
            ("StringEqualsIfExists", True),
            ("ForAllValues:StringEquals", True),
            ("ForAnyValue:StringEquals", False),
            ("ForAnyValue:StringNotEquals", False),
            ("ForAnyValue:StringEqualsIfExists", True),
            ("BoolIfExists", True),
            ("DateGreaterThan", False),
            ("NotIpAddress", True),
            ("ArnNotEquals", True),
        ],
    )
    def test_when_the_key_is_absent_then_the_operator_decides(self, operator: str, result: bool) -> None:
        assert self.holds(operator, "x") is result

    def test_when_the_key_must_be_there_then_null_says_so(self) -> None:
        assert self.holds("Null", "false", key=("x",))
        assert not self.holds("Null", "false")
        assert self.holds("Null", "true")

    def test_when_a_key_has_several_values_then_the_quantifier_decides(self) -> None:
        assert not self.holds("ForAllValues:StringEquals", ["a", "b"], key=("a", "c"))
        assert self.holds("ForAllValues:StringEquals", ["a", "b"], key=("a", "b"))
        assert self.holds("ForAnyValue:StringEquals", ["a", "b"], key=("a", "c"))
        assert self.holds("ForAnyValue:StringNotEquals", ["a", "b"], key=("a", "c"))
        assert not self.holds("ForAllValues:StringNotEquals", ["a", "b"], key=("a", "c"))

    def test_when_only_one_resource_has_the_tag_then_only_that_is_allowed(self) -> None:
        statements = policy(
            Action="ec2:Delete*", Condition={"StringEquals": {"aws:ResourceTag/northwind:deployment": "shop"}}
        )
        tagged = Resource(SESSION, {"aws:ResourceTag/northwind:deployment": ("shop",)})
        assert allowed(statements, "ec2:DeleteTrafficMirrorSession", tagged)
        assert not allowed(statements, "ec2:DeleteTrafficMirrorSession", Resource(SESSION))

    def test_fails_when_the_operator_is_not_known(self) -> None:
        assert not self.holds("StringResembles", "x", key=("x",))

    def test_when_an_arn_is_compared_then_each_part_by_itself(self) -> None:
        rule = "arn:aws:events:eu-central-1:123456789012:rule/findings"
        assert self.holds("ArnLike", "arn:aws:events:*:123456789012:rule/*", key=(rule,))
        assert not self.holds("ArnLike", "arn:aws:*:rule/findings", key=(rule,))


class TestVariables:
    HOME = "arn:aws:s3:::home/${aws:username}/*"

    def allows(self, key: str, resource: str = HOME, version: str = "2012-10-17", user: str = "") -> bool:
        context = {"aws:username": (user,)} if user else {}
        document = {
            "Version": version,
            "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource},
        }
        return allowed(read_policy(document), "s3:GetObject", Resource(f"arn:aws:s3:::{key}"), **context)

    def test_when_a_resource_holds_a_variable_then_its_value_counts(self) -> None:
        assert self.allows("home/ann/notes", user="ann")
        assert not self.allows("home/bob/notes", user="ann")

    def test_fails_when_the_key_is_absent_and_there_is_no_default(self) -> None:
        assert not self.allows("home/ann/notes")
        assert self.allows("home/guest/notes", "arn:aws:s3:::home/${aws:username, 'guest'}/*")

    def test_when_a_value_holds_a_wildcard_then_it_is_plain_text(self) -> None:
        assert not self.allows("home/ann/notes", user="*")

    def test_when_a_special_character_is_meant_itself_then_it_is_written_as_a_variable(self) -> None:
        assert self.allows("a*b", "arn:aws:s3:::a${*}b")
        assert not self.allows("axb", "arn:aws:s3:::a${*}b")
        assert self.allows("a$b", "arn:aws:s3:::a${$}b")

    def test_when_the_policy_is_of_the_old_version_then_there_are_no_variables(self) -> None:
        assert not self.allows("home/ann/notes", version="2008-10-17", user="ann")

    @pytest.mark.parametrize(
        ("operator", "expected"),
        [
            ("StringEquals", "${aws:PrincipalTag/team}"),
            ("StringLike", "${aws:PrincipalTag/team}*"),
            ("ArnLike", "arn:aws:iam::*:role/${aws:PrincipalTag/team}"),
        ],
    )
    def test_when_a_condition_holds_a_variable_then_its_value_counts(self, operator: str, expected: str) -> None:
        statements = policy(Action="a:B", Condition={operator: {"aws:ResourceTag/team": expected}})
        value = "arn:aws:iam::123456789012:role/blue" if operator == "ArnLike" else "blue"
        tagged = Resource("*", {"aws:ResourceTag/team": (value,)})
        assert allowed(statements, "a:B", tagged, **{"aws:PrincipalTag/team": ("blue",)})
        assert not allowed(statements, "a:B", tagged, **{"aws:PrincipalTag/team": ("red",)})
        assert not allowed(statements, "a:B", tagged)


def test_when_a_pattern_has_many_stars_then_it_is_matched_in_time_that_grows_with_the_lengths() -> None:
    statements = policy(Action="a:B", Resource="*a" * 40 + "*b")
    assert not allowed(statements, "a:B", Resource("a" * 5000))

"""Who reads what landed: an XDR, with a role of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapstack.bindings import AwsConstruct, Construct, aws, cdk, json_text
from tapstack.capture.scaffold import checks_arguments, located, warn
from tapstack.domain.iam_documents import Statement, document
from tapstack.domain.identifiers import check_identifier, check_name
from tapstack.domain.names import LIMIT, name_within
from tapstack.domain.tags import CLOUDWATCH, IAM, SQS, check_construct_tags
from tapstack.domain.telemetry import landing_name, prefix_of, reader_dead_letters_name, reader_queue_name
from tapstack.domain.xdr_settings import OidcTrust, ReaderSettings, check_external_ids, reader_trust
from tapstack.xdr.landing import TelemetryLanding
from tapstack.xdr.notifications import ReaderQueue
from tapstack.xdr.queue_alarms import watch_age, watch_dead_letters

_OLDEST_SECONDS: Final = 60 * 60
"""Age of a message in a reader's queue from which an alarm lasts: readers ask for new ones every few minutes."""


class XdrReader(AwsConstruct):
    """A role with which an XDR reads some prefixes of a landing, and a queue where it needs one.

    Three shapes of trust: a vendor with an external id, a token of an OpenID Connect provider, or roles and users of
    one's own. The role gets and lists objects below its prefixes only, decrypts by way of S3 only, and gets and lists
    none below `unmatched/`. A preset adds what the vendor's product needs besides: `hunters`, unless `notifications` is
    none, sets the notifications of the whole bucket, makes topics, and lists the names of all. Alarms watch how long
    messages wait in its queue, and its dead letters: messages that the reader received five times and did not delete.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        landing: what is read.
        name: of the reader, which no other one of the landing has. 1 to 40 lower-case letters, digits or hyphens.
        settings: who reads, what and how.
        topic_arns: SNS topics that are notified when an alarm begins and ends; by default they are only shown.
        tags: on all resources, besides those of the landing.
        provider: the AWS provider of its resources, of the landing's account and Region; by default the one of `scope`.

    Raises:
        RuleViolation: an argument is invalid, not the ARN of a topic, an external id that its names explain, or a
            second reader whose notifications would replace those of the first one.

    See "Access to AWS accounts owned by third parties" and "Create an OpenID Connect (OIDC) identity provider in IAM"
    in the IAM User Guide.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        landing: TelemetryLanding,
        name: str,
        settings: ReaderSettings,
        topic_arns: Sequence[str] = (),
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create the role, its policy, and the queue with its alarms."""
        with located(scope, id_):
            check_name(name)
            for arn in topic_arns:
                check_identifier("sns topic", arn)
            check_external_ids(settings, [landing.deployment, landing.site, name])
            landing.add_reader(name, settings)
            check_construct_tags(tags, CLOUDWATCH, IAM, SQS)
        super().__init__(scope, id_, provider=provider)
        for message in settings.own.warnings() if settings.own is not None else ():
            warn(self, message)
        self._landing, self._settings = landing, settings
        tags = {**(tags or {}), **landing.tags}
        site = landing.deployment, landing.site
        self.prefixes = tuple(prefix_of(each) for each in settings.prefixes)
        """The prefixes of the objects that it reads."""
        self.queue: ReaderQueue | None = None
        """The queue that it reads from; None where it has none."""
        if settings.has_queue:
            self.queue = ReaderQueue(
                self,
                "Queue",
                name=reader_queue_name(*site, name),
                dead_letters=reader_dead_letters_name(*site, name),
                place=landing.place,
                tags=tags,
            )
            landing.notify(name, self.queue, self.prefixes)
            watch_dead_letters(
                self,
                name=f"{landing_name(*site)}-reader-{name}-dead-letters",
                queue=str(self.queue.dead_letters.name),
                description=(
                    f"{settings.means.called} received messages about new objects five times and did not delete them: "
                    "inspect the reader, then have SQS move them back (aws sqs start-message-move-task)."
                ),
                topic_arns=topic_arns,
                tags=tags,
            )
            watch_age(
                self,
                name=f"{landing_name(*site)}-reader-{name}-age",
                queue=str(self.queue.resource.name),
                seconds=_OLDEST_SECONDS,
                description=(
                    f"{settings.means.called} has left messages about new objects in its queue for more than an hour: "
                    "it does not read, or not fast enough: inspect the reader."
                ),
                topic_arns=topic_arns,
                tags=tags,
            )
        begin = settings.means.role_prefix
        self.role: Any = aws.IamRole(
            self,
            "Role",
            name=begin + name_within(landing_name(*site), f"reader-{name}", LIMIT - len(begin)),
            description=f"Tapstack: {settings.means.called} reads the telemetry of {landing.deployment} {landing.site}",
            assume_role_policy=json_text(document([self._trust()])),
            tags=tags,
        )
        aws.IamRolePolicy(
            self, "Policy", name="read", role=self.role.name, policy=json_text(document(self._statements()))
        )

    @property
    def role_arn(self) -> str:
        """The ARN of the role, as a token."""
        return str(self.role.arn)

    @property
    def queue_url(self) -> str | None:
        """The URL of the queue, as a token; None where it has none."""
        return self.queue.url if self.queue is not None else None

    def _trust(self) -> Statement:
        settings, place = self._settings, self._landing.place
        if settings.oidc is not None:
            return self._token_trust(settings.oidc)
        principals: str | list[str]
        if settings.vendor is not None:
            account = settings.vendor.principal
            principals = account if account.startswith("arn:") else f"arn:{place.partition}:iam::{account}:root"
        else:
            assert settings.own is not None
            principals = list(settings.own.principals)
        return reader_trust(principals, settings.external_id)

    def _token_trust(self, trust: OidcTrust) -> Statement:
        means = self._settings.means
        issuer, audience = str(self._settings.issuer), trust.audience or str(means.audience)
        provider = trust.provider_arn or self._landing.oidc_provider(issuer, audience, trust.thumbprints)
        host = issuer.removeprefix("https://")
        equal = {f"{host}:aud": audience}
        if trust.subject is not None:
            equal[f"{host}:sub"] = trust.subject
        if trust.session_name is not None:
            equal["sts:RoleSessionName"] = trust.session_name
        return {
            "Sid": "AllowReader",
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": {"StringEquals": equal},
        }

    def _statements(self) -> list[Statement]:
        landing, means = self._landing, self._settings.means
        polls = self.queue is None
        bucket = dict.fromkeys([*means.bucket, *(("s3:GetBucketLocation",) if polls else ())])
        statements: list[Statement] = [
            _allow("GetObjects", means.objects, [f"{landing.bucket_arn}/{prefix}*" for prefix in self.prefixes])
        ]
        if means.lists or polls:
            listed = _allow("ListObjects", ["s3:ListBucket"], landing.bucket_arn)
            listed["Condition"] = {"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in self.prefixes]}}
            statements.append(listed)
        if bucket:
            statements.append(_allow("DescribeBucket", list(bucket), landing.bucket_arn))
        if landing.key_arn is not None:
            decrypt = _allow("DecryptObjects", ["kms:Decrypt"], landing.key_arn)
            decrypt["Condition"] = landing.place.via_s3
            statements.append(decrypt)
        if self.queue is not None:
            statements.append(_allow("ReadQueue", means.consumes, self.queue.arn))
        manages = self._settings.manages_notifications
        # These actions know no resource.
        everywhere = [*means.everywhere, *(("sns:ListTopics",) if manages else ())]
        if everywhere:
            statements.append(_allow("ListNames", everywhere, "*"))
        if manages:
            statements += self._own_notifications()
        return statements

    def _own_notifications(self) -> list[Statement]:
        """Return what a reader may that makes its topics and the notifications of the bucket itself."""
        topics = self._landing.place.arn("sns", self._settings.means.own_topics)
        return [
            _allow("PutNotifications", ["s3:PutBucketNotification"], self._landing.bucket_arn),
            _allow(
                "SetUpTopics",
                [
                    "sns:CreateTopic",
                    "sns:GetTopicAttributes",
                    "sns:ListSubscriptionsByTopic",
                    "sns:Publish",
                    "sns:SetTopicAttributes",
                    "sns:Subscribe",
                    "sns:TagResource",
                ],
                topics,
            ),
            _allow("TearDownTopics", ["sns:DeleteTopic", "sns:Unsubscribe"], topics),
        ]


def _allow(sid: str, actions: Any, resource: str | list[str]) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}

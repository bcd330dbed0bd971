"""The incident response of a site: from an alert to packets and clean-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from tapstack.bindings import AwsConstruct, Construct, cdk
from tapstack.capture.appliance_role import ApplianceRole
from tapstack.capture.expressions import Expressions
from tapstack.capture.place import Place
from tapstack.capture.scaffold import checks_arguments, located, warn
from tapstack.domain import cidrs, limits, template_urls
from tapstack.domain import policy as policy_rules
from tapstack.domain.alert_mappings import dump_sources
from tapstack.domain.alert_settings import AlertSettings, check_rule_source
from tapstack.domain.appliance_settings import DeployedLaunch, ExistingAppliance, LaunchedAppliance
from tapstack.domain.arguments import check_range
from tapstack.domain.capture_settings import CaptureSettings
from tapstack.domain.containment_settings import (
    ContainmentSettings,
    DeployedContainment,
    QuarantineGroups,
    check_action,
    why_no_source_identities,
)
from tapstack.domain.errors import RuleViolation
from tapstack.domain.evidence_settings import EvidenceSettings
from tapstack.domain.function_environment import FunctionEnvironment, example_of_api_url
from tapstack.domain.identifiers import check_identifier, check_name, example_of
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_SITE
from tapstack.domain.names import (
    dead_letters_name,
    incidents_table_name,
    launched_boundary_name,
    launched_role_name,
    launched_stack_name,
    name_within,
    notices_topic_name,
    pattern_within,
    response_name,
    workflow_name,
)
from tapstack.domain.own_names import EVENT_BUS, metric_dimensions
from tapstack.domain.policy_rules import Rule
from tapstack.domain.regions import PARTITIONS, AccountRegion
from tapstack.domain.retention import (
    DELETION_PROTECTION,
    INCIDENTS_KEPT_DAYS,
    LOGS_KEPT_DAYS,
    RETENTION_DAYS,
    LogRetentionDays,
)
from tapstack.domain.tags import RESPONSE, check_construct_tags
from tapstack.domain.telemetry import BUCKET_LENGTH, LandingBucket
from tapstack.domain.tokens import is_token
from tapstack.domain.webhook_secrets import example_of_queue_url
from tapstack.response import policies
from tapstack.response.alarms import ResponseAlarms, Watched
from tapstack.response.alert_intake import AlertIntake
from tapstack.response.api import IncidentApi
from tapstack.response.authorization import Authorization
from tapstack.response.containment_groups import ContainmentGroups
from tapstack.response.containment_policies import Containable
from tapstack.response.dashboard import ResponseDashboard
from tapstack.response.dead_letters import DeadLetters
from tapstack.response.findings import GuardDutyFindings, SecurityHubFindings, SweeperSchedule
from tapstack.response.function_table import FUNCTIONS, STEP_SECONDS
from tapstack.response.functions import FunctionDefaults, ResponderFunction
from tapstack.response.key import ResponseKey
from tapstack.response.notifications import Notifications
from tapstack.response.package import build_package
from tapstack.response.state_machine import IncidentWorkflow
from tapstack.response.table import IncidentTable

PolicyRule: TypeAlias = Rule
"""A rule of the policy: its conditions on a finding, and its action."""

_LONGEST_ROLE: Final = "incidents-workflow"
"""The end of the longest name of a role."""
_TEMPLATE_URL_BYTES: Final = 256
"""Reserved bytes for the URL of a template that is a token."""
_PARTITION: Final = max((partition.name for partition in PARTITIONS), key=len)
_REGION: Final = max((region for partition in PARTITIONS for region in partition.regions), key=len)


class IncidentResponse(AwsConstruct):
    """Captures the packets of an EC2 instance after an alert or a finding, and deletes what it created.

    An HTTP API, GuardDuty findings, and alerts of Security Hub and of other tools open incidents. A Step
    Functions workflow finds the interfaces of the instance, launches an appliance where none exists,
    mirrors every interface, notifies operators, waits until the incident is closed or expires, and deletes
    what it created. A DynamoDB table holds the incidents; a sweeper corrects what was missed. Alarms and a
    dashboard show its state.

    There is one for each site: a second one of the same deployment and site would have the same names.

    Args:
        scope: the construct it belongs to.
        id_: its id within `scope`.
        deployment: name of the deployment; with `site`, a tag of all resources created at run time, and
            the beginning of all names. 1 to 40 lower-case letters, digits or hyphens.
        site: name of the site, likewise.
        vpc_id: the VPC of the site; sources elsewhere are captured with a warning.
        appliance: where incidents mirror to: an `ExistingAppliance` or a `LaunchedAppliance`.
        authorization: who may call the API; AWS credentials by default.
        capture: how incidents capture; 60 minutes, at most a day, whole packets by default.
        policy: what is done about findings and alerts: the first rule that matches applies. By default
            operators are only notified.
        emails: notified; AWS asks each address to confirm.
        topic_arns: existing SNS topics that are notified as well.
        containment: how instances are contained. By default they cannot be contained, and nothing of
            containment is deployed.
        alerts: alerts that the policy decides about besides GuardDuty's findings; none by default.
        landing: the bucket that alerts are kept in which lead to no instance; without it they are only notified of.
        evidence: what is kept of what a launched appliance captured; snapshots of its volumes for 90 days by default.
            An existing appliance is never deleted, and has no snapshots.
        retention_days: how long closed incidents are kept, 1 to 3653.
        log_retention_days: how long logs are kept; a number of days that CloudWatch Logs accepts.
        deletion_protection: refuse to delete the table. On by default.
        tags: on all resources, besides those of deployment and site.
        provider: the AWS provider of its resources and lookups, for a stack that has several; by default the one of
            `scope`, or the stack's provider without an alias.

    Raises:
        RuleViolation: an argument is invalid.
        MissingPackageError: a dependency of the functions' package is not installed.
    """

    @checks_arguments()
    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        deployment: str,
        site: str,
        vpc_id: str,
        appliance: ExistingAppliance | LaunchedAppliance,
        authorization: Authorization | None = None,
        capture: CaptureSettings | None = None,
        policy: Sequence[PolicyRule] = (),
        emails: Sequence[str] = (),
        topic_arns: Sequence[str] = (),
        containment: ContainmentSettings | None = None,
        alerts: AlertSettings | None = None,
        landing: LandingBucket | None = None,
        evidence: EvidenceSettings | None = None,
        retention_days: int = INCIDENTS_KEPT_DAYS,
        log_retention_days: LogRetentionDays = LOGS_KEPT_DAYS,
        deletion_protection: bool = DELETION_PROTECTION,
        tags: Mapping[str, str] | None = None,
        provider: cdk.TerraformProvider | None = None,
    ) -> None:
        """Create all of it."""
        with located(scope, id_):
            check_name(deployment)
            check_name(site)
            check_identifier("vpc", vpc_id)
            _check_policy(policy, containment, alerts)
            _check_source_identities(containment, authorization)
            check_range("retention_days", retention_days, RETENTION_DAYS)
            check_construct_tags(tags, *RESPONSE)
        super().__init__(scope, id_, provider=provider)
        if capture is not None and capture.packet_length is not None and not is_token(capture.packet_length):
            for message in limits.packet_length_warnings(capture.packet_length):
                warn(self, message)
        # These tags keep responses from restricting each other's roles.
        tags = {**(tags or {}), TAG_DEPLOYMENT: deployment, TAG_SITE: site}
        self._deployment, self._site, self._tags = deployment, site, tags
        self._name = response_name(deployment, site)
        self._log_retention_days = log_retention_days
        self._place = Place.of(self)
        self._expressions = Expressions(self)
        self.key = ResponseKey(self, "Key", name=self._named("key", 250), place=self._place, tags=tags)
        self.table = IncidentTable(
            self,
            "Table",
            name=incidents_table_name(deployment, site),
            key=self.key,
            deletion_protection=deletion_protection,
            tags=tags,
        )
        self.notifications = Notifications(
            self,
            "Notices",
            name=notices_topic_name(deployment, site),
            place=self._place,
            key=self.key,
            emails=emails,
            topic_arns=topic_arns,
            tags=tags,
        )
        self._alerts, self._landing = alerts or AlertSettings(), landing
        rule_name = self._named("findings")
        security_hub = (self._named("securityhub"), self._named("securityhub-v2"))
        rules = (rule_name, *(security_hub if self._alerts.security_hub else ()))
        self.dead_letters = DeadLetters(
            self,
            "DeadLetters",
            name=dead_letters_name(deployment, site),
            key=self.key,
            rule_arns=[self._place.arn("events", f"rule/{name}") for name in rules],
            tags=tags,
        )
        self.intake = self._alert_intake()
        self.api = IncidentApi(self, "Api", name=self._named("api", 128), tags=tags)
        settings, self._permissions = self._appliance(appliance, vpc_id, evidence or EvidenceSettings())
        self.containment_groups = self._containment_groups(containment, vpc_id)
        self._containable = self._containment_permissions(containment)
        environment = FunctionEnvironment(
            deployment=deployment,
            site=site,
            table=self.table.name,
            state_machine_arn=self._permissions.state_machine_arn,
            topic_arns=self.notifications.topic_arns,
            api_url=self.api.endpoint,
            home=AccountRegion(self._place.account, self._place.region),
            vpc_id=self._expressions.safe(vpc_id, "vpc_id"),
            capture=capture or CaptureSettings(),
            appliance=settings,
            retention_days=retention_days,
            containment=self._deployed_containment(containment),
            rules=policy,
            open_scopes=(authorization or Authorization.iam()).scopes_for("open"),
            landing_bucket=self._kept_in.bucket_name if self._kept_in else None,
            alert_queue_url=self.intake.queue_url if self.intake else None,
            overlap_hours=self._alerts.overlap_hours,
        )
        with located(scope, id_):
            if problem := environment.problem(self._longest_values(environment)):
                raise RuleViolation(problem[1])
        self._defaults = self._function_defaults(environment)
        self.functions = self._add_functions(environment)
        self.workflow = IncidentWorkflow(
            self,
            "Workflow",
            name=self._permissions.state_machine,
            role_name=self._named(_LONGEST_ROLE),
            place=self._place,
            key=self.key,
            functions={name: function.arn for name, function in self.functions.items()},
            wait_for_packets=containment is not None and containment.wait_for_packets is not None,
            log_retention_days=log_retention_days,
            tags=tags,
        )
        self.api.serve(
            self.functions["api"],
            authorization=authorization or Authorization.iam(),
            key=self.key,
            log_retention_days=log_retention_days,
            contains=containment is not None,
            alerts=self.functions.get("alerts"),
            webhooks=bool(self._alerts.webhooks),
        )
        if self.intake is not None:
            self.intake.feed(self.functions["findings"])
        GuardDutyFindings(
            self,
            "Findings",
            name=rule_name,
            place=self._place,
            function=self.functions["findings"],
            dead_letters=self.dead_letters,
            tags=tags,
        )
        if self._alerts.security_hub:
            SecurityHubFindings(
                self,
                "SecurityHub",
                names=security_hub,
                place=self._place,
                function=self.functions["findings"],
                dead_letters=self.dead_letters,
                tags=tags,
            )
        SweeperSchedule(
            self,
            "Sweeper",
            prefix=self._name,
            place=self._place,
            function=self.functions["sweeper"],
            dead_letters=self.dead_letters,
            key=self.key,
            tags=tags,
        )
        self._watch(appliance.max_hours if isinstance(appliance, LaunchedAppliance) else None)

    @property
    def api_endpoint(self) -> str:
        """The address of the API, as a token."""
        return self.api.endpoint

    @property
    def state_machine_arn(self) -> str:
        """The ARN of the workflow, as a token."""
        return self.workflow.arn

    @property
    def table_name(self) -> str:
        """The name of the table, as a token."""
        return self.table.name

    @property
    def topic_arn(self) -> str:
        """The ARN of the topic that notifications are published to, as a token."""
        return self.notifications.topic_arn

    @property
    def dashboard_url(self) -> str:
        """The URL of the dashboard, as a token."""
        return self.dashboard.url

    @property
    def launched_stack_name(self) -> str | None:
        """The name of the CloudFormation stack that incidents launch; None with an existing appliance."""
        return self._permissions.stack.name if self._permissions.stack else None

    @property
    def _kept_in(self) -> LandingBucket | None:
        """The bucket for unmatched alerts; None where there are no alerts that could be unmatched."""
        return self._landing if self._alerts.any else None

    def _alert_intake(self) -> AlertIntake | None:
        if not self._alerts.sources:
            return None
        return AlertIntake(
            self,
            "Alerts",
            deployment=self._deployment,
            site=self._site,
            place=self._place,
            key=self.key,
            webhooks=self._alerts.webhooks,
            seconds=STEP_SECONDS,
            tags=self._tags,
        )

    def _named(self, what: str, limit: int = 64) -> str:
        return name_within(self._name, what, limit)

    def _appliance(
        self, appliance: ExistingAppliance | LaunchedAppliance, vpc_id: str, evidence: EvidenceSettings
    ) -> tuple[dict[str, Any], policies.Permissions]:
        """Return the settings of the appliance for the functions, and their permissions."""
        common: dict[str, Any] = {
            "place": self._place,
            "deployment": self._deployment,
            "site": self._site,
            "table_arn": self.table.arn,
            "index_arn": self.table.index_arn,
            "topic_arns": self.notifications.topic_arns,
            "event_bus": EVENT_BUS,
            "state_machine": workflow_name(self._deployment, self._site),
            "asks_for_interfaces": bool(self._alerts.sources),
            "landing": self._kept_in,
            "alert_queue_arn": self.intake.queue_arn if self.intake else None,
            "alert_secret_arns": self.intake.secret_arns if self.intake else (),
        }
        if isinstance(appliance, ExistingAppliance):
            settings = self._expressions.safe(appliance.settings())
            existing = settings["existing"]
            return settings, policies.Permissions(
                target_id=existing["target_id"], filter_id=existing["filter_id"], **common
            )
        for message in cidrs.remote_access_warnings(appliance.remote_access_cidr):
            warn(self, message)
        stack_name = appliance.stack_name or launched_stack_name(self._deployment, self._site)
        role = ApplianceRole(
            self,
            "ApplianceRole",
            name=launched_role_name(self._deployment, self._site),
            place=self._place,
            stack_name=stack_name,
            own_tags={TAG_DEPLOYMENT: self._deployment, TAG_SITE: self._site},
            vpc_id=self._expressions.safe(vpc_id, "vpc_id"),
            subnet_id=self._expressions.safe(appliance.subnet_id, "subnet_id"),
            boundary_name=launched_boundary_name(self._deployment, self._site),
            capabilities=appliance.capabilities,
            permissions_boundary=appliance.permissions_boundary,
            extra_statements=appliance.extra_statements,
            tags=self._tags,
        )
        snapshots = evidence.appliance_snapshots
        stack = policies.LaunchedStack(
            stack_name, self._template(appliance.template_url), role.arn, keeps_packets=snapshots is not None
        )
        launch = DeployedLaunch.of(
            appliance, stack_name=stack_name, role_arn=role.arn, vpc_id=vpc_id, snapshots=snapshots
        )
        return self._expressions.safe(launch.settings()), policies.Permissions(stack=stack, **common)

    def _template(self, address: str) -> policies.Template:
        """Return the template and its object in S3."""
        url = self._expressions.safe(address, "template_url")
        found = None if is_token(url) else template_urls.parse(url)
        if found is not None:
            return policies.Template(url, found.object_name, found.reading)
        # The URL is known only when Terraform applies.
        named = cdk.Fn.trimprefix(cdk.Fn.replace(url, f"/{template_urls.OBJECT}/", "$1/$2"), "/")
        return policies.Template(url, str(cdk.TerraformLocal(self, "template_object", named).as_string))

    def _containment_groups(self, containment: ContainmentSettings | None, vpc_id: str) -> ContainmentGroups | None:
        if containment is None:
            return None
        return ContainmentGroups(
            self,
            "ContainmentGroups",
            name=self._name,
            vpc_ids=[vpc_id, *containment.vpc_ids],
            two_step=containment.two_step.enabled,
            tags=self._tags,
        )

    def _deployed_containment(self, containment: ContainmentSettings | None) -> DeployedContainment | None:
        if containment is None or self.containment_groups is None:
            return None
        groups = {
            self._expressions.safe(vpc_id, "vpc_id"): QuarantineGroups(**pair)
            for vpc_id, pair in self.containment_groups.by_vpc.items()
        }
        return DeployedContainment.of(containment, groups)

    def _longest_values(self, environment: FunctionEnvironment) -> dict[str, str]:
        """Return an example for each token in the environment, at least as long as its value will be."""
        notices = notices_topic_name(self._deployment, self._site)
        topic = f"arn:{_PARTITION}:sns:{_REGION}:{example_of('account')[1:13]}:{notices}"
        groups = self.containment_groups.ids if self.containment_groups else ()
        vpc_ids = [environment.vpc_id, *(environment.containment.groups if environment.containment else ())]
        template = environment.appliance.get("launch", {}).get("template_url", "")
        examples = {
            self.table.name: incidents_table_name(self._deployment, self._site),
            **dict.fromkeys(environment.topic_arns, topic),
            environment.api_url: example_of_api_url(_REGION),
            **dict.fromkeys(vpc_ids, example_of("vpc")),
            **dict.fromkeys(groups, example_of("security group")),
            template: "x" * _TEMPLATE_URL_BYTES,
            self._place.partition: _PARTITION,
            self._place.region: _REGION,
            self._place.account: example_of("account")[1:13],
            **({self._kept_in.bucket_name: "x" * BUCKET_LENGTH} if self._kept_in else {}),
            **({self.intake.queue_url: example_of_queue_url(_REGION)} if self.intake else {}),
        }
        return {token: example for token, example in examples.items() if is_token(token)}

    def _containment_permissions(self, containment: ContainmentSettings | None) -> Containable | None:
        if containment is None or self.containment_groups is None:
            return None
        return Containable(
            settings=containment,
            vpc_ids=tuple(self.containment_groups.by_vpc),
            group_ids=tuple(self.containment_groups.ids),
            own_roles=pattern_within(self._name, _LONGEST_ROLE),
        )

    def _function_defaults(self, environment: FunctionEnvironment) -> FunctionDefaults:
        sources = self._alerts.sources
        package = build_package(dump_sources(sources) if sources else None)
        return FunctionDefaults(
            name=self._name,
            place=self._place,
            key=self.key,
            package=package,
            file=package.place(self, "Package"),
            environment=environment.variables(),
            log_retention_days=self._log_retention_days,
            tags=self._tags,
        )

    def _add_functions(self, environment: FunctionEnvironment) -> dict[str, ResponderFunction]:
        return {
            each.name: ResponderFunction(
                self,
                f"{each.name.capitalize()}Function",
                name=each.name,
                defaults=self._defaults,
                statements=each.allowed(self._permissions, self._containable),
                description=each.description,
                timeout_seconds=each.timeout_seconds,
                environment=each.variables(environment),
                dead_letters=self.dead_letters if each.asynchronous else None,
            )
            for each in FUNCTIONS
            if each.is_there(contains=self._containable is not None, takes_alerts=self.intake is not None)
        }

    def _watch(self, appliance_hours: int | None) -> None:
        watched = Watched(
            state_machine_arn=self.workflow.arn,
            dead_letters=self.dead_letters.name,
            alert_queue=str(self.intake.resource.name) if self.intake else None,
            alert_dead_letters=self.intake.dead_letters.name if self.intake else None,
            webhooks=bool(self._alerts.webhooks),
            functions=[function.name for function in self.functions.values()],
            api_id=self.api.id,
            contains=self._containable is not None,
            appliance_hours=appliance_hours,
            dimensions=metric_dimensions(self._deployment, self._site),
        )
        ResponseAlarms(
            self,
            "Alarms",
            name=str(self._name),
            watched=watched,
            topic_arns=self.notifications.topic_arns,
            tags=self._tags,
        )
        self.dashboard = ResponseDashboard(
            self, "Dashboard", name=self._named("dashboard", 255), place=self._place, watched=watched
        )


def _check_policy(
    rules: Sequence[PolicyRule], containment: ContainmentSettings | None, alerts: AlertSettings | None
) -> None:
    for _, problem in policy_rules.policy_problems(rules):
        raise RuleViolation(problem)
    for rule in rules:
        try:
            for source in rule.sources:
                check_rule_source(source, (alerts or AlertSettings()).names)
            check_action(rule.action, tuple(containment.modes) if containment else None)
        except RuleViolation as violation:
            raise RuleViolation(f"policy rule {rule.name}: {violation}") from None


def _check_source_identities(containment: ContainmentSettings | None, authorization: Authorization | None) -> None:
    roles = containment.approval.source_identity_roles if containment else ()
    tokens = authorization is not None and authorization.issuer is not None
    if why := why_no_source_identities(roles, tokens=tokens):
        raise RuleViolation(f"containment.approval.source_identity_roles {why}")

"""`tapstack rehearse incident`: an incident from alert to close in the rehearsal account, and a report of it."""

from __future__ import annotations

import argparse
import json
import re
import time
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from tapstack.cli.arguments import file_name
from tapstack.cli.incident_api import IncidentApi, ServiceError, UserError, sign_with
from tapstack.cli.incident_view import timeline
from tapstack.cli.rehearse_account import missing
from tapstack.cli.rehearse_deploy import without_surroundings
from tapstack.cli.report_file import TITLE, ReportFile
from tapstack.cli.supervision import supervised
from tapstack.domain.containment_settings import MODE_OF_ACTION, Mode
from tapstack.domain.errors import RuleViolation
from tapstack.domain.findings import parse_finding
from tapstack.domain.incidents import SWEEP_MINUTES, as_text, utc_now
from tapstack.domain.names import response_stack_name, xdr_stack_name
from tapstack.domain.operations import operation_that_contains
from tapstack.domain.policy import decide
from tapstack.domain.regions import AccountRegion
from tapstack.domain.stored_packets import where_stored
from tapstack.packets.captures import CaptureError
from tapstack.rehearsal.errors import RehearsalFailedError
from tapstack.rehearsal.progress import Progress
from tapstack.rehearsal.together import Needed, work_together
from tapstack.settings.load import FILE_VARIABLE, deployment_path, load_deployment, parse_deployment, shown
from tapstack.settings.model import Deployment
from tapstack.settings.problems import DeploymentError
from tapstack.settings.yaml_source import YamlSource
from tapstack.workspace import machine
from tapstack.workspace.provider_mirror import UnusableMirrorError
from tapstack.workspace.stacks import used_of_capture, used_of_telemetry

if TYPE_CHECKING:
    from strictmoto.account import Account
    from tapstack.rehearsal.deployment import SiteDeployment
    from tapstack.rehearsal.report.packets import Packets
    from tapstack.rehearsal.report.page import GroupsOf, TimedStep
    from tapstack.rehearsal.report.topology import Topology
    from tapstack.rehearsal.wire.traffic import Flowed, Traffic
    from tapstack.rehearsal.xdr.actor import Xdr
    from tapstack.rehearsal.xdr.webhook import Webhook

REPORT: Final = Path("rehearsal.html")
WAITS: Final = 0.02
"""The scale of waits: an hour takes 72 seconds, and the incident, which is open for one, is closed before."""
WAITS_FOR_APPROVAL: Final = 0.1
"""The scale while a containment is pending: 15 minutes take 90 seconds, so that a slow machine meets the deadline."""
WAITS_FOR_ANSWER: Final = 0.25
"""The scale while a rule asks: 15 minutes take 225 seconds, in which a slow machine also shows the capture."""
WAITS_AT_THE_END: Final = 0.001
"""The scale after the close: the half hour until an appliance is retired takes 2 seconds."""
_ENDS: Final = ("failed", "closed", "blocked", "rejected")
"""States after which none comes by itself."""
_INDENT: Final = " " * 7
_SECOND_PERSON: Final = "second-responder"
_SUSPECT: Final = "database"
"""The company's instance with two interfaces."""
_CLIENT: Final = "legacy"
"""The company's instance that asks the database."""
_CAPTURE: Final = "rehearsal.pcapng"
_TIMEOUT_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.4
_KEY_IS_THERE: Final = re.compile(r"^aws_kms_alias\.\S+: Creation complete")
"""Of the telemetry: its key has the alias by which the response finds it, and the response looks up nothing else."""
_LOOKED_UP: Final = re.compile(r": Destruction complete")
"""Of the response: what it looks up was read, because something is destroyed."""


def rehearse_incident(
    file: Path | None,
    *,
    site: str | None,
    report: ReportFile,
    scratch: Path,
    out: TextIO,
    err: TextIO,
    enforce_iam: bool = True,
    pcap: Path | None = None,
    pcap_hosts: Sequence[str] = (),
) -> int:
    """Deploy, post an alert, watch, close, destroy, compare the account with what it was, and write a report.

    Args:
        file: the deployment file; the usual one by default.
        site: the site whose response is rehearsed; the first that has one by default.
        report: the file of the report.
        scratch: a directory for temporary files.
        out: receives the progress.
        err: receives errors.
        enforce_iam: refuse what IAM does not allow.
        pcap: a capture that is played at the instance's interface besides.
        pcap_hosts: addresses in it whose packets are the instance's; one at least where there is a capture.

    Returns:
        0 when the incident was captured and closed, and the account is as it was; 1 when not; 2 for an
        error that the user can fix.
    """
    project = Path.cwd()
    if not (project / "main.py").is_file():
        print(f"{project} has no main.py: run this in the directory of the Tapstack project", file=err)
        return 2
    try:
        if pcap is not None:
            _check_capture(pcap, pcap_hosts)
        path = file or deployment_path(project)
        deployment = load_deployment(path)
        name = _site_of(deployment, site, path)
        with Progress(lambda line: print(line, file=out, flush=True), indent=_INDENT) as progress:
            with progress.doing("looking for Terraform and the AWS provider"):
                progress.say(machine.describe(deployment.provider, path.parent))
            good = _Rehearsal(deployment, name, path, project, scratch, progress, enforce_iam, pcap, pcap_hosts).run(
                report
            )
    except ModuleNotFoundError as error:
        print(missing(error), file=err)
        return 2
    except (DeploymentError, UnusableMirrorError, machine.MachineError, UserError) as error:
        print(error, file=err)
        return 2
    except (RehearsalFailedError, ServiceError) as error:
        print(error, file=err)
        return 1
    except OSError as error:
        print(f"{error.filename or report.path}: {error.strerror}", file=err)
        return 2
    print(f"\nThe report: {report.path}", file=out)
    return 0 if good else 1


def add_rehearse_incident_parser(rehearsals: Any) -> None:
    """Add the command to those of `tapstack rehearse`."""
    parser = rehearsals.add_parser(
        "incident",
        help="deploy the response into the account, and run one incident from alert to close",
        description="Deploy a site's capture, telemetry and response into an AWS account on this machine with real "
        "Terraform, let its XDR send an alert, or post one, let a finding join its incident, show the incident live, "
        "watch for packets, contain the instance with another person's approval and release it where the deployment "
        "allows that, close the incident, let the XDR read what landed of it, destroy everything, compare the account "
        "with what it was, and write a report. Makes no calls to AWS.",
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=file_name,
        help=f"the deployment file; ${FILE_VARIABLE} or deployment.yaml by default",
    )
    parser.add_argument("--site", help="site whose response is rehearsed; by default the first that has one")
    parser.add_argument(
        "--report", type=file_name, default=REPORT, help=f"file to write the report to; {REPORT} by default"
    )
    parser.add_argument(
        "--pcap",
        type=file_name,
        help="capture to play at the instance's interface, besides what the company sends",
    )
    parser.add_argument(
        "--pcap-host",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="address in that capture whose packets are the instance's; needed with --pcap, and can be given again",
    )
    parser.add_argument("--open", action="store_true", help="show the report in a browser")


def run_rehearse_incident(chosen: argparse.Namespace, *, out: TextIO, err: TextIO) -> int:
    """Run what was chosen on the command line and return the exit code."""
    try:
        with ReportFile(chosen.report) as report:

            def work(scratch: Path) -> int:
                return rehearse_incident(
                    chosen.file,
                    site=chosen.site,
                    report=report,
                    scratch=scratch,
                    out=out,
                    err=err,
                    enforce_iam=chosen.iam,
                    pcap=chosen.pcap,
                    pcap_hosts=chosen.pcap_host,
                )

            code = supervised(work)
            if chosen.open and report.written:
                webbrowser.open(report.path.as_uri())
            return code
    except UserError as error:
        print(error, file=err)
        return 2


def _site_of(deployment: Deployment, asked: str | None, path: Path) -> str:
    having = [name for name, site in deployment.sites.items() if site.response is not None]
    if asked is not None and asked not in having:
        raise UserError(f"{shown(path)}: no site {asked!r} with a response: expected one of {', '.join(having) or '-'}")
    if not having:
        raise UserError(f"{shown(path)}: no site has a response: add one, or rehearse with tapstack rehearse deploy")
    return asked or having[0]


@dataclass
class _Rehearsal:
    deployment: Deployment
    site: str
    path: Path
    project: Path
    scratch: Path
    progress: Progress
    enforce_iam: bool
    pcap: Path | None
    pcap_hosts: Sequence[str]
    steps: list[TimedStep] = field(default_factory=list)
    begin: float = field(default_factory=time.monotonic)
    account: Account = field(init=False)
    _shown_entries: int = 0

    def run(self, report: ReportFile) -> bool:
        """Run the rehearsal and write the report; return whether everything went as expected."""
        with self._step("An AWS account on this machine"):
            from strictmoto.account import Account
            from tapstack.rehearsal.deployment import DeploymentFailedError

            report.begin()
            self.account = Account(enforce_iam=self.enforce_iam)
            self.account.start()
        try:
            self._say(f"listening on {self.account.endpoint}")
            return self._run(report)
        except DeploymentFailedError as error:
            raise UserError(str(error)) from None
        finally:
            self.account.stop()

    def _run(self, report: ReportFile) -> bool:
        from strictmoto.testing.snapshot import differences, take_snapshot
        from tapstack.rehearsal.report.page import Phase, Report, render
        from tapstack.rehearsal.report.topology import take_topology

        started = datetime.now(UTC)
        settings = self.deployment.sites[self.site]
        role = self._role()
        where: dict[str, Any] = {"region": settings.region, "role_arn": role}
        with self._step("A company in it"):
            fitted, xdr = self._found_company()
        with self._step("The stacks as Terraform, and all that the account holds before"), ThreadPoolExecutor() as pool:
            synthesized = pool.submit(self._synthesize, fitted)
            before = take_snapshot(self.account, **where)
            directories = synthesized.result()
        response, telemetry = response_stack_name(self.site), xdr_stack_name(self.site)
        # Each as soon as what it looks up is there: most of the time is waiting.
        needed = self._needs_of_response()
        found = self._with_each("Deploy", directories, lambda stack, ready: stack.apply(ready), needed)
        outputs = found[response]
        deployed = len(self.account.recorder.records())

        self.account.waits.scale = WAITS
        self._say_with_time(f"Waits are shortened from here: an hour takes {3600 * WAITS:.0f} seconds or less.")
        ec2 = self.account.client("ec2", **where)
        suspect = _instance_named(ec2, _SUSPECT)
        tags = {tag["key"]: tag["value"] for tag in _tags(ec2, suspect)}
        api = IncidentApi(outputs["api_endpoint"], sign_with(self._credentials(role), settings.region))
        if settings.xdr is not None or (settings.response is not None and settings.response.alerts.sources):
            with self._step("The XDR is connected"):
                xdr.connect(found.get(telemetry, {}), suspect, tags)
        with self._step("The XDR sends an alert" if xdr.webhook else "Post the alert, as a SOAR tool would"):
            posted = time.monotonic()
            incident = self._alert(xdr, api, outputs, suspect, where)
        with self._step("Capture: the appliance, and a session on every interface"):
            incident = self._follow(api, incident["id"], "capturing")
            captured = time.monotonic() - posted
        vpc_id = ec2.describe_instances(InstanceIds=[suspect])["Reservations"][0]["Instances"][0]["VpcId"]
        topology = take_topology(self.account, vpc_id, suspects=[suspect], **where)
        mirrored = {interface.id: interface.address for _, interface, _ in topology.mirrored()}
        with self._step("A GuardDuty finding about the same instance: it joins the incident"):
            self._second_alert(api, incident, where)
        suspect_interface = next(iter(_groups(ec2, suspect)))
        with self._traffic(suspect_interface, incident["id"], ec2, where) as traffic:
            with self._step("Packets: the company works, and the beacon reports"):
                self._let_flow(traffic)
            with self._step("Watch: whether packets are mirrored"):
                self._watch_packets(api, incident, traffic, where)
                xdr.log_flows(list(mirrored.items()))
            groups = (
                self._contain_and_release(api, incident, ec2, outputs["api_endpoint"], where, xdr.webhook, traffic)
                if self._contains()
                else []
            )
            packets = self._hand_over(traffic, incident, suspect_interface, topology)
        self.account.waits.scale = WAITS_AT_THE_END
        with self._step("Close: every session of the incident ends, the appliance is retired"):
            api.post(f"/incidents/{incident['id']}/close", {"reason": "seen enough"}, repeatable=True)
            incident = self._follow(api, incident["id"], "closed")
            self._until_workflow_ends(outputs["state_machine_arn"], where)
            incident = api.get(f"/incidents/{incident['id']}")
            if incident["stored_packets"]:
                self._say(f"stored: {where_stored(incident['stored_packets'])}")
        loop = None
        if xdr.reader is not None:
            with self._step("The XDR reads what landed, with the role of its reader and nothing else"):
                loop = xdr.read(incident, list(mirrored))
                xdr.disconnect()
        ended = len(self.account.recorder.records())
        self.account.waits.scale = 1.0
        if kept := [one["snapshot_id"] for one in (incident["stored_packets"] or {}).get("snapshots", ())]:
            with self._step("The snapshots, which a destroy leaves: they are deleted here by hand"):
                for snapshot_id in kept:
                    ec2.delete_snapshot(SnapshotId=snapshot_id)

        destroyed_after = {
            self.site: [Needed(response)] if used_of_capture(settings) else [],
            telemetry: [Needed(response, _LOOKED_UP)] if used_of_telemetry(settings) else [],
        }
        backwards = dict(reversed(directories.items()))
        self._with_each("Destroy", backwards, _destroy, destroyed_after)
        left = differences(before, take_snapshot(self.account, **where))
        calls = [record.as_dict() for record in self.account.recorder.records()]
        made = Report(
            title=TITLE,
            started=started,
            finished=datetime.now(UTC),
            steps=self.steps,
            incident=incident,
            topology=topology,
            groups=groups,
            loop=loop,
            packets=packets,
            phases=[
                Phase("The incident: API, functions, workflow", calls[deployed:ended]),
                Phase("Deployment", calls[:deployed]),
                Phase("Destruction", calls[ended:]),
            ],
            differences=left,
            seconds_to_capture=captured,
            note=f"Waits were shortened, an hour to {3600 * WAITS:.0f} seconds or less. The appliance is a stand-in, "
            "and so is what records its packets.",
        )
        report.write(render(made))
        self._say_with_time("The account is back to where it was." if not left else "The account is not as it was:")
        for line in left:
            self._say(line)
        return made.good

    def _role(self) -> str | None:
        """Return the role that deploys the site."""
        role = self.deployment.sites[self.site].assume_role
        return role.role_arn if role else None

    def _found_company(self) -> tuple[Path, Xdr]:
        """Return the deployment file, fitted to a company in the account, and the XDR of the site."""
        from tapstack.rehearsal.fitting import fit
        from tapstack.rehearsal.packet_basics import publish_template
        from tapstack.rehearsal.xdr.actor import Xdr

        source = YamlSource(self.path.read_text(encoding="utf-8-sig"), shown(self.path))
        document = without_surroundings(source.data, self.path.parent)
        # Only this site: the others would take minutes, and the rehearsal uses nothing of them.
        document["sites"] = {self.site: document["sites"][self.site]}
        fitted = self.scratch / "deployment.yaml"
        text = fit(
            json.dumps(document),
            self.account,
            publish=lambda region: publish_template(self.account.client("s3", region=region)),
        )
        fitted.write_text(text, encoding="utf-8")
        place = AccountRegion(self._number(), self.deployment.sites[self.site].region)
        xdr = Xdr(self.account, parse_deployment(text, shown(self.path)), self.site, place, self._role(), self._say)
        xdr.begin()
        return fitted, xdr

    def _synthesize(self, fitted: Path) -> dict[str, Path]:
        from tapstack.rehearsal.deployment import synthesize

        with self.progress.doing("synthesizing"):
            return synthesize(self.project, fitted, self.scratch / "out", self._stacks())

    def _stacks(self) -> list[str]:
        """Return the stacks of the site, in the order in which they can be deployed one after the other."""
        telemetry = [xdr_stack_name(self.site)] if self.deployment.sites[self.site].xdr is not None else []
        return [self.site, *telemetry, response_stack_name(self.site)]

    def _needs_of_response(self) -> dict[str, list[Needed]]:
        """Return what the response waits for when all is deployed."""
        settings = self.deployment.sites[self.site]
        needed = [Needed(self.site)] if used_of_capture(settings) else []
        needed += [Needed(xdr_stack_name(self.site), _KEY_IS_THERE)] if used_of_telemetry(settings) else []
        return {response_stack_name(self.site): needed}

    def _with_each(
        self,
        verb: str,
        directories: Mapping[str, Path],
        do: Callable[[SiteDeployment, Callable[[], None]], Any],
        needs: Mapping[str, Sequence[Needed]],
    ) -> dict[str, Any]:
        """Call `do` with every stack, and with what waits for what it needs; return the results by stack."""

        def one(name: str, report: Callable[[str], None], ready: Callable[[], None]) -> Any:
            from strictmoto.identity.principals import deploying_into
            from tapstack.rehearsal.deployment import SiteDeployment

            def said(line: str) -> None:
                self._say(line)
                report(line)

            credentials = deploying_into(self._role())
            with self.progress.doing(f"starting Terraform for {name}") as doing:
                return do(SiteDeployment(directories[name], self.account, said, doing, credentials=credentials), ready)

        *names, last = directories
        with self._step(f"{verb} {' and '.join(filter(None, (', '.join(names), last)))} with Terraform"):
            # First what others wait for.
            waited_for = {needed.stack for listed in needs.values() for needed in listed}
            return work_together(sorted(directories, key=lambda stack: stack not in waited_for), one, needs)

    def _credentials(self, role: str | None) -> Any:
        from botocore.credentials import Credentials

        keys = self.account.assume(role, session_name="soar") if role else self.account.credentials
        return Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None)

    def _alert(
        self, xdr: Xdr, api: IncidentApi, outputs: Mapping[str, str], suspect: str, where: dict[str, Any]
    ) -> Any:
        """Report the instance: the XDR does, where it has a webhook; return the incident."""
        endpoint = outputs["api_endpoint"]
        if xdr.webhook is not None:
            asks = xdr.webhook.asks
            if asks:
                # The question begins with the incident, and is answered after what comes between.
                self.account.waits.scale = WAITS_FOR_ANSWER
            alert_id = xdr.report(endpoint, suspect)
            incident = self._until(f"no incident of alert {alert_id}", lambda: _incident_of(api, alert_id))
            self._say(f"rule {xdr.webhook.rule} {xdr.webhook.does}: {incident['id']}")
            if asks:
                self._follow(api, incident["id"], "pending", part="containment")
                # That is the request. How long it may take counts from where the workflow waits for the answer.
                self._until_asked(incident["id"], outputs["state_machine_arn"], where)
            xdr.report_none(endpoint)
            self.account.waits.scale = WAITS
            return incident
        alert = {
            "instance_id": suspect,
            "reason": "Beaconing: the same 96 bytes to 203.0.113.7:443 every 60 seconds",
            "severity": "medium",
            "technique": "T1071.001",
            "alert_id": "soar-4711",
        }
        return self._post(api, alert)["incident"]

    def _post(self, api: IncidentApi, alert: dict[str, Any]) -> Any:
        """Post an alert; return the answer."""
        self._say(f"POST /incidents {json.dumps(alert)}")
        answer = api.post("/incidents", alert, headers={"Idempotency-Key": f"{alert['alert_id']}-1"}, repeatable=True)
        self._say(f"202: {answer['incident']['id']}{', joined' if answer.get('joined') else ''}")
        return answer

    def _second_alert(self, api: IncidentApi, incident: Any, where: dict[str, Any]) -> None:
        """Have GuardDuty, too, report the instance: no other incident is opened, and one notification says so."""
        suspect = incident["instance_id"]
        event = _finding(suspect, _tags(self.account.client("ec2", **where), suspect), where["region"], self._number())
        if self._policy_contains(event):
            # What follows contains the instance as a responder does.
            self._say("The policy contains the instance for such a finding: another tool reports it here instead.")
            self._post(api, {"instance_id": suspect, "reason": "C2 beacon", "severity": "high", "alert_id": "edr-92"})
        else:
            self._say(f"{event['detail']['type']}, severity {event['detail']['severity']}, in an event of GuardDuty")
            self.account.service_events.publish(event, region=where["region"], account=self._number())
        self._until("no alert has joined", lambda: self._has_joined(api, incident["id"]))
        subjects = self._until("no notification of the alert that joined", self._notified_of_joining)
        for subject in subjects:
            self._say(f"notified: {subject}")
        found = api.get("/incidents", {"state": "open"})["incidents"]
        # Its severity is read after the timeline said so: the incident that was shown with it may be of before.
        open_ones = [(one["id"], one["severity"]) for one in found]
        if open_ones != [(incident["id"], "high")] or len(set(subjects)) != 1:
            raise RehearsalFailedError(f"expected one open incident and one notification: got {found} and {subjects}")

    def _number(self) -> str:
        """Return the number of the account that the site is in."""
        from strictmoto.account import ACCOUNT_ID

        return role.split(":")[4] if (role := self._role()) else ACCOUNT_ID

    def _policy_contains(self, event: dict[str, Any]) -> bool:
        finding, response = parse_finding(event), self.deployment.sites[self.site].response
        rules = response.rules() if response is not None else ()
        return any(
            decide(rules, finding, instance, here=True).action in MODE_OF_ACTION for instance in finding.instances
        )

    def _has_joined(self, api: IncidentApi, incident_id: str) -> bool:
        return "joined" in {entry["what"] for entry in self._shown(api, incident_id)["timeline"]}

    def _notified_of_joining(self) -> list[str]:
        published = self.account.recorder.records(service="sns", action="Publish")
        subjects = [str(record.requested["Subject"]) for record in published if record.status == 200]
        return [subject for subject in subjects if subject.endswith(": joined by another alert")]

    def _traffic(self, interface: str, incident: str, ec2: Any, where: dict[str, Any]) -> Traffic:
        from tapstack.rehearsal.wire.traffic import Traffic

        client = _instance_named(ec2, _CLIENT)
        found = ec2.describe_instances(InstanceIds=[client])["Reservations"][0]["Instances"][0]
        return Traffic(
            self.account,
            interface,
            found["PrivateIpAddress"],
            self.scratch / "recorded",
            incident=incident,
            scale=WAITS,
            **where,
        )

    def _let_flow(self, traffic: Traffic) -> None:
        """Let packets flow at the suspect's interface, which the capture mirrors."""
        for flowed in traffic.before_containment():
            self._say_flowed(flowed)
        if self.pcap is not None:
            try:
                self._say_flowed(traffic.play(self.pcap, self.pcap_hosts))
            except CaptureError as error:
                self._say(f"{error}; what is before was played")

    def _say_flowed(self, flowed: Flowed) -> None:
        why = f": {flowed.why}" if flowed.why else ""
        self._say(f"{flowed.what}: {flowed.mirrored} of {flowed.packets} packets mirrored{why}")

    def _hand_over(self, traffic: Traffic, incident: Any, interface: str, topology: Topology) -> Packets:
        """Return what flowed, and the recorded packets as one capture."""
        from tapstack.packets.handing_over import Label
        from tapstack.rehearsal.report.packets import Packets

        labels = {
            session.virtual_network_id: Label(mirrored.id, instance.name, f"session {session.id}")
            for instance, mirrored, session in topology.mirrored()
            if session.virtual_network_id is not None
        }
        done, capture = traffic.hand_over(labels, f"incident {incident['id']}")
        self._say(f"recorded and handed over: {done.selected} packets, {done.written} bytes of pcapng")
        return Packets(interface, traffic.flowed, done.selected, capture, _CAPTURE)

    def _watch_packets(self, api: IncidentApi, incident: Any, traffic: Traffic, where: dict[str, Any]) -> None:
        """Let the sweeper read what CloudWatch counts of the packets."""
        packets = api.get(f"/incidents/{incident['id']}")["packets"]
        self._say(f"{packets['state']} since {packets['since']}: sessions exist, and that is all that is known")
        if not any(flowed.mirrored for flowed in traffic.flowed):
            self._say("The filter mirrors none of these packets, so that CloudWatch counts none.")
            return
        self._say(f"The sweeper, due every {SWEEP_MINUTES} minutes, reads what CloudWatch counts.")
        functions = self.account.client("lambda", **where)
        pages = functions.get_paginator("list_functions").paginate()
        [sweeper] = [one["FunctionName"] for page in pages for one in page["Functions"] if _sweeps(one["FunctionName"])]
        functions.invoke(FunctionName=sweeper)
        self._follow(api, incident["id"], "packets seen", part="packets")

    def _contains(self) -> bool:
        response = self.deployment.sites[self.site].response
        return response is not None and response.containment is not None

    def _contain_and_release(
        self,
        api: IncidentApi,
        incident: Any,
        ec2: Any,
        endpoint: str,
        where: dict[str, Any],
        webhook: Webhook | None,
        traffic: Traffic,
    ) -> list[GroupsOf]:
        """Contain the instance, with approval where the deployment allows that, and release it.

        Where the rule for the alert of the XDR requested it, no person does so again.
        """
        from tapstack.rehearsal.report.page import GroupsOf

        path, name = f"/incidents/{incident['id']}", incident["id"]
        response = self.deployment.sites[self.site].response
        assert response is not None
        assert response.containment is not None
        mode: Mode = "approval" if "approval" in response.containment.modes else "now"
        before = _groups(ec2, incident["instance_id"])
        self.account.waits.scale = WAITS_FOR_APPROVAL
        approved = "another person approves" if mode == "approval" else "at once"
        with self._step(f"Contain: {approved}, and every interface is isolated"):
            asked = webhook is not None and webhook.asks
            if not asked:
                api.post(operation_that_contains(mode, opens=False).at(name), {}, repeatable=True)
            if mode == "approval":
                found = self._follow(api, name, "pending", part="containment")
                with self._second_person(endpoint, where) as second:
                    if asked:
                        self._say(f"{found['containment']['asked_by']} asked, until {found['containment']['deadline']}")
                    elif response.containment.approval.other_person:
                        self._say(f"The person who requested it approves: {self._refusal(api, f'{path}/approve')}")
                    self._say(f"{_SECOND_PERSON} approves")
                    second.post(f"{path}/approve", {}, repeatable=True)
            self._follow(api, name, "contained", part="containment")
            contained = _groups(ec2, incident["instance_id"])
            beacon, channel = traffic.contained()
            self._say_flowed(beacon)
            self._say_flowed(channel)
            if beacon.dropped < beacon.packets:
                raise RehearsalFailedError(f"the beacon gets out of the contained instance: {beacon.packets} packets")
        self.account.waits.scale = WAITS
        with self._step("Release: the prior state is restored"):
            api.post(f"{path}/release", {}, repeatable=True)
            self._follow(api, name, "released", part="containment")
            after = _groups(ec2, incident["instance_id"])
            if after != before:
                raise RehearsalFailedError(f"the security groups are {after}: expected {before}")
            beacon = traffic.released()
            self._say_flowed(beacon)
            if beacon.dropped:
                raise RehearsalFailedError(f"the released instance cannot do what it could before: {beacon.why}")
        return [GroupsOf(eni, before[eni], contained[eni], after[eni]) for eni in before]

    @contextmanager
    def _second_person(self, endpoint: str, where: dict[str, Any]) -> Iterator[IncidentApi]:
        """Yield the API for another person, a user who may approve and nothing else."""
        from botocore.credentials import Credentials

        iam = self.account.client("iam", **where)
        user = {"UserName": _SECOND_PERSON}
        _, partition, _, _, number, *_ = iam.create_user(**user)["User"]["Arn"].split(":")
        api = f"arn:{partition}:execute-api:{where['region']}:{number}:*/$default"
        allowed = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"{api}/POST/incidents/*/approve"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(**user, PolicyName="approve", PolicyDocument=document)
        key = iam.create_access_key(**user)["AccessKey"]
        keys = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        try:
            yield IncidentApi(endpoint, sign_with(keys, where["region"]))
        finally:
            iam.delete_access_key(**user, AccessKeyId=key["AccessKeyId"])
            iam.delete_user_policy(**user, PolicyName="approve")
            iam.delete_user(**user)

    @staticmethod
    def _refusal(api: IncidentApi, path: str) -> str:
        """Return the first sentence of the refusal of a request."""
        try:
            api.post(path, {}, repeatable=True)
        except UserError as error:
            return str(error).partition(". ")[0]
        raise RehearsalFailedError(f"{path} was not refused for the person who requested the containment")

    def _follow(self, api: IncidentApi, incident_id: str, wanted: str, *, part: str | None = None) -> Any:
        """Print the timeline until the incident, or a part of it, is in the state `wanted`; return the incident."""

        def reached() -> Any:
            incident = self._shown(api, incident_id)
            state = ((incident[part] or {}) if part else incident).get("state")
            if state != wanted and (state in _ENDS or incident["state"] in _ENDS):
                why = f", and the incident is {incident['state']}" if part and incident["state"] in _ENDS else ""
                raise RehearsalFailedError(
                    f"{part or 'incident'} {incident_id} is {state}{why}: expected {wanted}. Waits are shortened here: "
                    "where the machine has much else to do, run it again when it has not"
                )
            return incident if state == wanted else None

        return self._until(f"{part or 'incident'} {incident_id} is not {wanted}", reached)

    def _shown(self, api: IncidentApi, incident_id: str) -> Any:
        """Print the entries of the timeline that were not printed; return the incident."""
        incident = api.get(f"/incidents/{incident_id}")
        for line in timeline(incident, self._shown_entries):
            self._say(line)
        self._shown_entries = len(incident["timeline"])
        return incident

    @staticmethod
    def _until(otherwise: str, ask: Callable[[], Any]) -> Any:
        """Return the first answer that is one; `otherwise` says what is so where there is none."""
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        while not (found := ask()):
            if time.monotonic() > deadline:
                raise RehearsalFailedError(f"{otherwise} after {_TIMEOUT_SECONDS:.0f} seconds")
            time.sleep(_POLL_SECONDS)
        return found

    def _until_asked(self, incident_id: str, state_machine: str, where: dict[str, Any]) -> None:
        """Wait until an execution of an incident, besides that of its capture, waits for an answer."""
        states = self.account.client("stepfunctions", **where)

        def asked() -> bool:
            found = states.list_executions(stateMachineArn=state_machine, statusFilter="RUNNING")["executions"]
            return any(
                event["type"] == "TaskSubmitted"
                for one in found
                if one["name"].startswith(f"{incident_id}-")
                for event in states.get_execution_history(executionArn=one["executionArn"])["events"]
            )

        self._until(f"no execution of {incident_id} waits for an approval", asked)

    def _until_workflow_ends(self, state_machine: str, where: dict[str, Any]) -> None:
        states = self.account.client("stepfunctions", **where)
        running = {"stateMachineArn": state_machine, "statusFilter": "RUNNING"}
        self._until("the workflow still runs", lambda: not states.list_executions(**running)["executions"])

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        from tapstack.rehearsal.report.page import TimedStep

        self._say_with_time(name)
        begin = time.monotonic()
        with self.progress.doing(f"{name[0].lower()}{name[1:]}"):
            yield
        self.steps.append(TimedStep(name, time.monotonic() - begin))

    def _say_with_time(self, line: str) -> None:
        elapsed = int(time.monotonic() - self.begin)
        self.progress.say(f"[{elapsed // 60}:{elapsed % 60:02}] {line}")

    def _say(self, line: str) -> None:
        self.progress.say(f"{_INDENT}{line}")


def _check_capture(path: Path, hosts: Sequence[str]) -> None:
    """Refuse a capture of which nothing can be played, before minutes have passed.

    Raises:
        UserError: says why.
        OSError: it cannot be read.
    """
    from tapstack.rehearsal.wire.played import read_packets

    if not hosts:
        raise UserError("--pcap needs --pcap-host, the address in the capture whose packets are the instance's")
    try:
        next(read_packets(path, hosts, 0))
    except (CaptureError, RuleViolation, ValueError) as error:
        raise UserError(str(error)) from None


def _destroy(stack: SiteDeployment, ready: Callable[[], None]) -> None:
    ready()
    stack.destroy()


def _instance_named(ec2: Any, name: str) -> str:
    filters = [{"Name": "tag:Name", "Values": [name]}, {"Name": "instance-state-name", "Values": ["running"]}]
    found: Callable[..., Any] = ec2.describe_instances
    return str(found(Filters=filters)["Reservations"][0]["Instances"][0]["InstanceId"])


def _incident_of(api: IncidentApi, alert_id: str) -> Any:
    """Return the open incident of an alert; None where there is none."""
    found = api.get("/incidents", {"state": "open"})["incidents"]
    return next((one for one in found if one["alert_id"] == alert_id), None)


def _sweeps(function: str) -> bool:
    return function.endswith("-sweeper")


def _tags(ec2: Any, instance_id: str) -> list[dict[str, str]]:
    """Return the tags of an instance, as GuardDuty has them."""
    found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    return [{"key": tag["Key"], "value": tag["Value"]} for tag in found.get("Tags", ())]


def _finding(instance_id: str, tags: list[dict[str, str]], region: str, account_id: str) -> dict[str, Any]:
    """Return an event of GuardDuty about the instance, seen now."""
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "detail": {
            "id": "4711" * 8,
            "type": "Backdoor:EC2/C&CActivity.B",
            "severity": 8.0,
            "accountId": account_id,
            "region": region,
            "title": "EC2 instance communicates with a command and control server",
            "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": instance_id, "tags": tags}},
            "service": {"resourceRole": "ACTOR", "count": 1, "eventLastSeen": as_text(utc_now()), "archived": False},
        },
    }


def _groups(ec2: Any, instance_id: str) -> dict[str, tuple[str, ...]]:
    """Return the names of the security groups of each interface of an instance."""
    attached = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    found = ec2.describe_network_interfaces(Filters=attached)["NetworkInterfaces"]
    return {
        interface["NetworkInterfaceId"]: tuple(group["GroupName"] for group in interface["Groups"])
        for interface in sorted(found, key=lambda one: one["Attachment"]["DeviceIndex"])
    }

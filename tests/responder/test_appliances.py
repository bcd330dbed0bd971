"""The appliance is launched once, shared, and retired when no incident needs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from strictmoto.account import REGION
from strictmoto.faults import Fault
from tapstack.domain.incidents import TAG_DEPLOYMENT, TAG_INCIDENT, TAG_SITE, as_text, utc_now
from tapstack.rehearsal.packet_basics import vendor_client
from tapstack.responder.appliance import stacks
from tapstack.responder.appliance import steps as appliance_steps
from tapstack.responder.capture import steps as capture_steps
from tapstack.responder.errors import ApplianceFailed, TryAgain
from tapstack.responder.incident.steps import what_is_in_place
from tapstack.responder.store import appliance as stored
from tapstack.responder.store import captures, incidents
from tests.responder.conftest import Site, change, configure, item, prepared, tags
from tests.responder.test_capturing import KINDS
from tests.sampling import sampled

NAME = "tap-frankfurt-epb"


def ready(incident: str) -> None:
    """Call `ensure` as the workflow does."""
    for _ in range(5):
        if appliance_steps.ensure(incident)["status"] == "ready":
            return
    raise AssertionError("it does not become ready")


def test_when_an_appliance_exists_then_it_is_ready_without_a_call(site: Site) -> None:
    incident = prepared(site.instance()[0])
    site.account.recorder.clear()
    assert appliance_steps.ensure(incident) == {"status": "ready"}
    assert item(incident)["appliance"]["portal_url"] == "https://10.0.0.9"
    assert appliance_steps.release(incident) == {"retire": False, "after_seconds": 0}
    assert appliance_steps.retire(incident) == {"status": "kept"}
    assert site.calls("cloudformation") == []


def test_when_none_exists_then_a_stack_is_created_beside_the_instance_and_shared_by_its_captures(
    launching: Site,
) -> None:
    instance, interface = launching.instance()
    incident = prepared(instance)
    assert appliance_steps.ensure(incident) == {"status": "wait"}
    assert item(incident)["state"] == "launching"
    ready(incident)
    [create] = launching.account.recorder.records(action="CreateStack")
    assert create.call.parameters["OnFailure"] == "DELETE"
    [session] = launching.ours(interface)
    assert tags(session)[TAG_INCIDENT] == incident
    held = captures.get(interface)
    assert held is not None
    assert (held.session_id, held.holders) == (session["TrafficMirrorSessionId"], frozenset({incident}))
    shown = item(incident)["appliance"]
    assert shown["state"] == "ready"
    assert shown["portal_url"].startswith("https://10.0.")
    assert "Credentials" not in str(incidents.get(incident))
    # The session of the stack is the incident's.
    assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
    assert len(launching.ours()) == 1
    capture_steps.stop(incident)
    assert launching.ours() == []
    assert appliance_steps.release(incident) == {"retire": True, "after_seconds": 1800}
    assert appliance_steps.retire(incident) == {"status": "gone"}
    assert appliance_steps.retire(incident) == {"status": "gone"}
    assert stacks.describe(NAME) is None
    assert item(incident)["appliance"]["state"] == "gone"


@pytest.mark.parametrize(("hours", "fails"), [(4, False), (6, True)])
def test_fails_when_it_is_not_ready_for_hours(launching: Site, hours: int, fails: bool) -> None:
    incident = prepared(launching.instance()[0])
    change(incident, "SET opened_at = :then", then=as_text(utc_now() - timedelta(hours=hours)))
    said = pytest.raises(ApplianceFailed, match="the appliance was not ready within 5 hours")
    with said if fails else nullcontext():
        assert appliance_steps.ensure(incident) == {"status": "wait"}
    # Closing deletes it.
    assert what_is_in_place(incidents.get(incident)) == [f"CloudFormation stack {NAME}, which is launching"]


@pytest.mark.long
def test_when_many_incidents_open_at_once_then_there_is_one_stack(launching: Site) -> None:
    instance, _ = launching.instance()
    with ThreadPoolExecutor(10) as pool:
        storm = list(pool.map(lambda _: prepared(instance), range(10)))
        list(pool.map(ready, storm))
    assert len(launching.account.recorder.records(action="CreateStack")) == 1
    assert stored.get().holders == frozenset(storm)
    # It goes with the last one only.
    releases = [appliance_steps.release(incident)["retire"] for incident in storm]
    assert releases == [False] * 9 + [True]
    assert appliance_steps.retire(storm[0]) == {"status": "kept"}
    assert appliance_steps.retire(storm[-1]) == {"status": "gone"}


def test_when_an_incident_opens_before_the_appliance_is_retired_then_it_stays(launching: Site) -> None:
    first, second = (prepared(launching.instance()[0]) for _ in range(2))
    ready(first)
    appliance_steps.release(first)
    ready(second)
    assert appliance_steps.retire(first) == {"status": "kept"}
    assert stacks.describe(NAME) is not None
    said = [[(entry["what"], entry["detail"]) for entry in incidents.timeline(one)] for one in (first, second)]
    assert ("launching", f"stack {NAME}") in said[0]
    assert ("uses the appliance", f"stack {NAME}") in said[1]
    assert "launching" not in dict(said[1])


def test_when_an_incident_opens_while_the_appliance_is_deleted_then_another_is_launched(launching: Site) -> None:
    first, second = (prepared(launching.instance()[0]) for _ in range(2))
    ready(first)
    capture_steps.start(first)
    capture_steps.stop(first)
    appliance_steps.release(first)
    before = stored.get()
    assert stored.begin_retirement(before) is not None
    # The function that retires was killed here.
    assert appliance_steps.ensure(second) == {"status": "wait"}
    ready(second)
    assert stored.get().stack_id != before.stack_id
    assert len(launching.account.recorder.records(action="CreateStack")) == 2


def test_when_an_earlier_capture_of_the_suspect_is_ending_then_it_is_ready_and_starting_ends_that(
    launching: Site,
) -> None:
    instance, interface = launching.instance()
    earlier, incident = prepared(instance), prepared(instance)
    before = captures.acquire(interface, earlier)
    # The function that stopped it was killed here.
    released = captures.release(interface, [earlier])
    assert before is not None
    assert released is not None
    assert released.ending
    ready(incident)
    assert capture_steps.start(incident) == {"mirrored": 1, "refused": 0}
    [session] = launching.sessions()
    now = captures.get(interface)
    assert now is not None
    assert now.session_id == session["TrafficMirrorSessionId"]
    assert now.generation > before.generation


def test_when_cloudformation_does_not_show_the_resources_yet_then_the_step_is_tried_again(launching: Site) -> None:
    incident = prepared(launching.instance()[0])
    launching.account.faults.add(Fault("DescribeStackResources", "late"))
    appliance_steps.ensure(incident)
    with pytest.raises(TryAgain, match="does not exist"):
        appliance_steps.ensure(incident)
    ready(incident)


def test_fails_when_the_creation_fails_and_nothing_is_left(launching: Site) -> None:
    instance, interface = launching.instance()
    incident = prepared(instance)
    # Somebody else takes the number before the stack does.
    launching.session_of_others(interface, 1)
    appliance_steps.ensure(incident)
    with pytest.raises(ApplianceFailed, match=r"stack tap-frankfurt-epb failed: Session \(AWS::EC2::TrafficMirrorSe"):
        ready(incident)
    assert stacks.describe(NAME) is None
    assert item(incident)["appliance"]["state"] == "failed"


def test_fails_when_another_saw_the_launch_fail(launching: Site) -> None:
    instance, interface = launching.instance()
    first, second = prepared(instance), prepared(instance)
    launching.session_of_others(interface, 1)
    appliance_steps.ensure(first)
    held = stored.hold(second)
    assert held is not None
    change(second, "SET waits_for_launch = :generation", generation=held.generation)
    with pytest.raises(ApplianceFailed):
        ready(first)
    with pytest.raises(ApplianceFailed, match="stack tap-frankfurt-epb failed"):
        appliance_steps.ensure(second)
    # The next one tries anew.
    third = prepared(instance)
    ready(third)


def test_fails_when_cloudformation_refuses_the_request(launching: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(launching.settings["appliance"]["launch"]["parameters"], "Surprise", "x")
    configure(monkeypatch, launching, launching.settings["appliance"])
    with pytest.raises(ApplianceFailed, match="CloudFormation refuses the stack tap-frankfurt-epb: ValidationError"):
        appliance_steps.ensure(prepared(launching.instance()[0]))


class TestCapabilities:
    """What a template may do besides is given where it asks for it, and where the settings allow it."""

    def publish(self, launching: Site, monkeypatch: pytest.MonkeyPatch, *given: str) -> None:
        """Have the template make a role, and the settings give it these capabilities."""
        launch = launching.settings["appliance"]["launch"]
        bucket, _, key = urlsplit(launch["template_url"]).path.lstrip("/").partition("/")
        s3 = vendor_client(REGION)
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        s3.put_object(Bucket=bucket, Key=key, Body=body.replace("\nOutputs:", f"{_MAKES_A_ROLE}\nOutputs:").encode())
        monkeypatch.setitem(launch, "capabilities", list(given))
        # Who may make the role is another question.
        monkeypatch.setitem(launch, "role_arn", None)
        configure(monkeypatch, launching, launching.settings["appliance"])
        launching.account.recorder.clear()

    def test_fails_when_the_template_asks_for_more_than_it_is_given(
        self, launching: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.publish(launching, monkeypatch)
        incident = prepared(launching.instance()[0])
        with pytest.raises(ApplianceFailed) as refused:
            appliance_steps.ensure(incident)
        assert str(refused.value) == (
            "the template of the stack tap-frankfurt-epb asks for CAPABILITY_IAM ('The following resource(s) "
            "require capabilities: [AWS::IAM::Role]'), and the settings give it nothing; inspect the roles in the "
            "template, then allow the capabilities it requires, and deploy: response.appliance.launch.capabilities in "
            "the deployment file"
        )
        assert launching.account.recorder.records(action="CreateStack") == []
        assert stored.get().state == "absent"

    @pytest.mark.parametrize("given", ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"])
    def test_when_the_settings_give_it_then_it_is_launched(
        self, launching: Site, monkeypatch: pytest.MonkeyPatch, given: str
    ) -> None:
        self.publish(launching, monkeypatch, given, "CAPABILITY_AUTO_EXPAND")
        ready(prepared(launching.instance()[0]))
        [create] = launching.account.recorder.records(action="CreateStack")
        assert create.requested["Capabilities"] == [given]

    def test_when_the_template_asks_for_none_then_it_gets_none(
        self, launching: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(launching.settings["appliance"]["launch"], "capabilities", ["CAPABILITY_IAM"])
        configure(monkeypatch, launching, launching.settings["appliance"])
        ready(prepared(launching.instance()[0]))
        [create] = launching.account.recorder.records(action="CreateStack")
        assert not create.requested.get("Capabilities")

    def test_fails_when_the_template_is_not_there(self, launching: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        url = "https://s3.amazonaws.com/nowhere/epb.template"
        monkeypatch.setitem(launching.settings["appliance"]["launch"], "template_url", url)
        configure(monkeypatch, launching, launching.settings["appliance"])
        with pytest.raises(
            ApplianceFailed, match="CloudFormation refuses the stack tap-frankfurt-epb: ValidationError"
        ):
            appliance_steps.ensure(prepared(launching.instance()[0]))


_MAKES_A_ROLE = """
  ApplianceRole:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement: [{Effect: Allow, Principal: {Service: ec2.amazonaws.com}, Action: "sts:AssumeRole"}]
"""


def test_fails_when_a_stack_of_others_has_the_name(launching: Site) -> None:
    launch = launching.settings["appliance"]["launch"]
    parameters = {
        key: str(value).lower() if key == "PublicEIP" else value for key, value in launch["parameters"].items()
    }
    launching.client("cloudformation").create_stack(
        StackName=NAME,
        TemplateURL=launch["template_url"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    with pytest.raises(ApplianceFailed, match="that no incident of this deployment launched"):
        appliance_steps.ensure(prepared(launching.instance()[0]))
    assert stacks.describe(NAME) is not None


@pytest.mark.parametrize("forged", [{}, {TAG_DEPLOYMENT: "tap", TAG_SITE: "frankfurt"}], ids=["name", "our tags too"])
def test_when_another_target_and_filter_have_the_stacks_names_then_they_are_not_used(
    launching: Site, monkeypatch: pytest.MonkeyPatch, forged: dict[str, str]
) -> None:
    """Where the template nests them: packets must not go to any target that has that name."""
    monkeypatch.setattr(stacks, "resources", lambda stack: {})
    for kind in ("target", "filter"):
        of = {"NetworkInterfaceId": launching.instance()[1]} if kind == "target" else {}
        named = {"Name": f"{NAME}.{kind}", **forged}
        tagged = [{"Key": key, "Value": value} for key, value in named.items()]
        getattr(launching.client("ec2"), f"create_traffic_mirror_{kind}")(
            **of, TagSpecifications=[{"ResourceType": f"traffic-mirror-{kind}", "Tags": tagged}]
        )
    ready(prepared(launching.instance()[0]))
    found = launching.client("ec2").describe_traffic_mirror_targets(TrafficMirrorTargetIds=[stored.get().target_id])
    made = {tag["Key"]: tag["Value"] for tag in found["TrafficMirrorTargets"][0]["Tags"]}
    assert made["aws:cloudformation:stack-name"] == NAME


def test_when_the_stack_was_deleted_then_it_is_launched_again(launching: Site) -> None:
    first, second = (prepared(launching.instance()[0]) for _ in range(2))
    ready(first)
    launching.client("cloudformation").delete_stack(StackName=NAME)
    ready(second)
    assert len(launching.account.recorder.records(action="CreateStack")) == 2
    assert stacks.describe(NAME) is not None


def test_when_the_function_was_killed_before_it_asked_for_the_stack_then_the_next_call_asks(launching: Site) -> None:
    incident = prepared(launching.instance()[0])
    held = stored.hold(incident)
    assert held is not None
    assert stored.begin_launch(held, incident, None) is not None
    ready(incident)
    assert len(launching.account.recorder.records(action="CreateStack")) == 1


@sampled(
    "action", ["CreateStack", "DescribeStacks", "DescribeStackResources", "GetTemplateSummary", "UpdateItem"], every=4
)
def test_when_a_call_of_ensure_fails_once_then_it_becomes_ready(launching: Site, action: str) -> None:
    instance, _ = launching.instance()
    for kind in KINDS:
        incident = prepared(instance)
        launching.account.faults.add(Fault(action, kind))
        ready(incident)
        launching.account.faults.clear()
        capture_steps.stop(incident)
        appliance_steps.release(incident)
        assert appliance_steps.retire(incident) == {"status": "gone"}
        assert launching.ours() == []


@sampled("action", ["DeleteStack", "DescribeStacks", "UpdateItem"], every=3)
def test_when_a_call_of_retire_fails_once_then_the_appliance_is_deleted(launching: Site, action: str) -> None:
    instance, _ = launching.instance()
    for kind in KINDS:
        incident = prepared(instance)
        ready(incident)
        capture_steps.start(incident)
        capture_steps.stop(incident)
        appliance_steps.release(incident)
        launching.account.faults.add(Fault(action, kind))
        assert appliance_steps.retire(incident) == {"status": "gone"}
        launching.account.faults.clear()
        assert stacks.describe(NAME) is None

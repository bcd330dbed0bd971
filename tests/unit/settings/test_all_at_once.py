"""One report names every problem of a file, and nothing that only follows from another one."""

import pytest

from tests.unit.settings.reading import APPLIANCE, SITE, USABLE, report


def fields(text: str) -> list[str]:
    """The places that the report names."""
    return [line.split(": ")[1] for line in report(text)]


def test_when_a_target_has_an_unknown_key_then_its_kinds_are_not_counted() -> None:
    assert fields(USABLE + "    targets: {y: {preset: web}}\n") == ["sites.production.targets.y.preset"]


def test_fails_when_a_preset_is_wrong_and_names_what_is_wrong_behind_it_too() -> None:
    text = (
        SITE
        + APPLIANCE.replace("10.20.0.0/16", "0.0.0.0/0")
        + """\
    filters:
      web: {preset: wbe}
      own: {rules: [{direction: egress, source_ports: 80}], vpc_cidrs: [10.0.0.1/8]}
    targets:
      tmt-a: {network_interface_id: eni-0123abcd}
      both: {network_interface_id: eni-0123abce, gateway_load_balancer_endpoint_id: vpce-0123abcd}
    sessions:
      one: {target: both, filter: web, sources: [eni-0123abcd, eni-1, eni-0123abcf, eni-0123abcf]}
      two: {target: nowhere, filter: own, packet_length: 0, sources: [{subnet_id: subnet-0123abcd, session_number: 4}]}
    response:
      capture: {minutes: 90, max_minutes: 60}
      policy: [{name: p, action: contain_now}, {name: p, action: dance}]
      notify: {topic_arns: ["arn:aws:sns:eu-west-1:111122223333:a"]}
  second:
    region: eu-central-1
    vpc_id: nothing
    targets: {t: {network_interface_id: eni-0123aaaa}}
    sessions: {s: {target: t, filter: tmf-0123abcd, sources: [eni-0123abcf]}}
"""
    )
    assert fields(text) == [
        "sites.production.packet_basics.remote_access_cidr",
        "sites.production.filters.web.preset",
        "sites.production.filters.own",
        "sites.production.filters.own.rules[0]",
        "sites.production.filters.own.vpc_cidrs[0]",
        "sites.production.targets.tmt-a",
        "sites.production.targets.both",
        "sites.production.sessions.one.sources[0]",
        "sites.production.sessions.one.sources[1]",
        "sites.production.sessions.one.sources[3]",
        "sites.production.sessions.two.packet_length",
        "sites.production.sessions.two.sources[0]",
        "sites.production.sessions.two.target",
        "sites.production.response.capture.minutes",
        "sites.production.response.policy[0].action",
        "sites.production.response.policy[1].action",
        "sites.production.response.notify.topic_arns[0]",
        "sites.second.vpc_id",
        "sites.second.sessions.s.sources[0]",
    ]


def test_fails_when_the_yaml_is_wrong_in_places_and_names_what_is_wrong_elsewhere_too() -> None:
    text = "project: ${a}\nproject: b\ntags: {x: !!int y}\n" + USABLE + "    regoin: a\n    filters: {f: {preset: x}}\n"
    assert fields(text) == [
        "project",
        "project",
        "tags.x",
        "sites.production.regoin",
        "sites.production.filters.f.preset",
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(USABLE.replace("region: eu-central-1", "regoin: eu-central-1"), id="a key of the wrong name"),
        pytest.param(SITE + APPLIANCE.replace("packet_basics", "packetbasics"), id="the appliance's key is wrong"),
        pytest.param(SITE + APPLIANCE.replace("packet_basics", "sensor"), id="a key that is near none"),
        pytest.param(SITE + APPLIANCE.replace("10.20.0.0/16", "anywhere"), id="a range is wrong"),
        pytest.param(USABLE + "    sessions: {s: {sources: [eni-1]}}\n", id="the only source is wrong"),
        pytest.param(USABLE + "    sessions: {s: {sources: [5]}}\n", id="a source is a number"),
        pytest.param(
            USABLE + "    targets: {t: {network_interface_id: eni-1}}\n"
            "    sessions: {s: {target: t, sources: [eni-0123abcd]}}\n",
            id="a target is wrong",
        ),
        pytest.param(
            USABLE + "    targets: {t: 5}\n    sessions: {s: {target: t, sources: [eni-0123abcd]}}\n",
            id="a target is a number",
        ),
        pytest.param(
            USABLE + "    targets: {T: {network_interface_id: eni-0123abcd}}\n"
            "    sessions: {s: {target: T, sources: [eni-0123abce]}}\n",
            id="the name of a target is wrong",
        ),
        pytest.param(
            USABLE + "    filters: [a]\n    sessions: {s: {filter: a, sources: [eni-0123abcd]}}\n",
            id="the filters are a list",
        ),
        pytest.param(USABLE + "    filters: {f: {presett: web}}\n", id="the preset's key is wrong"),
        pytest.param(USABLE + "    filters: {f: {preset: 5}}\n", id="the preset is a number"),
        pytest.param(USABLE + "    filters: {f: {preset: '${x}'}}\n", id="the preset is an expression"),
        pytest.param(USABLE + "    response: {capture: {minutes: 90, max_minutes: x}}\n", id="a number is text"),
        pytest.param(USABLE + "    response: {containment: {modes: [later], approval: {}}}\n", id="a mode is wrong"),
        pytest.param("backend: {s3: 5}\n" + USABLE, id="the backend is a number"),
        pytest.param("sites: {a: 5}\n", id="a site is a number"),
        pytest.param("sites: 5\n", id="the sites are a number"),
        pytest.param(
            SITE.replace("eu-central-1", "'${x}'")
            + APPLIANCE
            + SITE.partition("\n")[2].replace("production", "b")
            + APPLIANCE,
            id="the Region of one of two sites is an expression",
        ),
    ],
)
def test_fails_when_one_thing_is_wrong_and_does_not_name_what_follows_from_it(text: str) -> None:
    assert len(report(text)) == 1


def test_fails_when_an_account_id_is_read_as_a_number_and_shows_it_as_it_was_written() -> None:
    assert report(USABLE + "    allowed_account_ids: [111122223333, 012345670123]\n") == [
        f"deployment.yaml:9: sites.production.allowed_account_ids[{n}]: {message}"
        for n, message in enumerate(
            [
                "expected text (put it in quotes), got 111122223333",
                "YAML reads this as the number 1402433619: expected the id of an account in quotes, "
                "'012345670123', got 012345670123",
            ]
        )
    ]


def test_fails_when_keys_are_misspelt_and_names_what_is_wrong_below_them_too() -> None:
    text = (
        "tgas: {a: 1.50}\n"
        + SITE
        + """\
    filtesr: {web: {presett: wbe}, own: {rules: [{directoin: egrees, prtocol: tpc}]}}
    packet_bascis: {subnt_id: subnet-1, template_url: 'http://x', remote_access_cidr: 0.0.0.0/0}
    sesions: {a: {filter: wbe, sources: [{tgas: {a: 5}}, eni-1]}}
"""
    )
    lines = report(text)
    assert [(line.split(":")[1], line.split(": ")[1]) for line in lines] == [
        ("1", "tgas"),
        ("1", "tgas.a"),
        *(
            ("6", f"sites.production.{field}")
            for field in (
                "filtesr",
                *("filtesr.own.rules[0].directoin", "filtesr.own.rules[0].directoin"),
                *("filtesr.own.rules[0].prtocol", "filtesr.own.rules[0].prtocol"),
                *("filtesr.web.presett", "filtesr.web.presett"),
            )
        ),
        ("7", "sites.production.packet_bascis"),
        ("7", "sites.production.packet_bascis.remote_access_cidr"),
        ("7", "sites.production.packet_bascis.subnt_id"),
        ("7", "sites.production.packet_bascis.subnt_id"),
        ("7", "sites.production.packet_bascis.template_url"),
        ("8", "sites.production.sesions"),
        ("8", "sites.production.sesions.a.filter"),
        ("8", "sites.production.sesions.a.sources[0].tgas"),
        ("8", "sites.production.sesions.a.sources[0].tgas.a"),
        ("8", "sites.production.sesions.a.sources[1]"),
    ]
    assert lines[1] == "deployment.yaml:1: tgas.a: expected text (put it in quotes), got 1.50"
    assert "no filter of this name: did you mean web? " in lines[15]


@pytest.mark.parametrize("second", ["filters", "filterss"])
def test_fails_when_a_key_is_misspelt_beside_the_right_one_and_leaves_both_as_they_are(second: str) -> None:
    text = USABLE + f"    filtesr: {{f: {{preset: web}}}}\n    {second}: {{f: {{preset: 5}}}}\n"
    assert (
        fields(text)
        == {
            "filters": ["sites.production.filtesr", "sites.production.filters.f.preset"],
            "filterss": ["sites.production.filtesr", "sites.production.filterss"],
        }[second]
    )


def test_fails_when_an_anchor_is_below_a_misspelt_key_and_reads_it_elsewhere_as_it_is() -> None:
    text = USABLE.replace("sites:\n", "tags: &t {tapstack:a: x}\nsites:\n") + "    tgas: *t\n"
    assert set(fields(text)) == {"tags.tapstack:a", "sites.production.tgas", "sites.production.tgas.tapstack:a"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("    remove_packet_basics: yes\n", "got yes"),
        ("    remove_packet_basics: True\n", "got True"),
        ("    response: {policy: [{name: a, action: capture, severity: {at_least: 70}}]}\n", "got 70"),
        ("    sessions: {s: {sources: [eni-0123abcd], session_number: 1.50}}\n", "got 1.50"),
        (
            "    filters: {f: {rules: [{direction: ingress, protocol: tcp, destination_ports: 1.0e+3}]}}\n",
            "got 1.0e+3",
        ),
        ("    response: {capture: {minutes: 10, max_minutes: 9}}\n", "got 10"),
        ("    capture_security_group: {mirrored_from: on}\n", "got on"),
        ("    allowed_account_ids: {a: [off, 7.00, ~]}\n", "got {'a': [off, 7.00, ~]}"),
        ("    targets:\n", "got nothing"),
    ],
)
def test_fails_when_a_value_is_wrong_and_shows_it_as_it_was_written(text: str, shown: str) -> None:
    # Whether the type, the field's own rule or its neighbours refuse it.
    (line,) = report(USABLE + text)
    assert line.endswith(f", {shown}")


def test_fails_when_a_tag_is_read_as_a_truth_value_and_shows_it_as_it_was_written() -> None:
    assert report("tags: {a: no, b: 12.50, c: 1.0e+3}\n" + USABLE) == [
        f"deployment.yaml:1: tags.{key}: expected text (put it in quotes), got {text}"
        for key, text in (("a", "no"), ("b", "12.50"), ("c", "1.0e+3"))
    ]

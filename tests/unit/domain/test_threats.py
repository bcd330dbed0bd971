import pytest

from tapstack.domain.threats import TACTICS, THREAT_PURPOSES, tactic_named, tactics_of


@pytest.mark.parametrize(
    ("finding_type", "tactics"),
    [
        ("Backdoor:EC2/C&CActivity.B!DNS", ("CommandAndControl",)),
        ("Backdoor:EC2/DenialOfService.Tcp", ("CommandAndControl", "Impact")),
        ("UnauthorizedAccess:EC2/SSHBruteForce", ("InitialAccess", "CredentialAccess")),
        ("UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS", ("InitialAccess", "CredentialAccess")),
        ("UnauthorizedAccess:Runtime/TorClient", ("InitialAccess", "CommandAndControl")),
        ("Trojan:EC2/DNSDataExfiltration", ("CommandAndControl", "Exfiltration")),
        ("Recon:EC2/Portscan", ("Reconnaissance", "Discovery")),
        ("Impact:EC2/MaliciousDomainRequest.Reputation", ("Impact",)),
        ("Exfiltration:S3/AnomalousBehavior", ("Exfiltration",)),
        ("Policy:IAMUser/RootCredentialUsage", ()),
        ("Behavior:EC2/NetworkPortUnusual", ()),
        ("SomethingNew:EC2/Thing", ()),
    ],
)
def test_when_a_type_is_known_then_it_has_tactics(finding_type: str, tactics: tuple[str, ...]) -> None:
    assert tactics_of(finding_type) == tactics


def test_when_a_purpose_is_in_the_table_then_attack_knows_its_tactics() -> None:
    assert {tactic for tactics in THREAT_PURPOSES.values() for tactic in tactics} <= set(TACTICS)
    assert len(set(TACTICS.values())) == len(TACTICS)


@pytest.mark.parametrize(
    ("text", "tactic"),
    [
        ("Command and Control", "CommandAndControl"),
        ("CommandAndControl", "CommandAndControl"),
        ("COMMAND_AND_CONTROL", "CommandAndControl"),
        ("TA0040", "Impact"),
        ("Defense Impairment", "DefenseEvasion"),
        ("Astrology", None),
        ("", None),
    ],
)
def test_when_a_tactic_is_written_in_any_way_then_it_is_known(text: str, tactic: str | None) -> None:
    assert tactic_named(text) == tactic

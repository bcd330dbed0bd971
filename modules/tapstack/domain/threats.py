"""The MITRE ATT&CK tactics of GuardDuty's finding types.

Sources: Amazon GuardDuty User Guide, "GuardDuty finding format" (the threat purposes; it
says which of them are ATT&CK tactics) and the pages of the finding types (what each of the
types named below reports); MITRE ATT&CK for Enterprise (the tactics).
As of 2026-11-21, from stored excerpts of these pages.
Where GuardDuty does not name a tactic, the reading is ours; a purpose that says nothing
about a tactic has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tapstack.domain.globs import matches

TACTICS: Final[Mapping[str, str]] = {
    "Reconnaissance": "TA0043",
    "ResourceDevelopment": "TA0042",
    "InitialAccess": "TA0001",
    "Execution": "TA0002",
    "Persistence": "TA0003",
    "PrivilegeEscalation": "TA0004",
    "DefenseEvasion": "TA0005",
    "CredentialAccess": "TA0006",
    "Discovery": "TA0007",
    "LateralMovement": "TA0008",
    "Collection": "TA0009",
    "CommandAndControl": "TA0011",
    "Exfiltration": "TA0010",
    "Impact": "TA0040",
}
"""ATT&CK's tactics, written as one word, with their ids."""

THREAT_PURPOSES: Final[Mapping[str, tuple[str, ...]]] = {
    # GuardDuty says that these are ATT&CK tactics.
    **{name: (name,) for name in TACTICS if name not in ("Reconnaissance", "ResourceDevelopment")},
    "DefenseImpairment": ("DefenseEvasion",),
    # Tapstack's own mapping, after GuardDuty's description of the purpose.
    "Backdoor": ("CommandAndControl",),
    "CryptoCurrency": ("Impact",),
    "Recon": ("Reconnaissance", "Discovery"),
    "Stealth": ("DefenseEvasion",),
    "Trojan": ("CommandAndControl",),
    "UnauthorizedAccess": ("InitialAccess",),
    # These purposes are about unusual behavior or policies, not about the aim of an attacker.
    "AttackSequence": (),
    "Behavior": (),
    "Object": (),
    "PenTest": (),
    "Policy": (),
}
"""The part of a finding type before the colon, and the tactics it stands for."""

RESOURCE_TYPES: Final = (
    *("EC2", "Container", "ECS", "EKS", "IAM", "IAMUser", "Kubernetes", "Lambda", "RDS", "Runtime", "S3"),
)
"""The part of a finding type between the colon and the slash."""

_FURTHER: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("Backdoor:*/DenialOfService*", ("Impact",)),
    ("Backdoor:*/Spambot*", ("Impact",)),
    ("Behavior:*/TrafficVolumeUnusual*", ("Exfiltration",)),
    ("Impact:*/PortSweep*", ("Discovery",)),
    ("Trojan:*/DNSDataExfiltration*", ("Exfiltration",)),
    ("Trojan:*/DropPoint*", ("Exfiltration",)),
    ("Trojan:*/DriveBySourceTraffic*", ("InitialAccess",)),
    ("Trojan:*/PhishingDomainRequest*", ("InitialAccess",)),
    ("UnauthorizedAccess:*/InstanceCredentialExfiltration*", ("CredentialAccess",)),
    ("UnauthorizedAccess:*/MaliciousIPCaller*", ("CommandAndControl",)),
    ("UnauthorizedAccess:*/MetadataDNSRebind*", ("CredentialAccess",)),
    ("UnauthorizedAccess:*/RDPBruteForce*", ("CredentialAccess",)),
    ("UnauthorizedAccess:*/SSHBruteForce*", ("CredentialAccess",)),
    ("UnauthorizedAccess:*/TorClient*", ("CommandAndControl",)),
    ("UnauthorizedAccess:*/TorRelay*", ("CommandAndControl",)),
)
"""Types with further tactics than those of their purpose."""

_BY_NAME: Final[Mapping[str, str]] = {
    **{name.lower(): name for name in TACTICS},
    **{id_.lower(): name for name, id_ in TACTICS.items()},
    "defenseimpairment": "DefenseEvasion",
}


def tactics_of(finding_type: str) -> tuple[str, ...]:
    """Return the ATT&CK tactics that a finding type stands for; none where it says nothing of one.

    >>> tactics_of("UnauthorizedAccess:EC2/SSHBruteForce")
    ('InitialAccess', 'CredentialAccess')
    """
    found = list(THREAT_PURPOSES.get(finding_type.partition(":")[0], ()))
    for pattern, tactics in _FURTHER:
        if matches(pattern, finding_type):
            found += tactics
    return tuple(dict.fromkeys(found))


def tactics_of_purpose(purpose: str) -> frozenset[str]:
    """Return the tactics that some finding type of a threat purpose stands for; case does not count."""
    found: set[str] = set()
    for name, tactics in (*THREAT_PURPOSES.items(), *_FURTHER):
        if name.partition(":")[0].lower() == purpose.lower():
            found.update(tactics)
    return frozenset(found)


def tactic_named(text: str) -> str | None:
    """Return the tactic that an attack sequence names, by its name or id; None for any other text.

    >>> tactic_named("Command and Control")
    'CommandAndControl'
    """
    return _BY_NAME.get("".join(character for character in text.lower() if character.isalnum()))

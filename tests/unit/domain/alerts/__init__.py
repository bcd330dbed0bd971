"""Documents of other tools, each with the preset that reads it; all are about the same instance."""

import json
from pathlib import Path
from typing import Any

from tapstack.domain.regions import AccountRegion

HOME = AccountRegion("111122223333", "eu-central-1")
INSTANCE = "i-0a000000000000001"
FILES = {
    "generic": "generic",
    "guardduty": "guardduty-event",
    "hunters": "hunters-lead",
    "securityhub": "securityhub-asff-event",
    "securityhub_ocsf": "securityhub-ocsf-event",
}


def sample(preset: str) -> dict[str, Any]:
    """The document of a preset, read anew."""
    text = (Path(__file__).parent / f"{FILES[preset]}.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found

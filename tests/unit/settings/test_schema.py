import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.unit.settings.reading import USABLE

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "deployment.schema.json").read_text(encoding="utf-8"))
"""As it is written; tests/unit/test_generate.py holds that it is up to date."""
VALIDATOR = Draft202012Validator(SCHEMA)


def described(schema: Any) -> list[tuple[str, Any]]:
    """Every property of a schema with its own schema, however deep."""
    if isinstance(schema, list):
        return [found for item in schema for found in described(item)]
    if not isinstance(schema, dict):
        return []
    return [*schema.get("properties", {}).items(), *(found for value in schema.values() for found in described(value))]


def test_when_editors_read_the_schema_then_it_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_when_the_schema_has_a_key_then_the_page_about_the_file_describes_it() -> None:
    page = (ROOT / "docs/deployment-file.md").read_text(encoding="utf-8")
    keys = {name for name, _ in described(SCHEMA)}
    assert "amazon_dns" in keys
    assert sorted(key for key in keys if f"`{key}`" not in page) == []


def test_when_the_example_is_edited_then_the_schema_accepts_it() -> None:
    text = (ROOT / "deployment.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=./deployment.schema.json\n")
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "mistake",
    [
        "    regoin: eu-central-1\n",
        "    vpc: vpc-0123abcd\n",
        "    allowed_account_ids: [111122223333]\n",
        "    allowed_account_ids: ['11112222333']\n",
        "    quarantine_security_group: maybe\n",
        "    filters: {Web: {preset: web}}\n",
        "    filters: {web: {preset: wep}}\n",
        "    filters: {f: {rules: [{direction: inbound}]}}\n",
        "    filters: {f: {rules: [{direction: ingress, number: 32767}]}}\n",
        "    filters: {f: {rules: [{direction: ingress, protocol: tcp, source_ports: 70000}]}}\n",
        "    filters: {f: {rules: [{direction: ingress, protocol: 256}]}}\n",
        "    sessions: {s: {}}\n",
        "    sessions: {s: {sources: []}}\n",
        "    sessions: {s: {sources: [eni-1]}}\n",
        "    sessions: {s: {sources: [{network_interface: eni-0123abcd}]}}\n",
        "    sessions: {s: {sources: [eni-0123abcd], session_number: 0}}\n",
        "    sessions: {s: {sources: [eni-0123abcd], session_number: 32767}}\n",
        "    sessions: {s: {sources: [eni-0123abcd], packet_length: 0}}\n",
        "    sessions: {s: {sources: [eni-0123abcd], virtual_network_id: 16777216}}\n",
        "    targets: {t: {network_interface_id: ENI-0123ABCD}}\n",
        "    targets: {t: {load_balancer: {subnet_ids: [subnet-0123abcd], instance_ids: [i-0123abcd]}}}\n",
        "    tags: {stage: 5}\n",
        "project: Tap\n",
        "backend: {s3: {bucket: state}}\n",
        "provider: {max_retries: -1}\n",
    ],
)
def test_fails_when_a_mistake_is_made_and_the_schema_refuses_it_too(mistake: str) -> None:
    VALIDATOR.validate(yaml.safe_load(USABLE))
    assert not VALIDATOR.is_valid(yaml.safe_load(USABLE + mistake))


def test_fails_when_the_template_url_is_not_https() -> None:
    assert not VALIDATOR.is_valid(yaml.safe_load(USABLE.replace("https://", "http://")))


def test_when_a_key_is_completed_then_it_has_a_description_and_examples_that_are_allowed() -> None:
    properties = described(SCHEMA)
    assert {"region", "sites", "template_url", "session_number"} <= {name for name, _ in properties}
    for name, schema in properties:
        assert schema["description"][0].isupper() or schema["description"].startswith(("`", "https")), name
        assert schema["description"].endswith("."), name
        assert "title" not in schema, name
        for form in [schema, *schema.get("anyOf", [])]:
            for example in form.get("examples", []):
                assert Draft202012Validator(form).is_valid(example), name


def test_when_a_default_is_shown_then_the_schema_accepts_it() -> None:
    definitions = SCHEMA["$defs"]
    for name, schema in described(SCHEMA):
        if "default" in schema:
            assert Draft202012Validator({"$defs": definitions, **schema}).is_valid(schema["default"]), name


def test_when_null_means_something_then_only_there_it_is_accepted() -> None:
    nullable = {
        name
        for name, schema in described(SCHEMA)
        if {"type": "null"} in schema.get("anyOf", []) or schema.get("default", ...) is None
    }
    assert nullable == {"appliance_snapshots", "retire_after_minutes"}

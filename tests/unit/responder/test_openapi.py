"""The document of the API: valid, portable, and about routes that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from scripts import openapi
from tapstack.domain.operations import ALERT_OPERATIONS
from tapstack.domain.operations import OPERATIONS as DECLARED
from tapstack.responder.api import router, schemas
from tapstack.responder.api.problems import TITLES

DOCUMENT = openapi.document("1.0")
OPERATIONS: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


@pytest.mark.thorough
def test_when_the_document_is_validated_then_it_is_openapi_3_1() -> None:
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_when_operations_are_compared_then_table_document_and_function_have_the_same() -> None:
    assert {each.route: each.id for each in (*DECLARED, *ALERT_OPERATIONS)} == {
        route: operation["operationId"] for route, operation in OPERATIONS.items()
    }
    assert {each.id for each in DECLARED} == set(router.HANDLERS)
    assert {each.body for each in DECLARED if each.body} == set(schemas.BODIES)


def test_when_the_document_refers_to_a_schema_then_it_has_that_schema() -> None:
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(DOCUMENT)))
    assert {"Open", "ContainProtected"} <= named
    assert named - set(schemas.COMPONENTS) == set()


def test_fails_when_there_is_nothing_at_an_address_and_names_every_path() -> None:
    request = {"method": "GET", "path": "/nothing"}
    refused = router.answer({"rawPath": "/nothing", "requestContext": {"http": request}})
    assert refused["statusCode"] == 404
    detail = json.loads(refused["body"])["detail"]
    paths = {each.path for each in DECLARED}
    assert set(re.findall(r"/[^ ,]+", detail)) == paths


@pytest.mark.parametrize("name", OPERATIONS)
def test_when_an_operation_is_documented_then_so_is_what_gateway_and_function_refuse_everywhere(name: str) -> None:
    responses = OPERATIONS[name]["responses"]
    kinds = {status: set(response["content"]) for status, response in responses.items()}
    either = {"application/json", "application/problem+json"}
    is_open = name == "POST /webhooks/{source}"
    assert OPERATIONS[name].get("security") == ([] if is_open else None)
    assert kinds["413"] == kinds["500"] == kinds["503"] == either
    assert kinds["401"] == ({"application/problem+json"} if is_open else either)
    assert kinds["429"] == kinds["431"] == {"application/json"}
    # A body that asks for more than its path, and whoever approves what they requested, are refused by the function.
    asks = name == "POST /incidents" or name.endswith(("/approve", "/override", "/contain", "/contain-now"))
    assert kinds.get("403") == (None if is_open else either if asks else {"application/json"})
    assert all(response["description"] for response in responses.values())


def test_when_refusals_are_looked_up_then_each_of_an_operation_is_documented() -> None:
    documented = {status for operation in OPERATIONS.values() for status in operation["responses"]}
    # Other methods and other addresses are no operations.
    assert {str(status) for status, _ in TITLES.values()} - documented == {"405"}


def test_when_a_response_links_on_then_the_operation_exists_and_takes_the_parameter() -> None:
    by_id = {operation["operationId"]: operation for operation in OPERATIONS.values()}
    links = [
        link
        for operation in OPERATIONS.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for link in links:
        names = {parameter["name"] for parameter in by_id[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names


def test_when_there_are_patterns_then_every_dialect_of_regular_expressions_takes_them() -> None:
    found = list(_patterns(DOCUMENT))
    assert found
    for pattern in found:
        assert pattern.startswith("^")
        assert pattern.endswith("$")
        # What Rust or RE2 lacks, what Python alone has, and what breaks where letters count by 16 bits.
        assert not re.search(r"\(\?(?!:)|\\[AZzGQE1-9]|\\ud[89a-f]", pattern), pattern


def _patterns(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _patterns(inner)

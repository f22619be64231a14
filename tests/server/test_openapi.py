"""The OpenAPI document: valid, whole, and true of what comes back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

# They answer, and are no part of the API: the page's files, and words for who asks with GET.
UNTOLD = {("get", "/{path}"), ("get", "/knn-service"), ("get", "/metadata")}


@pytest.fixture
def document(client: FlaskClient) -> Any:
    answer = client.get("/openapi.json")
    assert answer.mimetype == "application/json"
    return answer.json


def test_it_is_valid(document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_in_it_and_nothing_else(app: Flask, document: Any) -> None:
    there = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+?)_?>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    told = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert told == there - UNTOLD


def test_names_of_operations_are_unique(document: Any) -> None:
    names = [told["operationId"] for path in document["paths"].values() for told in path.values()]
    assert len(names) == len(set(names))


def test_a_key_is_no_must(document: Any) -> None:
    assert document["security"] == [{}, {"bearer": []}, {"key": []}]


def bodies() -> list[tuple[str, str, Any]]:
    from search_back.server.openapi import openapi

    return [
        (path, name, example["value"])
        for path, methods in openapi()["paths"].items()
        for told in methods.values()
        if "requestBody" in told
        for name, example in told["requestBody"]["content"]["application/json"]["examples"].items()
    ]


@pytest.mark.parametrize(("path", "name", "body"), bodies())
def test_its_examples_are_understood(client: FlaskClient, path: str, name: str, body: Any) -> None:
    """Ids and vectors are those of some index: this one may not have them."""
    answer = client.post(path, data=json.dumps(body))
    understood = {200, 404} if "id" in json.dumps(body) else {200}
    if name == "a-vector":
        assert answer.json["code"] == "dimension_mismatch"
    else:
        assert answer.status_code in understood, answer.text

"""A short run of what ``python -m tests.abuse.fuzz`` does for long."""

from __future__ import annotations

from flask import Flask

from tests.abuse.fuzz import fuzz


def test_no_request_of_some_hundreds_gets_an_answer_that_the_document_does_not_tell(
    app: Flask,
) -> None:
    found = fuzz(app, count=400)
    assert found.requests > 300
    assert not found.faults, "\n".join(f"{k}\n{v}" for k, v in found.faults.items())
    assert {200, 400} <= set(found.statuses)

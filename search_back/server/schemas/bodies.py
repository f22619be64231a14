"""Reading a body: whatever its content type says, with every wrong field named."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json

from search_back.errors import InputError

MAX_ID = 2**63 - 1
# A person reads the first few.
MAX_ERRORS = 20
# A value takes a hundred times its bytes to check, and 32 MB hold sixteen million.
MAX_VALUES = 500_000
# Each unknown one is told: no object that means well has as many.
MAX_FIELDS = 100
_SHOWN = 80
# What a field may hold one or the other of; where an error is tells which, and it is no field.
BRANCHES = ("(list)", "(text)")


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def null_is(default: object) -> BeforeValidator:
    """Null and the empty string stand for a default."""
    return BeforeValidator(lambda value: default if value is None or value == "" else value)


BLANK_IS_NONE = BeforeValidator(_blank_is_none)
OptionalText = Annotated[str | None, BLANK_IS_NONE]
Flag = Annotated[bool, null_is(False)]
Pictures = Literal["inline", "link", "none"]
# What is wrong with the first is told; a million errors would take gigabytes.
Numbers = Annotated[list[float], Field(fail_fast=True)]
Names = Annotated[list[str], Field(fail_fast=True)]


class Body(BaseModel):
    """Fields nobody knows are ignored: clients send more than they need."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            raise ValueError(f"an object has at most {MAX_FIELDS} fields")
        return value


class InvalidBody(InputError):
    """A body that does not fit; ``errors`` says where, where it is about fields."""

    def __init__(self, what: str, errors: list[dict[str, str]], *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.errors = errors

    @property
    def code(self) -> str:
        return "invalid_field" if self.errors else "invalid_body"


B = TypeVar("B", bound=Body)


def parse(model: type[B], body: bytes) -> B:
    """Read a JSON body, whatever its content type says; raises ``InvalidBody``."""
    try:
        return model.model_validate(_json_object(body))
    except ValidationError as error:
        found = [_field_error(e) for e in error.errors(include_url=False)[:MAX_ERRORS]]
        first = found[0]
        if not first["field"]:
            raise InvalidBody(first["message"], [], remedy="send a JSON object") from error
        raise InvalidBody(f"{first['field']}: {first['message']}", found) from error


def _json_object(body: bytes) -> dict[str, Any]:
    """What a body holds, where that is not so much that checking it would keep others waiting."""
    remedy = "send a JSON object"
    if body.count(b",") >= MAX_VALUES:
        raise InvalidBody(f"a body holds at most {MAX_VALUES} values", [], remedy="send less")
    try:
        found = from_json(body or b"{}", allow_inf_nan=True)
    except ValueError as error:
        raise InvalidBody(f"Invalid JSON: {error}", [], remedy=remedy) from error
    if not isinstance(found, dict):
        raise InvalidBody("Input should be an object", [], remedy=remedy)
    return found


def _field_error(error: Any) -> dict[str, str]:
    names = [
        str(part)
        for part in error["loc"]
        if part not in BRANCHES and not str(part).startswith("constrained")
    ]
    message = str(error["msg"])
    if names and error["type"] != "missing":
        shown = repr(error["input"])
        message += f" (got: {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''})"
    return {"field": ".".join(names), "message": message}

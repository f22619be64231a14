"""What comes in over HTTP: bodies read and checked, in the names of clip-retrieval's clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from search_back.errors import InputError

MAX_ID = 2**63 - 1
# A body may hold a million wrong numbers; a person reads the first few.
MAX_ERRORS = 20
_SHOWN = 80


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def _null_is(default: object) -> BeforeValidator:
    return BeforeValidator(lambda value: default if value is None or value == "" else value)


OptionalText = Annotated[str | None, BeforeValidator(_blank_is_none)]
Flag = Annotated[bool, _null_is(False)]
Pictures = Literal["inline", "link", "none"]


class Body(BaseModel):
    """Fields nobody knows are ignored: clients send more than they need."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class KnnRequest(Body):
    """``POST /knn-service``."""

    text: OptionalText = None
    image: OptionalText = None
    image_url: OptionalText = None
    embedding_input: list[float] | None = None
    id: Annotated[int, Field(ge=0, le=MAX_ID)] | None = None
    modality: Annotated[Literal["image", "text"], _null_is("image")] = "image"
    num_images: Annotated[Annotated[int, Field(ge=0)], _null_is(40)] = 40
    num_result_ids: Annotated[int, Field(ge=0)] | None = None
    indice_name: OptionalText = None
    use_mclip: Flag = False
    deduplicate: Flag = False
    use_safety_model: Flag = False
    use_violence_detector: Flag = False
    aesthetic_score: Annotated[
        Annotated[int, Field(ge=0, le=9)] | None, BeforeValidator(_blank_is_none)
    ] = None
    aesthetic_weight: Annotated[float, _null_is(0.5)] = 0.5
    images: Annotated[Pictures, _null_is("inline")] = "inline"


class MetadataRequest(Body):
    """``POST /metadata``."""

    ids: list[int]
    indice_name: OptionalText = None
    images: Annotated[Pictures, _null_is("inline")] = "inline"


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
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        found = [_field_error(e) for e in error.errors(include_url=False)[:MAX_ERRORS]]
        first = found[0]
        if not first["field"]:
            raise InvalidBody(first["message"], [], remedy="send a JSON object") from error
        raise InvalidBody(f"{first['field']}: {first['message']}", found) from error


def _field_error(error: Any) -> dict[str, str]:
    # The branches of a union are no fields.
    names = [str(part) for part in error["loc"] if not str(part).startswith("constrained")]
    message = str(error["msg"])
    if names and error["type"] != "missing":
        shown = repr(error["input"])
        message += f" (got: {shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''})"
    return {"field": ".".join(names), "message": message}

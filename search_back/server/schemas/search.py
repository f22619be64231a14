"""The body of ``POST /v1/search``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from search_back.server.schemas.bodies import (
    BRANCHES,
    MAX_ID,
    Body,
    Flag,
    Names,
    Numbers,
    OptionalText,
    Pictures,
    null_is,
)

Id = Annotated[int, Field(ge=0, le=MAX_ID)]
# Above any max_query_terms: those past it are not even checked.
MAX_TERMS = 10_000
KINDS = ("text", "image", "image_url", "embedding", "id")


class TermModel(Body):
    """Exactly one thing to search for; away from it where its weight is below 0."""

    # A misspelt kind would be a term that asks for nothing.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    text: str | None = Field(None, description="Words.")
    image: str | None = Field(
        None, description="A picture file in base64, with or without `data:` before it."
    )
    image_url: str | None = Field(None, description="Where a picture is: http, https or data.")
    embedding: Numbers | None = Field(
        None, description="A vector of the index's length, of any norm but 0."
    )
    id: Id | None = Field(None, description="An item of the index.")
    weight: float = Field(1.0, ge=-1000, le=1000, description="Below 0: away from it.")

    @model_validator(mode="after")
    def _one_kind(self) -> TermModel:
        given = [kind for kind in KINDS if getattr(self, kind) not in (None, "")]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(KINDS)}")
        return self


class SearchRequest(Body):
    """A query of any number of terms, and what to do with what is found."""

    # A misspelt field would be a wish that is not heard.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    query: Annotated[
        Annotated[list[TermModel], Field(max_length=MAX_TERMS), Tag(BRANCHES[0])]
        | Annotated[str, Tag(BRANCHES[1])],
        Discriminator(lambda value: BRANCHES[isinstance(value, str)]),
    ] = Field(description="Terms, or a line such as `2:golden retriever + #543 - leash`.")
    index: OptionalText = Field(None, description="Its name; the first one where it is left out.")
    modality: Annotated[Literal["image", "text"], null_is("image")] = Field(
        "image", description="Which vectors of the index to search."
    )
    k: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many hits, at most; 40 where it is left out."
    )
    cursor: OptionalText = Field(None, description="From an earlier answer: go on behind it.")
    columns: Names | None = Field(
        None, description="Metadata columns of the hits; those the index is served with if null."
    )
    pictures: Annotated[Pictures, null_is("link")] = Field(
        "link", description="How pictures come: as base64, as addresses, or not."
    )
    placeholders: Flag = Field(
        False, description="With `pictures: link`: what they look like from afar, where known."
    )
    filter: OptionalText = Field(
        None, description="Which rows may be found: `width > 512 and caption contains 'dog'`."
    )
    threshold: float | None = Field(None, description="The least similarity.")
    deduplicate: Flag = Field(False, description="One hit of those that look the same.")
    deduplicate_by: OptionalText = Field(None, description="One hit of each value of a column.")
    group_by: OptionalText = Field(None, description="The best hits of each value of a column.")
    per_group: Annotated[Annotated[int, Field(ge=1, le=1000)], null_is(1)] = Field(
        1, description="How many of each value."
    )
    diversity: Annotated[Annotated[float, Field(ge=0, le=1)], null_is(0.0)] = Field(
        0.0, description="0: nearest first; towards 1: ever less like those before."
    )
    facets: Names = Field([], description="Columns whose values among the hits are counted.")
    use_mclip: Flag = Field(False, description="Read words by the multilingual model.")
    use_safety_model: Flag = Field(False, description="Leave out what it finds unsafe.")
    use_violence_detector: Flag = Field(False, description="Leave out what it finds violent.")
    aesthetic_score: Annotated[int, Field(ge=0, le=9)] | None = Field(
        None, description="Draw the query towards what people rated so."
    )
    aesthetic_weight: Annotated[float, null_is(0.5)] = Field(0.5, description="How strongly.")

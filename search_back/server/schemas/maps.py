"""The body of ``POST /v1/map``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from search_back.server.schemas.bodies import Body, OptionalText, null_is
from search_back.server.schemas.search import Id

MAX_CLUSTERS = 100


class MapRequest(Body):
    """Exactly one of `ids` and `sample`, and how to lay these out."""

    # A misspelt field would be a wish that is not heard.
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    ids: Annotated[list[Id], Field(fail_fast=True)] | None = Field(
        None, description="The items to lay out, each once."
    )
    sample: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many items of the whole index; the same ones every time."
    )
    index: OptionalText = Field(None, description="Its name; the first one where it is left out.")
    modality: Annotated[Literal["image", "text"], null_is("image")] = Field(
        "image", description="Which vectors of the index to lay out."
    )
    method: Annotated[Literal["auto", "pca", "tsne"], null_is("auto")] = Field(
        "auto", description="By t-SNE where it is installed and the points are not too many."
    )
    clusters: Annotated[int, Field(ge=1, le=MAX_CLUSTERS)] | None = Field(
        None, description="How many; as many as suit the points if null."
    )
    caption_column: OptionalText = Field(
        None, description="The column whose words name the clusters; found by its name if null."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> MapRequest:
        if (self.ids is None) == (self.sample is None):
            raise ValueError("give either ids or sample")
        return self

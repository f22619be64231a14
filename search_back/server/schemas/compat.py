"""The bodies that clip-retrieval's clients send, in their names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from search_back.server.schemas.bodies import (
    BLANK_IS_NONE,
    MAX_ID,
    Body,
    Flag,
    Numbers,
    OptionalText,
    Pictures,
    null_is,
)


class KnnRequest(Body):
    """The first of `text`, `image`, `image_url`, `embedding_input` and `id` is searched for.

    Null and the empty string stand for a default; fields nobody knows are ignored.
    """

    text: OptionalText = Field(None, description="Words.")
    image: OptionalText = Field(
        None, description="A picture file in base64, with or without `data:` before it."
    )
    image_url: OptionalText = Field(None, description="Where a picture is: http, https or data.")
    embedding_input: Numbers | None = Field(
        None, description="A vector of the index's length, of any norm but 0."
    )
    id: Annotated[int, Field(ge=0, le=MAX_ID)] | None = Field(
        None, description="An item of the index."
    )
    modality: Annotated[Literal["image", "text"], null_is("image")] = Field(
        "image", description="Which vectors of the index to search."
    )
    num_images: Annotated[Annotated[int, Field(ge=0)], null_is(40)] = Field(
        40, description="How many hits carry metadata."
    )
    num_result_ids: Annotated[int, Field(ge=0)] | None = Field(
        None, description="How many hits; `num_images` if null."
    )
    indice_name: OptionalText = Field(
        None, description="An index; the first one where it is left out."
    )
    use_mclip: Flag = Field(False, description="Read words by the multilingual model.")
    deduplicate: Flag = Field(False, description="One hit of those that look the same.")
    use_safety_model: Flag = Field(False, description="Leave out what it finds unsafe.")
    use_violence_detector: Flag = Field(False, description="Leave out what it finds violent.")
    aesthetic_score: Annotated[Annotated[int, Field(ge=0, le=9)] | None, BLANK_IS_NONE] = Field(
        None, description="Draw the query towards what people rated so."
    )
    aesthetic_weight: Annotated[float, null_is(0.5)] = Field(0.5, description="How strongly.")
    images: Annotated[Pictures, null_is("inline")] = Field(
        "inline", description="How pictures come: as base64, as addresses, or not."
    )


class MetadataRequest(Body):
    """The ids whose metadata is wanted, in that order."""

    ids: list[int] = Field(
        fail_fast=True, description="Those that the index does not have are told so."
    )
    indice_name: OptionalText = Field(
        None, description="An index; the first one where it is left out."
    )
    images: Annotated[Pictures, null_is("inline")] = Field(
        "inline", description="How pictures come: as base64, as addresses, or not."
    )

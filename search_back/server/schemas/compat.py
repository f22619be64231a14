"""The bodies that clip-retrieval's clients send, in their names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from search_back.server.schemas.bodies import (
    BLANK_IS_NONE,
    MAX_ID,
    Body,
    Flag,
    OptionalText,
    Pictures,
    null_is,
)


class KnnRequest(Body):
    """``POST /knn-service``."""

    text: OptionalText = None
    image: OptionalText = None
    image_url: OptionalText = None
    embedding_input: list[float] | None = None
    id: Annotated[int, Field(ge=0, le=MAX_ID)] | None = None
    modality: Annotated[Literal["image", "text"], null_is("image")] = "image"
    num_images: Annotated[Annotated[int, Field(ge=0)], null_is(40)] = 40
    num_result_ids: Annotated[int, Field(ge=0)] | None = None
    indice_name: OptionalText = None
    use_mclip: Flag = False
    deduplicate: Flag = False
    use_safety_model: Flag = False
    use_violence_detector: Flag = False
    aesthetic_score: Annotated[Annotated[int, Field(ge=0, le=9)] | None, BLANK_IS_NONE] = None
    aesthetic_weight: Annotated[float, null_is(0.5)] = 0.5
    images: Annotated[Pictures, null_is("inline")] = "inline"


class MetadataRequest(Body):
    """``POST /metadata``."""

    ids: list[int]
    indice_name: OptionalText = None
    images: Annotated[Pictures, null_is("inline")] = "inline"

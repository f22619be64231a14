"""What the routes answer, as models: told in the OpenAPI document, and checked by the tests.

The routes build their answers as plain values, which are quicker to write out; these models say
what is in them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Answer(BaseModel):
    """Exactly these fields."""

    model_config = ConfigDict(extra="forbid")


class FieldError(Answer):
    """One wrong field."""

    field: str = Field(description="Its name; `query.0.text` is inside of others.")
    message: str = Field(description="What is wrong with it, and what it was.")


class Error(Answer):
    """What every refusal and failure says."""

    message: str = Field(description="For people: what is wrong, the value, what to do.")
    code: str = Field(description="For programs: `invalid_field`, `unknown_index`, …")
    errors: list[FieldError] = Field([], description="The fields, where it is about fields.")


class KnnHit(Answer):
    """One hit; its metadata columns stand beside `id` and `similarity`."""

    model_config = ConfigDict(extra="allow")

    id: int
    similarity: float = Field(description="The inner product of unit vectors: higher is better.")
    image: str | None = Field(None, description="With `images: inline`: a JPEG in base64.")
    thumbnail_url: str | None = Field(None, description="With `images: link`.")
    picture_url: str | None = Field(None, description="With `images: link`.")


class MetadataRow(Answer):
    """The metadata of one id, or what is wrong with the id."""

    id: int
    metadata: dict[str, JsonValue]
    message: str | None = None
    code: Literal["unknown_id"] | None = None


class SearchHit(Answer):
    """One hit."""

    id: int
    similarity: float = Field(description="The inner product of unit vectors: higher is better.")
    metadata: dict[str, JsonValue] = Field(description="The columns that were asked for.")
    image: str | None = Field(None, description="With `pictures: inline`: a JPEG in base64.")
    thumbnail_url: str | None = Field(None, description="With `pictures: link`.")
    picture_url: str | None = Field(None, description="With `pictures: link`.")
    placeholder: str | None = Field(
        None,
        description="With `placeholders`: the middle square as 4 × 4 pixels in base64, from the "
        "top, each blue, green, red. Only of pictures whose thumbnail was shown lately.",
    )


class ValueCount(Answer):
    """How many hits have a value; null: none."""

    value: JsonValue
    count: int


class Spans(Answer):
    """The numbers or times of a column, from `least` to `greatest`.

    `counts[i]` hits lie from `edges[i]` to `edges[i + 1]`.
    """

    least: int | float | str | None
    greatest: int | float | str | None
    edges: list[int | float | str | None]
    counts: list[int]
    others: int = Field(description="NaN and infinities.")
    nulls: int


class SearchAnswer(Answer):
    """The hits, best first."""

    index: str
    hits: list[SearchHit]
    facets: dict[str, list[ValueCount] | Spans]
    cursor: str | None = Field(description="Give it to go on behind these hits; null: no more.")
    offset: int = Field(description="How many hits stand before these.")
    ignored: list[str] = Field(description="What was asked for and is not to be had here.")
    took_ms: float


class MapCluster(Answer):
    """A group of points; `x` and `y` are those of one in its middle."""

    x: float
    y: float
    size: int
    words: list[str] = Field(description="What its captions say and others do not; may be empty.")


class MapAnswer(Answer):
    """Points, a list a column: `ids[i]` lies at `x[i]`, `y[i]`, in `clusters[cluster[i]]`."""

    index: str
    method: Literal["pca", "tsne"]
    caption_column: str | None = Field(
        description="Whose words name the clusters; null: there is none."
    )
    total: int = Field(description="How many items the index has.")
    ids: list[int]
    x: list[float] = Field(description="0 to 1.")
    y: list[float] = Field(description="0 to 1, at the same scale.")
    cluster: list[int]
    clusters: list[MapCluster] = Field(description="The largest first.")
    took_ms: float


class Vectors(Answer):
    """The vectors of one modality."""

    size: int
    dimension: int
    kind: str = Field(description="For people: `Flat`, `IVF1024,SQ8`.")
    measured: dict[str, JsonValue] | None = Field(description="Its recall and times at the build.")


class Column(Answer):
    """A metadata column."""

    name: str
    type: str = Field(description="As Arrow calls it.")
    returned: bool = Field(description="Whether answers carry it unasked.")


class EncoderTold(Answer):
    """The encoder that made the vectors."""

    name: str
    dimension: int
    weights_sha256: str
    preprocessing_sha256: str
    precision: str
    key: str = Field(description="Equal for encoders whose vectors may be compared.")


class ServedIndex(Answer):
    """An index that answers; `limited`: all but words and pictures."""

    name: str
    status: Literal["ready", "limited"]
    problem: str | None
    version: str
    size: int
    modalities: dict[Literal["image", "text"], Vectors]
    encoder: EncoderTold | str
    columns: list[Column]
    has_pictures: bool
    wishes: list[str] = Field(description="The optional models that its queries may ask for.")


class UnservedIndex(Answer):
    """An index that does not answer, and why."""

    name: str
    status: Literal["unavailable"]
    problem: str


class Alive(Answer):
    """The process runs."""

    status: Literal["alive"]
    version: str


class IndexReadiness(Answer):
    """Whether one index answers."""

    status: Literal["ready", "limited", "opening", "unopened", "failed"]
    problem: str | None


class Readiness(Answer):
    """Whether every index answers."""

    ready: bool
    warm: bool = Field(description="Whether the encoders have been loaded, or have failed to.")
    indices: dict[str, IndexReadiness]


class Reloaded(Answer):
    """Which indices serve what their folders hold now, and which go on as they were."""

    reloaded: list[str]
    failed: dict[str, str]


class PageSettings(Answer):
    """What the page starts from."""

    default_backend: str = Field(alias="defaultBackend")
    default_index: str = Field(alias="defaultIndex")
    url_column: str = Field(alias="urlColumn")

"""What a run will embed, decided before the first picture is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from search_back.inference.items import Item, Reader, decode_caption, entries_of
from search_back.inference.settings import InferenceSettings

_NOT_SCANNED: Final = (
    "the input is read once, so that nobody knows beforehand whether every picture has a caption: "
    "text embeddings are left out and captions kept in the metadata; give --enable-text True to "
    "keep only the pictures with a readable caption and embed both"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made of each item.

    ``image``, ``text``: which embeddings. ``pairs_only``: a picture without a caption is left
    out. ``total``: how many items will come, None where counting them would take too long.
    ``notes``: why, in sentences.
    """

    image: bool
    text: bool
    pairs_only: bool
    total: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Survey:
    """What a scan found; ``captions`` are those that can be read, where it read them."""

    items: int = 0
    captions: int = 0
    unreadable: int = 0

    @property
    def missing(self) -> int:
        return self.items - self.captions - self.unreadable


def make_plan(settings: InferenceSettings, reader: Reader) -> Plan:
    """Scan the input as far as the settings need it, and decide.

    The commands of ``pipe:`` inputs and remote files are not scanned: their bytes may come a long
    way. Left to itself, a run then embeds no texts, and says so.
    """
    wanted = reader.scan == "cheap" or (reader.scan == "costly" and _is_undecided(settings))
    return decide(settings, take_survey(settings, reader) if wanted else None)


def decide(settings: InferenceSettings, survey: Survey | None) -> Plan:
    """The plan for an input of which a scan found ``survey``; None: it was not scanned.

    Rows of image embeddings, text embeddings and metadata always match, so texts are embedded
    for all pictures or for none. Left to itself, a run loses no picture: one caption that is
    missing or unreadable turns text embeddings off.
    """
    pairs_only = settings.enable_image and settings.enable_text is True
    if not _is_undecided(settings):
        total = None
        if survey is not None:
            total = survey.captions if pairs_only else survey.items
            if settings.subset_size is not None:
                total = min(total, settings.subset_size)
        return Plan(
            image=settings.enable_image,
            text=settings.enable_text is not False,
            pairs_only=pairs_only,
            total=total,
        )
    if survey is None:
        return Plan(image=True, text=False, pairs_only=False, notes=(_NOT_SCANNED,))
    text = 0 < survey.items == survey.captions
    notes = () if text or not survey.items else (_why_no_text(survey),)
    return Plan(image=True, text=text, pairs_only=False, total=survey.items, notes=notes)


def take_survey(settings: InferenceSettings, reader: Reader) -> Survey:
    """Scan the input; captions are read only where the plan hangs on them."""
    survey = Survey()
    read_captions = _is_undecided(settings)
    # A subset of pairs is counted in pairs, so there the whole input is looked at.
    limit = settings.subset_size if read_captions else None
    for item in entries_of(reader, scan=True):
        if not isinstance(item, Item):
            continue
        if survey.items == limit:
            break
        survey.items += 1
        if item.caption is None:
            continue
        if read_captions:
            try:
                decode_caption(item.caption())
            except (OSError, ValueError):
                survey.unreadable += 1
                continue
        survey.captions += 1
    return survey


def _is_undecided(settings: InferenceSettings) -> bool:
    return settings.enable_image and settings.enable_text is None


def _why_no_text(survey: Survey) -> str:
    if survey.missing == survey.items:
        return "no picture has a caption: text embeddings are left out"
    missing = f"{survey.missing} of {survey.items} pictures have no caption"
    unreadable = f"{survey.unreadable} of {survey.items} captions cannot be read"
    parts = [missing] if survey.missing else []
    parts += [unreadable] if survey.unreadable else []
    return (
        f"{' and '.join(parts)}: text embeddings are left out and captions kept in the metadata; "
        "give --enable-text True to keep only the pictures with a readable caption and embed both"
    )

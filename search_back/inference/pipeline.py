"""The steps between a source and the batches that are written."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from typing import Final

from search_back.inference.ahead import read_ahead
from search_back.inference.mapper import Batch, batches
from search_back.inference.plan import Plan
from search_back.inference.settings import InferenceSettings
from search_back.inference.source import Source
from search_back.interfaces import Encoder

# Enough to hide a tenth of a second a read from an encoder of 100 pictures a second.
_WAITING_READERS: Final = 16
_HELD_A_READER: Final = 4


@contextmanager
def embedded(
    source: Source,
    plan: Plan,
    settings: InferenceSettings,
    *,
    encoder: Encoder,
    text_encoder: Encoder | None,
    waits: bool,
) -> Generator[Generator[Batch, None, None], None, None]:
    """The batches of a source; all that was opened and started for them ends with the block.

    ``waits``: that of the reader.
    """
    with ExitStack() as stack:
        entries = stack.enter_context(closing(source.entries()))
        if waits:
            readers = _WAITING_READERS
            entries = stack.enter_context(
                closing(read_ahead(entries, readers=readers, look_ahead=_HELD_A_READER * readers))
            )
        yield stack.enter_context(
            closing(
                batches(
                    entries,
                    encoder,
                    plan,
                    batch_size=settings.batch_size,
                    workers=settings.num_prepro_workers,
                    text_encoder=text_encoder,
                )
            )
        )

"""The steps between a source and the batches that are written."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Final, TypeVar

from search_back.inference.ahead import read_ahead
from search_back.inference.duplicates import Duplicates, digested
from search_back.inference.mapper import Batch, batches
from search_back.inference.plan import Plan
from search_back.inference.settings import InferenceSettings
from search_back.inference.source import Source
from search_back.interfaces import Encoder

# Enough to hide a tenth of a second a read from an encoder of 100 pictures a second.
_WAITING_READERS: Final = 16
_HELD_A_READER: Final = 4

Step = TypeVar("Step")


@contextmanager
def embedded(
    source: Source,
    plan: Plan,
    settings: InferenceSettings,
    *,
    encoder: Encoder,
    text_encoder: Encoder | None,
    waits: bool,
    duplicates: Duplicates | None = None,
) -> Generator[Generator[Batch, None, None], None, None]:
    """The batches of a source; all that was opened and started for them ends with the block.

    ``waits``: that of the reader. ``duplicates``: None where they are encoded like the rest.
    """
    workers = settings.num_prepro_workers
    with ExitStack() as stack:

        def opened(step: Generator[Step, None, None]) -> Generator[Step, None, None]:
            return stack.enter_context(closing(step))

        entries = opened(source.entries())
        if waits or duplicates is not None:
            readers = _WAITING_READERS if waits else workers
            entries = opened(
                read_ahead(
                    entries,
                    readers=readers,
                    look_ahead=_HELD_A_READER * readers,
                    look=partial(digested, plan=plan) if duplicates is not None else None,
                )
            )
        if duplicates is not None:
            entries = opened(duplicates.mark(entries))
        found = opened(
            batches(
                entries,
                encoder,
                plan,
                batch_size=settings.batch_size,
                workers=workers,
                text_encoder=text_encoder,
            )
        )
        yield found if duplicates is None else opened(duplicates.fill(found))

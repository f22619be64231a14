"""Whether the encoders of pictures and of captions go together."""

from __future__ import annotations

from typing import Protocol

from search_back.errors import EncoderMismatch


class Named(Protocol):
    """What is known of an encoder, loaded or not; ``dimension``: None where that is not known."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int | None: ...


def check_fit(pictures: Named, captions: Named) -> None:
    """Raises ``EncoderMismatch`` where their vectors are known to have different lengths."""
    if None in (pictures.dimension, captions.dimension):
        return
    if pictures.dimension != captions.dimension:
        raise EncoderMismatch(
            f"encoder {pictures.name!r} makes {pictures.dimension}-d vectors of pictures, "
            f"encoder {captions.name!r} {captions.dimension}-d ones of captions",
            remedy="give a text model that was made to fit the pictures': --mclip-model …",
        )

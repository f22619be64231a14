"""CLIP's byte-pair tokenizer without torch, on the ``tokenizers`` library.

Gives the ids of open_clip's ``SimpleTokenizer`` (its default ``lower`` cleaning), from the same
vocabulary file.
"""

from __future__ import annotations

import gzip
import html
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from search_back.errors import CorruptFile, ModelUnavailable
from search_back.types import IdArray

_WORDS: Final = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_MAX_MERGES: Final = 49152 - 256 - 2


class Tokenizer(Protocol):
    """Texts to token ids."""

    context_length: int

    def __call__(self, texts: Sequence[str]) -> IdArray:
        """n texts → ``(n, length)`` int64, padded with 0 to the longest of them."""
        ...


def clip_vocabulary() -> Path:
    """The vocabulary file that open_clip carries, found without importing open_clip."""
    spec = importlib.util.find_spec("open_clip")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "bpe_simple_vocab_16e6.txt.gz"
        if path.is_file():
            return path
    raise ModelUnavailable("CLIP's vocabulary is missing", remedy="pip install open-clip-torch")


class ClipTokenizer:
    """Byte-pair encoding with CLIP's vocabulary format.

    A text longer than the context is cut and keeps its end token. Safe to call from several
    threads.
    """

    def __init__(self, vocabulary: Path, context_length: int = 77) -> None:
        from tokenizers import Regex, Tokenizer, models, pre_tokenizers

        self.context_length = context_length
        merges = _read_merges(vocabulary)
        letters = _byte_letters()
        words = [*letters, *(c + "</w>" for c in letters), *("".join(m) for m in merges)]
        ids = {word: i for i, word in enumerate(words)}
        self.start, self.end = len(words), len(words) + 1
        # Without byte fallback an unknown word cannot occur: every byte has a token.
        self._bpe = Tokenizer(models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>"))
        self._bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(f"(?i:{_WORDS})"), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    def __call__(self, texts: Sequence[str]) -> IdArray:
        """n texts → ``(n, length)`` int64, padded with 0 to the longest of them."""
        encoded = self._bpe.encode_batch([_clean(t) for t in texts], add_special_tokens=False)
        rows = [[self.start, *e.ids[: self.context_length - 2], self.end] for e in encoded]
        tokens = np.zeros((len(rows), max((len(r) for r in rows), default=2)), dtype=np.int64)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = row
        return tokens


def _clean(text: str) -> str:
    import ftfy

    # Lone surrogates (possible in JSON) have no UTF-8 form.
    text = text.encode("utf-8", "replace").decode("utf-8")
    text = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(text.split()).lower()


def _read_merges(vocabulary: Path) -> list[tuple[str, str]]:
    try:
        with gzip.open(vocabulary, "rt", encoding="utf-8") as file:
            lines = file.read().split("\n")[1 : _MAX_MERGES + 1]
        return [(first, second) for first, second in (line.split() for line in lines if line)]
    except (OSError, EOFError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFile(
            f"{vocabulary} is not a CLIP vocabulary",
            value=str(error),
            remedy="restore the model's folder",
        ) from error


def _byte_letters() -> list[str]:
    """A printable letter for each byte, in the order of CLIP's token ids.

    Printable Latin-1 bytes stand for themselves and come first; the others follow as the code
    points from 256 up.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = 256 - len(printable)
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(rest)]

"""CLIP's byte-pair tokenizer without torch, on the ``tokenizers`` library.

Gives the ids of open_clip's ``SimpleTokenizer`` (its default ``lower`` cleaning), from the same
vocabulary file.
"""

from __future__ import annotations

import gzip
import importlib.util
import shutil
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from search_back.encoders.tokens.bounded import clean_start
from search_back.encoders.tokens.cleaning import repaired
from search_back.errors import CorruptFile, ModelUnavailable
from search_back.files import sha256_file
from search_back.types import Tokens

# U+0345 is no word of CLIP's: without regard to case it is a letter to one half of its pattern
# and none to the other.
_WORDS: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}\x{345}]+"
VOCABULARY_FILE: Final = "bpe.txt.gz"
_MAX_MERGES: Final = 49152 - 256 - 2


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
        self._vocabulary = vocabulary
        merges = _read_merges(vocabulary)
        letters = _byte_letters()
        words = [*letters, *(c + "</w>" for c in letters), *("".join(m) for m in merges)]
        ids = {word: i for i, word in enumerate(words)}
        self.start, self.end = len(words), len(words) + 1
        self._enough = context_length * max(map(len, words))
        # Without byte fallback an unknown word cannot occur: every byte has a token.
        self._bpe = Tokenizer(models.BPE(vocab=ids, merges=merges, end_of_word_suffix="</w>"))
        self._bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )

    @cached_property
    def key(self) -> str:
        return f"clip_bpe:{sha256_file(self._vocabulary)}"

    def __call__(self, texts: Sequence[str]) -> Tokens:
        """n texts → n rows, padded with 0."""
        cleaned = [clean_start(text, _clean, self._enough) for text in texts]
        encoded = self._bpe.encode_batch(cleaned, add_special_tokens=False)
        most = self.context_length - 2
        rows = [[self.start, *e.ids[:most], self.end] for e in encoded]
        return Tokens.of_rows(rows, cut=[len(e.ids) > most for e in encoded])

    def save(self, folder: Path) -> dict[str, Any]:
        target = folder / VOCABULARY_FILE
        if target.resolve() != self._vocabulary.resolve():
            shutil.copyfile(self._vocabulary, target)
        return {
            "kind": "clip_bpe",
            "vocabulary": target.name,
            "context_length": self.context_length,
        }


def _clean(text: str) -> str:
    # Lone surrogates (possible in JSON) have no UTF-8 form.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(repaired(text).split()).lower()


def _read_merges(vocabulary: Path) -> list[tuple[str, str]]:
    try:
        text = gzip.decompress(vocabulary.read_bytes())
        lines = text.decode().split("\n", _MAX_MERGES + 1)[1 : _MAX_MERGES + 1]
        return [(first, second) for first, second in (line.split() for line in lines if line)]
    except (OSError, EOFError, ValueError, zlib.error) as error:
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

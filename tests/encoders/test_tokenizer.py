"""The tokenizer without torch against open_clip's own."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from search_back.encoders.open_clip_import import open_clip as import_open_clip
from search_back.encoders.tokenizer import ClipTokenizer, clip_vocabulary
from search_back.errors import CorruptFile
from search_back.models import model_folder

OURS = ClipTokenizer(clip_vocabulary())
TEXTS = [
    "a photo of a dog",
    "",
    "   two   spaces\tand\nlines ",
    "It's the dog's; they'll say we've won!!! 100 000 km/h",
    "ÄÖÜ ß façade naïve",
    "кошка и собака",
    "猫と犬 🐱🐶",
    "🏳️‍🌈 👩‍👩‍👧",
    "<b>&amp;lt; html &#39;quoted&#39;</b>",
    "â€œmojibakeâ€\x9d",
    "مرحبا بالعالم",
    "word " * 200,
    "x" * 5000,
    "\x00\x01\x7f control",
    "a\u200bb zero width",
]


@pytest.fixture(scope="module")
def pairs() -> list[tuple[ClipTokenizer, object]]:
    open_clip = import_open_clip()
    bundled = model_folder() / "bpe.txt.gz"
    return [
        (ClipTokenizer(clip_vocabulary()), open_clip.SimpleTokenizer()),
        (
            ClipTokenizer(bundled, 32),
            open_clip.SimpleTokenizer(bpe_path=str(bundled), context_length=32),
        ),
    ]


def check(ours: ClipTokenizer, theirs: object, texts: list[str]) -> None:
    expected = theirs(texts).numpy()  # type: ignore[operator]
    tokens = ours(texts)
    padded = np.pad(tokens, ((0, 0), (0, expected.shape[1] - tokens.shape[1])))
    np.testing.assert_array_equal(padded, expected)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_ids_are_open_clips(pairs: list[tuple[ClipTokenizer, object]], text: str) -> None:
    for ours, theirs in pairs:
        check(ours, theirs, [text])


def test_a_batch_is_padded_to_its_longest(pairs: list[tuple[ClipTokenizer, object]]) -> None:
    for ours, theirs in pairs:
        check(ours, theirs, TEXTS)
        assert ours(["a", "a dog"]).shape[1] < 8


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=60))
def test_any_text_has_open_clips_ids(pairs: list[tuple[ClipTokenizer, object]], text: str) -> None:
    # Theirs lets a text write special tokens; ours reads them as text.
    assume("_of_text>" not in text.lower())
    for ours, theirs in pairs:
        check(ours, theirs, [text])


def test_a_long_text_keeps_its_end_token() -> None:
    tokens = OURS(["word " * 500])
    assert tokens.shape == (1, 77)
    assert tokens[0, -1] == OURS.end
    assert tokens.argmax(axis=1)[0] == 76


def test_special_tokens_cannot_be_written_by_a_text() -> None:
    tokens = OURS(["<end_of_text> dog"])
    assert (tokens == OURS.end).sum() == 1


def test_lone_surrogates_are_replaced() -> None:
    assert OURS(["\ud800"]).shape[0] == 1


def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bpe.txt.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(CorruptFile, match="bpe"):
        ClipTokenizer(path)
    path.write_bytes(gzip.compress(b"#version\none two three\n"))
    with pytest.raises(CorruptFile, match="bpe"):
        ClipTokenizer(path)

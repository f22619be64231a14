"""The tokenizer without torch against open_clip's own."""

from __future__ import annotations

import gzip
import html
from pathlib import Path

import ftfy
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from search_back.encoders.sources.open_clip_import import open_clip as import_open_clip
from search_back.encoders.tokens.bounded import clean_start
from search_back.encoders.tokens.cleaning import repaired
from search_back.encoders.tokens.clip import ClipTokenizer, _clean, clip_vocabulary
from search_back.errors import CorruptFile
from search_back.models import model_folder

OURS = ClipTokenizer(clip_vocabulary())
SMALL = ClipTokenizer(clip_vocabulary(), 12)
PIECES = [
    *("word ", "x", "the", "a dog runs\n", "â€œ", "Ã©", "&amp;", "<", "🏳️‍🌈", " ", "\n", "\x00"),
    *("é", "ß", "123", "مرحبا", "\u200b", "ing", "ab", "ba", "!?", "'s", "&#x41;"),
]
TEXTS = {
    "a sentence": "a photo of a dog",
    "nothing": "",
    "blanks": "   two   spaces\tand\nlines ",
    "only blanks": " \t\n\r\x0b\u00a0\u2003\u3000 ",
    "punctuation": "It's the dog's; they'll say we've won!!! 100 000 km/h",
    "Latin": "ÄÖÜ ß façade naïve İ ﬁ",
    "Cyrillic": "кошка и собака",
    "Chinese and emoji": "猫と犬 🐱🐶",
    "joined emoji": "🏳️‍🌈 👩‍👩‍👧 👍🏽 🇩🇪 1️⃣",
    "half a joined emoji": "👩\u200d \u200d👧 \ufe0f 🇩",
    "HTML": "<b>&amp;lt; html &#39;quoted&#39;</b> &amp;amp;amp; &nbsp;&#0;&#xd800;",
    "mojibake": "â€œmojibakeâ€\x9d",
    "a mark that is a letter in capitals": "a\u0345b \u0345 Í\x85 !\u0345!",
    "Arabic": "مرحبا بالعالم",
    "Hebrew with points": "שָׁלוֹם עולם",
    "both directions": "\u202bright \u202eto\u202c left\u202c \u2066a\u2069 \u200fb\u200e",
    "controls": "\x00\x01\x07\x1b[31m\x7f\x85 control",
    "zero widths": "a\u200bb\u200cc\u200dd\ufeffe\u2060f",
    "separators": "a\u2028b\u2029c\x1cd\x1ee",
    "stacked accents": "Z" + "\u0301\u0323" * 40,
    "decomposed": "e\u0301 한글 \u1112\u1161\u11ab",
    "no characters": "\ufffe\uffff\U0010ffff \ue000",
    "many words": "word " * 200,
    "one long word": "x" * 5000,
    "10,000 characters": ("A long caption, ÄÖÜ; 3 dogs & 🐱. " * 400)[:10_000],
    "many lines": "one line of several words\n" * 900,
    "a late word": " " * 20_000 + "late",
}


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
    assert tokens.pad == 0
    padded = np.pad(tokens.ids, ((0, 0), (0, expected.shape[1] - tokens.ids.shape[1])))
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(tokens.lengths, (expected == ours.end).argmax(axis=1) + 1)


@pytest.mark.parametrize("kind", TEXTS)
def test_ids_are_open_clips(pairs: list[tuple[ClipTokenizer, object]], kind: str) -> None:
    for ours, theirs in pairs:
        check(ours, theirs, [TEXTS[kind]])


def test_a_batch_is_padded_to_its_longest(pairs: list[tuple[ClipTokenizer, object]]) -> None:
    for ours, theirs in pairs:
        check(ours, theirs, list(TEXTS.values()))
        assert ours(["a", "a dog"]).ids.shape == (2, 4)


@settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cn", "Co"]), max_size=60))
def test_any_text_has_open_clips_ids(pairs: list[tuple[ClipTokenizer, object]], text: str) -> None:
    # Theirs lets a text write special tokens; ours reads them as text.
    assume("_of_text>" not in text.lower())
    for ours, theirs in pairs:
        check(ours, theirs, [text])


@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=4, unique=True),
    repeated=st.integers(100, 20_000),
    tail=st.text(max_size=20),
)
@settings(max_examples=60)
def test_a_start_of_a_long_text_has_the_same_ids(
    pieces: list[str], repeated: int, tail: str
) -> None:
    text = "".join(pieces) * (repeated // len(pieces)) + tail
    start = clean_start(text, _clean, SMALL._enough)
    assert len(start) <= 4 * SMALL._enough or start == _clean(text)
    ids = SMALL._bpe.encode(_clean(text), add_special_tokens=False).ids
    tokens = SMALL([text])
    assert tokens.ids[0].tolist() == [SMALL.start, *ids[:10], SMALL.end]
    assert tokens.cut.tolist() == [len(ids) > 10]


@given(
    st.text(st.characters(max_codepoint=0x7E))
    | st.lists(st.sampled_from([*PIECES, "&lt;", "\x1b[31m", "\x7f", "\r\n"])).map("".join)
)
def test_repairing_skips_only_texts_without_anything_to_repair(text: str) -> None:
    assert repaired(text) == html.unescape(html.unescape(ftfy.fix_text(text)))


@pytest.mark.parametrize("text", ["word ", "x", "dog\n", "é", "🐱", "ab"])
def test_little_of_a_long_text_is_cleaned(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(start: str) -> str:
        seen.append(len(start))
        return _clean(start)

    monkeypatch.setattr("search_back.encoders.tokens.clip._clean", counted)
    assert OURS([text * (4_000_000 // len(text))]).cut.all()
    assert sum(seen) <= 1_000_000


@pytest.mark.parametrize(
    ("words", "length", "cut"), [(74, 76, False), (75, 77, False), (76, 77, True)]
)
def test_a_text_past_the_context_is_cut_and_says_so(words: int, length: int, cut: bool) -> None:
    tokens = OURS(["dog " * words, "a dog"])
    assert tokens.ids.shape == (2, length)
    assert tokens.lengths.tolist() == [length, 4]
    assert tokens.cut.tolist() == [cut, False]
    assert tokens.ids[:, 0].tolist() == [OURS.start] * 2
    assert tokens.ids[0, -1] == OURS.end
    assert tokens.ids[1].tolist().index(OURS.end) == 3


def test_no_text_at_all_is_a_start_and_an_end() -> None:
    for text in ("", "   ", "\x00\x01", "\u3000"):
        tokens = OURS([text])
        assert tokens.ids.tolist() == [[OURS.start, OURS.end]]
        assert not tokens.cut.any()
    assert len(OURS([])) == 0


def test_special_tokens_cannot_be_written_by_a_text() -> None:
    for text in ("<end_of_text> dog", "<|endoftext|> dog", "<start_of_text>"):
        ids = OURS([text]).ids[0].tolist()
        assert (ids.count(OURS.start), ids.count(OURS.end)) == (1, 1)


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc80\ud800 dog", "\ud83d\ude00"])
def test_lone_surrogates_are_replaced(text: str) -> None:
    tokens = OURS([text])
    assert tokens.lengths[0] > 2
    assert tokens.ids.tolist() == OURS([text.encode("utf-8", "replace").decode()]).ids.tolist()


def test_a_file_that_is_no_vocabulary_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bpe.txt.gz"
    path.write_bytes(b"no gzip")
    with pytest.raises(CorruptFile, match="bpe"):
        ClipTokenizer(path)
    path.write_bytes(gzip.compress(b"#version\none two three\n"))
    with pytest.raises(CorruptFile, match="bpe"):
        ClipTokenizer(path)

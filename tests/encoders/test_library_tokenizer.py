"""Tokenizers of the tokenizers library against transformers', open_clip's and sentencepiece's."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search_back.encoders.sources.open_clip_import import open_clip
from search_back.encoders.sources.vocabulary import read_tokenizer
from search_back.encoders.tokens import Tokenizer, open_tokenizer
from search_back.encoders.tokens.cleaning import clean
from search_back.encoders.tokens.clip import ClipTokenizer
from search_back.encoders.tokens.library import LibraryTokenizer
from search_back.errors import ConfigError, CorruptFile, ModelUnavailable
from search_back.models import model_folder
from tests import tiny_models as tiny

pytestmark = pytest.mark.usefixtures("transformers")

CONTEXT = 12
TEXTS = [
    *tiny.TEXTS,
    "  two   spaces\tand\nlines ",
    "It's the dog's; they'll say we've won!!! 100 000 km/h",
    "ÄÖÜ ß façade naïve ﬁ ＡＢＣ",
    "a_b-c <b>&amp;lt; html &#39;quoted&#39;</b>",
    "â€œmojibakeâ€\x9d",
    "🏳️‍🌈 👩‍👩‍👧 a\u200bb",
    "\x00\x01\x7f control",
    "</s> a <pad> [SEP] <|endoftext|> dog <eos>",
    "x" * 500,
]
ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
MAKERS: dict[str, Callable[[Path], int]] = {
    "xlm-roberta": tiny.xlm_roberta_tokenizer,
    "t5": tiny.t5_tokenizer,
    "gemma": tiny.gemma_tokenizer,
    "bert": tiny.bert_tokenizer,
    "clip": tiny.clip_tokenizer,
    "nllb": tiny.nllb_tokenizer,
}


@dataclasses.dataclass
class Pair:
    """Ours, and a function that gives theirs: ids padded to the context."""

    ours: Tokenizer
    theirs: Callable[[list[str]], Any]

    def check(self, texts: list[str]) -> None:
        tokens = self.ours(texts)
        missing = self.ours.context_length - tokens.ids.shape[1]
        padded = np.pad(tokens.ids, ((0, 0), (0, missing)), constant_values=tokens.pad)
        np.testing.assert_array_equal(padded, np.asarray(self.theirs(texts)))


def of_transformers(theirs: Any) -> Callable[[list[str]], Any]:
    return lambda texts: (
        theirs(texts, max_length=CONTEXT, padding="max_length", truncation=True).input_ids
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {name: tmp_path_factory.mktemp(name) for name in MAKERS}
    for name, make in MAKERS.items():
        make(found[name])
    return found


@pytest.fixture(scope="module")
def pairs(folders: dict[str, Path], transformers: Any) -> list[Pair]:
    """Each tokenizer as transformers loads it."""
    return [
        Pair(
            read_tokenizer(folder, context_length=CONTEXT),
            of_transformers(
                transformers.AutoTokenizer.from_pretrained(folder, padding_side="right")
            ),
        )
        for folder in folders.values()
    ]


@pytest.fixture(scope="module")
def open_clip_pairs(folders: dict[str, Path]) -> list[Pair]:
    """Each cleaning as open_clip does it, on a vocabulary it goes with."""
    asked = {
        "xlm-roberta": {"clean": "whitespace"},
        "t5": {"clean": "canonicalize"},
        "gemma": {"clean": "lower"},
        "bert": {"clean": "whitespace", "strip_sep_token": True},
    }
    found = []
    for name, kwargs in asked.items():
        theirs = open_clip().tokenizer.HFTokenizer(
            str(folders[name]), context_length=CONTEXT, **kwargs
        )
        ours = read_tokenizer(
            folders[name],
            context_length=CONTEXT,
            cleaning=f"open_clip_{kwargs['clean']}",  # type: ignore[arg-type]
            blank_end="strip_sep_token" in kwargs,
        )
        found.append(Pair(ours, lambda texts, t=theirs: t(texts).numpy()))  # type: ignore[misc]
    return found


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_ids_are_theirs(pairs: list[Pair], open_clip_pairs: list[Pair], text: str) -> None:
    for pair in (*pairs, *open_clip_pairs):
        pair.check([text])


def test_a_batch_is_padded_to_its_longest(pairs: list[Pair]) -> None:
    for pair in pairs:
        pair.check(TEXTS)
        tokens = pair.ours(["a", "a dog"])
        assert tokens.ids.shape[1] == tokens.lengths.max() < CONTEXT


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=ANY_TEXT)
def test_any_text_has_their_ids(pairs: list[Pair], open_clip_pairs: list[Pair], text: str) -> None:
    for pair in (*pairs, *open_clip_pairs):
        pair.check([text])


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=st.lists(st.one_of(ANY_TEXT, st.sampled_from(TEXTS)), min_size=1, max_size=5))
def test_what_is_cut_is_told(pairs: list[Pair], texts: list[str]) -> None:
    for pair in pairs:
        assert isinstance(pair.ours, LibraryTokenizer)
        whole = LibraryTokenizer(pair.ours._vocabulary, context_length=10_000)
        lengths = whole(texts).lengths
        tokens = pair.ours(texts)
        assert tokens.cut.tolist() == (lengths > CONTEXT).tolist()
        assert tokens.lengths.tolist() == np.minimum(lengths, CONTEXT).tolist()
        ends = tokens.ids[np.arange(len(texts)), tokens.lengths - 1]
        assert (ends == pair.ours.end).all()


@pytest.mark.parametrize("text", ["", "a dog", "x " * 99])
def test_an_exported_tokenizer_is_the_same(
    pairs: list[Pair], open_clip_pairs: list[Pair], tmp_path: Path, text: str
) -> None:
    for number, pair in enumerate((*pairs, *open_clip_pairs)):
        folder = tmp_path / str(number)
        folder.mkdir()
        described = json.loads(json.dumps(pair.ours.save(folder)))
        again = open_tokenizer(folder, described)
        assert again.key == pair.ours.key
        assert (again([text]).ids == pair.ours([text]).ids).all()
        assert again([text]).pad == pair.ours([text]).pad
        assert again.save(folder) == described


def test_keys_tell_vocabularies_and_settings_apart(folders: dict[str, Path]) -> None:
    def key(name: str, **settings: Any) -> str:
        return read_tokenizer(folders[name], context_length=CONTEXT, **settings).key

    keys = [
        key("t5"),
        key("bert"),
        key("bert", blank_end=True),
        key("t5", cleaning="siglip"),
        key("t5", cleaning="lower"),
    ]
    assert len(set(keys)) == len(keys)
    assert key("t5") == keys[0]


@pytest.mark.parametrize("settings_", [{"legacy_behaviour": True}, {"src_lang": "deu_Latn"}])
def test_the_language_of_nllb_is_told_by_its_settings(
    folders: dict[str, Path], transformers: Any, tmp_path: Path, settings_: dict[str, Any]
) -> None:
    about = json.loads((folders["nllb"] / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer.json").write_bytes((folders["nllb"] / "tokenizer.json").read_bytes())
    tiny.write_json(tmp_path / "tokenizer_config.json", {**about, **settings_})
    ours = read_tokenizer(tmp_path, context_length=CONTEXT)
    Pair(ours, of_transformers(transformers.AutoTokenizer.from_pretrained(tmp_path))).check(TEXTS)


def test_a_model_trained_with_padding_on_the_left_gets_it_there(
    folders: dict[str, Path], transformers: Any, tmp_path: Path
) -> None:
    about = json.loads((folders["gemma"] / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer.json").write_bytes((folders["gemma"] / "tokenizer.json").read_bytes())
    tiny.write_json(tmp_path / "tokenizer_config.json", {**about, "padding_side": "left"})
    ours = read_tokenizer(tmp_path, context_length=CONTEXT)
    Pair(ours, of_transformers(transformers.AutoTokenizer.from_pretrained(tmp_path))).check(TEXTS)
    assert not ours.pads_right_with(ours.pad)


@pytest.fixture(scope="module")
def sentence_pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A sentencepiece model as SigLIP's, and its file."""
    import sentencepiece

    prefix = tmp_path_factory.mktemp("pieces") / "spiece"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny.TEXTS * 3),
        model_prefix=str(prefix),
        vocab_size=200,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    file = prefix.with_suffix(".model")
    return sentencepiece.SentencePieceProcessor(model_file=str(file)), file


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=ANY_TEXT)
def test_a_sentencepiece_vocabulary_is_converted(
    sentence_pieces: tuple[Any, Path], siglip: tuple[LibraryTokenizer, Any], text: str
) -> None:
    pieces, _ = sentence_pieces
    ours, theirs = siglip
    wanted = [*pieces.encode(clean(text, "siglip"))[: CONTEXT - 1], 1]
    assert ours([text]).ids[0].tolist() == wanted
    Pair(ours, of_transformers(theirs)).check([text])


@pytest.fixture(scope="module")
def siglip(
    sentence_pieces: tuple[Any, Path], tmp_path_factory: pytest.TempPathFactory, transformers: Any
) -> tuple[LibraryTokenizer, Any]:
    folder = tmp_path_factory.mktemp("siglip")
    (folder / "spiece.model").write_bytes(sentence_pieces[1].read_bytes())
    tiny.write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "SiglipTokenizer",
            "pad_token": "</s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
        },
    )
    ours = read_tokenizer(folder, context_length=CONTEXT, cleaning="siglip")
    return ours, transformers.SiglipTokenizer.from_pretrained(folder)


def test_xlm_roberta_is_converted_with_its_numbers(
    sentence_pieces: tuple[Any, Path], tmp_path: Path
) -> None:
    import sentencepiece

    prefix = tmp_path / "sentencepiece.bpe"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(tiny.TEXTS * 3),
        model_prefix=str(prefix),
        vocab_size=200,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tiny.write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "XLMRobertaTokenizer"})
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
    ours = read_tokenizer(tmp_path, context_length=200)
    assert (ours.pad, ours.end) == (1, 2)
    for text in TEXTS[:9]:
        # <s> <pad> </s> <unk> come first there, and the pieces from the fourth on.
        wanted = [0, *(3 if i == 0 else i + 1 for i in pieces.encode(text)), 2]
        assert ours([text]).ids[0].tolist() == wanted


def test_clip_is_converted_from_words_and_merges(folders: dict[str, Path], tmp_path: Path) -> None:
    about = json.loads((folders["clip"] / "tokenizer.json").read_text())
    settings_ = json.loads((folders["clip"] / "tokenizer_config.json").read_text())
    tiny.write_json(tmp_path / "tokenizer_config.json", settings_)
    tiny.write_json(tmp_path / "vocab.json", about["model"]["vocab"])
    merges = [" ".join(merge) for merge in about["model"]["merges"]]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    ours = read_tokenizer(tmp_path, context_length=CONTEXT)
    expected = read_tokenizer(folders["clip"], context_length=CONTEXT)
    assert (ours(TEXTS).ids == expected(TEXTS).ids).all()


def test_lone_surrogates_are_replaced(pairs: list[Pair]) -> None:
    for pair in pairs:
        assert len(pair.ours(["\ud800 a"])) == 1


def test_no_texts_give_no_rows(pairs: list[Pair]) -> None:
    for pair in pairs:
        assert pair.ours([]).ids.shape == (0, 0)


def test_a_folder_without_a_tokenizer_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"tokenizer\.json"):
        read_tokenizer(tmp_path, context_length=CONTEXT)


def test_an_old_vocabulary_without_transformers_says_what_to_install(
    sentence_pieces: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> None:
        raise ImportError("No module named 'transformers'")

    monkeypatch.setattr("search_back.encoders.sources.vocabulary.import_transformers", absent)
    (tmp_path / "spiece.model").write_bytes(sentence_pieces[1].read_bytes())
    with pytest.raises(ModelUnavailable, match=r"search_back\[hf\]"):
        read_tokenizer(tmp_path, context_length=CONTEXT)


@pytest.mark.parametrize("data", [b"no json", b"[]", b'{"model": {"type": "No"}}', b"\xff"])
def test_a_broken_file_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(CorruptFile, match=r"tokenizer\.json"):
        read_tokenizer(tmp_path, context_length=CONTEXT)


def test_a_description_is_checked(folders: dict[str, Path]) -> None:
    described = {"kind": "tokenizers", "vocabulary": "tokenizer.json", "context_length": 9}
    with pytest.raises(KeyError):
        open_tokenizer(folders["t5"], described)
    with pytest.raises(ConfigError, match="cleaning"):
        open_tokenizer(folders["t5"], {**described, "pad": 0, "cleaning": "spotless"})
    with pytest.raises(OSError, match="nowhere"):
        open_tokenizer(
            folders["t5"], {**described, "pad": 0, "cleaning": "none", "vocabulary": "nowhere"}
        )


def test_clip_vocabularies_are_read_without_it() -> None:
    described = {"kind": "clip_bpe", "vocabulary": "bpe.txt.gz", "context_length": 32}
    assert isinstance(open_tokenizer(model_folder(), described), ClipTokenizer)


def test_nothing_is_logged_on_the_way(
    folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read_tokenizer(folders["t5"], context_length=CONTEXT)(TEXTS)
    assert not caplog.records

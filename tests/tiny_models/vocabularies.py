"""Tokenizers of every family, learnt from a dozen texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tests.tiny_models.common import CONTEXT, TEXTS, silent_transformers, write_json

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def unigram_pieces(specials: list[str]) -> list[tuple[str, float]]:
    """Pieces and scores as sentencepiece learns them."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return [(piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]]


def xlm_roberta_tokenizer(folder: Path) -> int:
    """`<s> … </s>`; pads with 1. Gives the number of tokens, as all below do."""
    pieces = unigram_pieces(["<s>", "<pad>", "</s>", "<unk>"])
    with silent_transformers() as transformers:
        tokenizer = transformers.XLMRobertaTokenizer(vocab=pieces, model_max_length=512)
        tokenizer.save_pretrained(folder)
    return len(tokenizer)


def t5_tokenizer(folder: Path, **settings: Any) -> int:
    """`… </s>`; SigLIP's and mT5's."""
    pieces = unigram_pieces(["<pad>", "</s>", "<unk>"])
    with silent_transformers() as transformers:
        tokenizer = transformers.T5Tokenizer(vocab=pieces, extra_ids=0, **settings)
        tokenizer.save_pretrained(folder)
    return len(tokenizer)


def gemma_tokenizer(folder: Path) -> int:
    """`… <eos>`, bytes for what is unknown; SigLIP 2's."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=specials + [f"<0x{byte:02X}>" for byte in range(256)],
        show_progress=False,
        max_token_length=6,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    about = json.loads(tokenizer.to_str())
    about["added_tokens"] = about["added_tokens"][: len(specials)]
    about["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<eos>", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
        "special_tokens": {"<eos>": {"id": "<eos>", "ids": [1], "tokens": ["<eos>"]}},
    }
    write_json(folder / "tokenizer.json", about)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "GemmaTokenizer",
            "add_bos_token": False,
            "add_eos_token": True,
            "padding_side": "right",
            "pad_token": {"__type": "AddedToken", "content": "<pad>", "special": True},
            "bos_token": "<bos>",
            "eos_token": "<eos>",
            "unk_token": "<unk>",
            "model_max_length": CONTEXT,
        },
    )
    return tokenizer.get_vocab_size()


def bert_tokenizer(folder: Path, **settings: Any) -> int:
    """`[CLS] … [SEP]`, words in pieces."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=specials, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "BertTokenizer", "model_max_length": 512, **settings},
    )
    return tokenizer.get_vocab_size()


def clip_tokenizer(folder: Path, *, pad: str = "<|endoftext|>") -> int:
    """`<|startoftext|> … <|endoftext|>`, the two last of the vocabulary."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=end))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    about = json.loads(tokenizer.to_str())
    vocabulary = about["model"]["vocab"]
    for letter in pre_tokenizers.ByteLevel.alphabet():
        vocabulary.setdefault(f"{letter}</w>", len(vocabulary))
    first = len(vocabulary)
    vocabulary[start], vocabulary[end] = first, first + 1
    about["added_tokens"] = [
        {
            "id": first + i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": True,
            "special": True,
        }
        for i, token in enumerate((start, end))
    ]
    about["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": [end, first + 1],
        "cls": [start, first],
        "trim_offsets": False,
        "add_prefix_space": False,
    }
    write_json(folder / "tokenizer.json", about)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": CONTEXT,
            "bos_token": start,
            "eos_token": end,
            "unk_token": end,
            "pad_token": pad,
        },
    )
    return len(vocabulary)


def nllb_tokenizer(folder: Path) -> int:
    """`eng_Latn … </s>`, though the file says otherwise: its class overrules it."""
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[*specials, "eng_Latn", "deu_Latn"],
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>", "eng_Latn"], special_tokens=[("</s>", 2), ("eng_Latn", 4)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "NllbTokenizer",
            "src_lang": "eng_Latn",
            "pad_token": "<pad>",
            "eos_token": "</s>",
            "additional_special_tokens": ["eng_Latn", "deu_Latn"],
        },
    )
    return tokenizer.get_vocab_size()

"""Tiny random models of every family, as their folders are published; tokenizers to go with them.

Widths are 32 and less, vocabularies a few hundred: they compute in milliseconds and mean nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from search_back.encoders.sources.open_clip_import import open_clip, quiet
from search_back.encoders.sources.open_clip_import import transformers as import_transformers

TEXTS = [
    "a photo of a dog",
    "",
    "A Red Car, two people & a tree!",
    "eine katze auf dem dach",
    "кошка и собака играют",
    "猫と犬が遊ぶ",
    "un perro rojo en la casa",
    "मेरा कुत्ता",
    "مرحبا بالعالم",
    "100 000 km/h",
    "a dog " * 60,
]
SIZE, CONTEXT, DIMENSION = 32, 16, 24
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@contextmanager
def silent_transformers() -> Iterator[ModuleType]:
    transformers = import_transformers()
    with quiet(transformers):
        yield transformers


def write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


# Tokenizers


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


# Parts of configurations of transformers

_BLOCKS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
_VISION = {**_BLOCKS, "num_hidden_layers": 1, "image_size": SIZE, "patch_size": 16}


def roberta_config(words: int, **settings: Any) -> dict[str, Any]:
    return {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaModel"],
        "vocab_size": words,
        **_BLOCKS,
        "max_position_embeddings": 130,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
        **settings,
    }


def random_model(class_: Any, config: Any, seed: int = 0) -> Any:
    """A model whose texts differ: the usual start, near zero, would make all vectors alike."""
    import torch

    torch.manual_seed(seed)
    model = class_(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.2)
    return model.eval()


def clip_preprocessor(folder: Path, **changes: Any) -> None:
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "CLIPImageProcessor",
            "crop_size": {"height": SIZE, "width": SIZE},
            "do_center_crop": True,
            "do_convert_rgb": True,
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.48145466, 0.4578275, 0.40821073],
            "image_std": [0.26862954, 0.26130258, 0.27577711],
            "resample": 3,
            "rescale_factor": 1 / 255,
            "size": {"shortest_edge": SIZE},
            **changes,
        },
    )


def siglip_preprocessor(folder: Path, *, resample: int = 3) -> None:
    write_json(
        folder / "preprocessor_config.json",
        {
            "image_processor_type": "SiglipImageProcessor",
            "do_normalize": True,
            "do_rescale": True,
            "do_resize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "resample": resample,
            "rescale_factor": 1 / 255,
            "size": {"height": SIZE, "width": SIZE},
        },
    )


# Folders of transformers' models


def hf_clip(folder: Path, *, legacy: bool = False) -> Path:
    """`legacy`: the configuration says that the end token is 2, and means the largest."""
    words = clip_tokenizer(folder)
    with silent_transformers() as transformers:
        text = {
            **_BLOCKS,
            "vocab_size": words,
            "max_position_embeddings": CONTEXT,
            "bos_token_id": 0 if legacy else words - 2,
            "eos_token_id": 2 if legacy else words - 1,
        }
        config = transformers.CLIPConfig(
            text_config=text, vision_config=_VISION, projection_dim=DIMENSION
        )
        random_model(transformers.CLIPModel, config).save_pretrained(folder)
    clip_preprocessor(folder)
    return folder


def hf_metaclip2(folder: Path) -> Path:
    words = xlm_roberta_tokenizer(folder)
    with silent_transformers() as transformers:
        text = {
            **_BLOCKS,
            "vocab_size": words,
            "max_position_embeddings": CONTEXT,
            "eos_token_id": 2,
            "bos_token_id": 0,
            "pad_token_id": 1,
        }
        config = transformers.MetaClip2Config(
            text_config=text, vision_config=_VISION, projection_dim=DIMENSION
        )
        random_model(transformers.MetaClip2Model, config).save_pretrained(folder)
    clip_preprocessor(folder)
    return folder


def hf_siglip(folder: Path, *, version: int = 1) -> Path:
    """`version` 2 is SigLIP 2 of a fixed resolution: the same model, with Gemma's vocabulary."""
    if version == 1:
        words = t5_tokenizer(folder, pad_token="</s>", model_max_length=CONTEXT)
        path = folder / "tokenizer_config.json"
        about = json.loads(path.read_text())
        write_json(path, {**about, "tokenizer_class": "SiglipTokenizer", "do_lower_case": True})
    else:
        words = gemma_tokenizer(folder)
    with silent_transformers() as transformers:
        text = {
            **_BLOCKS,
            "vocab_size": words,
            "max_position_embeddings": CONTEXT,
            "projection_size": 32,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1 if version == 1 else 0,
        }
        config = transformers.SiglipConfig(text_config=text, vision_config=_VISION)
        random_model(transformers.SiglipModel, config).save_pretrained(folder)
    siglip_preprocessor(folder, resample=3 if version == 1 else 2)
    return folder


def hf_chinese_clip(folder: Path) -> Path:
    words = bert_tokenizer(folder)
    with silent_transformers() as transformers:
        text = {
            **_BLOCKS,
            "vocab_size": words,
            "max_position_embeddings": CONTEXT,
            "type_vocab_size": 2,
            "pad_token_id": 0,
        }
        config = transformers.ChineseCLIPConfig(
            text_config=text, vision_config=_VISION, projection_dim=DIMENSION
        )
        random_model(transformers.ChineseCLIPModel, config).save_pretrained(folder)
    clip_preprocessor(folder)
    return folder


def hf_altclip(folder: Path) -> Path:
    words = xlm_roberta_tokenizer(folder)
    with silent_transformers() as transformers:
        text = {k: v for k, v in roberta_config(words).items() if k != "architectures"}
        text.pop("model_type")
        config = transformers.AltCLIPConfig(
            text_config={**text, "project_dim": 32},
            vision_config=_VISION,
            projection_dim=DIMENSION,
        )
        random_model(transformers.AltCLIPModel, config).save_pretrained(folder)
    clip_preprocessor(folder)
    return folder


def mclip(folder: Path, *, dimension: int = DIMENSION) -> Path:
    import torch

    words = xlm_roberta_tokenizer(folder)
    write_json(folder / "base" / "config.json", roberta_config(words))
    write_json(
        folder / "config.json",
        {
            "architectures": ["MultilingualCLIP"],
            "model_type": "M-CLIP",
            "modelBase": "base",
            "transformerDimensions": 32,
            "numDims": dimension,
        },
    )
    with silent_transformers() as transformers:
        config = transformers.AutoConfig.from_pretrained(folder / "base")
        base = random_model(transformers.XLMRobertaModel, config)
    linear = torch.nn.Linear(32, dimension)
    tensors = {f"transformer.{name}": value for name, value in base.state_dict().items()}
    tensors |= {f"LinearTransformation.{name}": v for name, v in linear.state_dict().items()}
    tensors["transformer.embeddings.position_ids"] = torch.arange(130)[None]
    torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def sentence_transformer(folder: Path, *, dimension: int = DIMENSION) -> Path:
    """DistilBERT, the mean of its tokens, one linear layer: as clip-ViT-B-32-multilingual-v1."""
    import torch

    words = bert_tokenizer(folder)
    with silent_transformers() as transformers:
        config = transformers.DistilBertConfig(
            vocab_size=words,
            dim=32,
            hidden_dim=64,
            n_layers=2,
            n_heads=2,
            max_position_embeddings=64,
            pad_token_id=0,
        )
        random_model(transformers.DistilBertModel, config).save_pretrained(folder)
    prefix = "sentence_transformers.models"
    write_json(
        folder / "modules.json",
        [
            {"idx": 0, "name": "0", "path": "", "type": f"{prefix}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{prefix}.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Dense", "type": f"{prefix}.Dense"},
        ],
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 48, "do_lower_case": False})
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": 32,
            "pooling_mode_cls_token": False,
            "pooling_mode_mean_tokens": True,
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
    write_json(
        folder / "2_Dense" / "config.json",
        {
            "in_features": 32,
            "out_features": dimension,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
        },
    )
    torch.manual_seed(1)
    weight = torch.randn(dimension, 32)
    torch.save({"linear.weight": weight}, folder / "2_Dense" / "pytorch_model.bin")
    return folder


# open_clip

OPEN_CLIP_VISION = {
    "image_size": SIZE,
    "patch_size": 16,
    "layers": 1,
    "width": 32,
    "head_width": 16,
}
OPEN_CLIP_BLOCKS = {"width": 32, "heads": 2, "layers": 2}
COCA_DECODER = {
    "context_length": CONTEXT,
    "width": 32,
    "heads": 2,
    "layers": 1,
    "attn_pooler_heads": 2,
}


def open_clip_folder(folder: Path, text: dict[str, Any], **model: Any) -> Path:
    """A `local-dir:` folder of a model with that `text_cfg`; its tokenizer is there already."""
    from safetensors.torch import save_file

    config = {
        "embed_dim": DIMENSION,
        "vision_cfg": dict(OPEN_CLIP_VISION),
        "text_cfg": text,
        **model,
    }
    preprocess = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic"}
    write_json(
        folder / "open_clip_config.json", {"model_cfg": config, "preprocess_cfg": preprocess}
    )
    clip = open_clip_model(config, folder)
    tensors = {name: value.clone() for name, value in clip.state_dict().items()}
    save_file(tensors, folder / "open_clip_model.safetensors")
    return folder


def open_clip_model(config: dict[str, Any], folder: Path) -> Any:
    """What open_clip builds of a configuration; a transformers tower from `folder`."""
    config = json.loads(json.dumps(config))
    text = config["text_cfg"]
    custom = config.pop("custom_text", False)
    kind = "CustomTextCLIP" if custom or "hf_model_name" in text else "CLIP"
    if "hf_model_name" in text:
        text |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
    models_ = open_clip()
    class_ = models_.CoCa if "multimodal_cfg" in config else getattr(models_, kind)
    with silent_transformers():
        return random_model(lambda settings: class_(**settings), config)


def open_clip_siglip(folder: Path, *, version: int = 1) -> Path:
    words = t5_tokenizer(folder, pad_token="</s>") if version == 1 else gemma_tokenizer(folder)
    return open_clip_folder(
        folder,
        {
            **OPEN_CLIP_BLOCKS,
            "context_length": CONTEXT,
            "vocab_size": words,
            "hf_tokenizer_name": "timm/tiny",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
        },
        custom_text=True,
        init_logit_bias=-10,
    )


def open_clip_worldwide(folder: Path) -> Path:
    """Causal, with XLM-R's vocabulary, read at a fixed end token."""
    words = xlm_roberta_tokenizer(folder)
    return open_clip_folder(
        folder,
        {
            **OPEN_CLIP_BLOCKS,
            "context_length": CONTEXT,
            "vocab_size": words,
            "hf_tokenizer_name": "facebook/tiny",
            "pool_type": "eos",
            "eos_id": 2,
        },
    )


def open_clip_clipa(folder: Path) -> Path:
    """Bidirectional, with BERT's vocabulary, its end token blanked."""
    words = bert_tokenizer(folder)
    return open_clip_folder(
        folder,
        {
            **OPEN_CLIP_BLOCKS,
            "context_length": CONTEXT,
            "vocab_size": words,
            "hf_tokenizer_name": "bert-tiny",
            "tokenizer_kwargs": {"strip_sep_token": True},
            "pool_type": "last",
            "no_causal_mask": True,
        },
    )


def open_clip_xlm_roberta(folder: Path, *, coca: bool = False) -> Path:
    words = xlm_roberta_tokenizer(folder)
    write_json(folder / "config.json", roberta_config(words))
    text = {
        "hf_model_name": "xlm-roberta-tiny",
        "hf_tokenizer_name": "xlm-roberta-tiny",
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "linear" if coca else "mlp",
        "output_tokens": coca,
    }
    if not coca:
        return open_clip_folder(folder, text)
    vision = {**OPEN_CLIP_VISION, "attentional_pool": True, "attn_pooler_heads": 2}
    return open_clip_folder(
        folder,
        text,
        vision_cfg={**vision, "attn_pooler_queries": 4, "output_tokens": True},
        multimodal_cfg=COCA_DECODER,
    )


def open_clip_mt5(folder: Path) -> Path:
    words = t5_tokenizer(folder)
    write_json(
        folder / "config.json",
        {
            "model_type": "mt5",
            "architectures": ["MT5ForConditionalGeneration"],
            "vocab_size": words,
            "d_model": 32,
            "d_kv": 16,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 2,
            "is_encoder_decoder": True,
            "pad_token_id": 0,
            "eos_token_id": 1,
            "decoder_start_token_id": 0,
            "tie_word_embeddings": False,
        },
    )
    return open_clip_folder(
        folder,
        {
            "hf_model_name": "google/mt5-tiny",
            "hf_tokenizer_name": "google/mt5-tiny",
            "hf_pooler_type": "mean_pooler",
        },
    )


def open_clip_nllb(folder: Path) -> Path:
    words = nllb_tokenizer(folder)
    write_json(
        folder / "config.json",
        {
            "model_type": "m2m_100",
            "architectures": ["M2M100ForConditionalGeneration"],
            "vocab_size": words,
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_position_embeddings": 100,
            "is_encoder_decoder": True,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "decoder_start_token_id": 2,
            "scale_embedding": True,
        },
    )
    return open_clip_folder(
        folder,
        {
            "hf_model_name": "facebook/nllb-tiny",
            "hf_tokenizer_name": "facebook/nllb-tiny",
            "hf_pooler_type": "cls_pooler",
            "hf_proj_type": "linear",
        },
        custom_text=True,
        init_logit_bias=-10,
    )


def open_clip_coca(folder: Path) -> Path:
    """With CLIP's vocabulary, which open_clip carries."""
    return open_clip_folder(
        folder,
        {
            **OPEN_CLIP_BLOCKS,
            "context_length": CONTEXT,
            "vocab_size": 49408,
            "embed_cls": True,
            "output_tokens": True,
        },
        vision_cfg={
            **OPEN_CLIP_VISION,
            "attentional_pool": True,
            "attn_pooler_heads": 2,
            "attn_pooler_queries": 4,
            "output_tokens": True,
        },
        multimodal_cfg=COCA_DECODER,
        custom_text=True,
    )

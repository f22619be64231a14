"""Folders of open_clip's models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search_back.encoders.sources.open_clip_import import open_clip
from tests.tiny_models.common import (
    CONTEXT,
    DIMENSION,
    SIZE,
    random_model,
    silent_transformers,
    write_json,
)
from tests.tiny_models.of_transformers import roberta_config
from tests.tiny_models.vocabularies import (
    bert_tokenizer,
    gemma_tokenizer,
    nllb_tokenizer,
    t5_tokenizer,
    xlm_roberta_tokenizer,
)

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

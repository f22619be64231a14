"""Folders as models of transformers, M-CLIP and sentence-transformers are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.tiny_models.common import (
    CONTEXT,
    DIMENSION,
    SIZE,
    random_model,
    silent_transformers,
    write_json,
)
from tests.tiny_models.vocabularies import (
    bert_tokenizer,
    clip_tokenizer,
    gemma_tokenizer,
    t5_tokenizer,
    xlm_roberta_tokenizer,
)

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


def hf_clip(folder: Path, *, legacy: bool = False) -> Path:
    """`legacy`: the configuration says that the end token is 2, and means the largest."""
    words = clip_tokenizer(folder)
    text = {
        **_BLOCKS,
        "vocab_size": words,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": 0 if legacy else words - 2,
        "eos_token_id": 2 if legacy else words - 1,
    }
    return _save_clip(folder, "CLIP", text)


def hf_metaclip2(folder: Path) -> Path:
    words = xlm_roberta_tokenizer(folder)
    text = {
        **_BLOCKS,
        "vocab_size": words,
        "max_position_embeddings": CONTEXT,
        "eos_token_id": 2,
        "bos_token_id": 0,
        "pad_token_id": 1,
    }
    return _save_clip(folder, "MetaClip2", text)


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
    text = {
        **_BLOCKS,
        "vocab_size": words,
        "max_position_embeddings": CONTEXT,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    return _save_clip(folder, "ChineseCLIP", text)


def hf_altclip(folder: Path) -> Path:
    words = xlm_roberta_tokenizer(folder)
    text = roberta_config(words, project_dim=32)
    del text["architectures"], text["model_type"]
    return _save_clip(folder, "AltCLIP", text)


def _save_clip(folder: Path, kind: str, text: dict[str, Any]) -> Path:
    with silent_transformers() as transformers:
        about = getattr(transformers, f"{kind}Config")(
            text_config=text, vision_config=_VISION, projection_dim=DIMENSION
        )
        random_model(getattr(transformers, f"{kind}Model"), about).save_pretrained(folder)
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

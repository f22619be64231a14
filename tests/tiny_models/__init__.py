"""Tiny random models of every family, as their folders are published; tokenizers to go with them.

Widths are 32 and less, vocabularies a few hundred: they compute in milliseconds and mean nothing.
"""

from tests.tiny_models.common import (
    CONTEXT,
    DIMENSION,
    SIZE,
    TEXTS,
    random_model,
    silent_transformers,
    write_json,
)
from tests.tiny_models.of_open_clip import (
    COCA_DECODER,
    OPEN_CLIP_BLOCKS,
    OPEN_CLIP_VISION,
    open_clip_clipa,
    open_clip_coca,
    open_clip_model,
    open_clip_mt5,
    open_clip_nllb,
    open_clip_siglip,
    open_clip_worldwide,
    open_clip_xlm_roberta,
)
from tests.tiny_models.of_transformers import (
    clip_preprocessor,
    hf_altclip,
    hf_chinese_clip,
    hf_clip,
    hf_metaclip2,
    hf_siglip,
    mclip,
    roberta_config,
    sentence_transformer,
)
from tests.tiny_models.vocabularies import (
    bert_tokenizer,
    clip_tokenizer,
    gemma_tokenizer,
    nllb_tokenizer,
    t5_tokenizer,
    xlm_roberta_tokenizer,
)

__all__ = [
    "COCA_DECODER",
    "CONTEXT",
    "DIMENSION",
    "OPEN_CLIP_BLOCKS",
    "OPEN_CLIP_VISION",
    "SIZE",
    "TEXTS",
    "bert_tokenizer",
    "clip_preprocessor",
    "clip_tokenizer",
    "gemma_tokenizer",
    "hf_altclip",
    "hf_chinese_clip",
    "hf_clip",
    "hf_metaclip2",
    "hf_siglip",
    "mclip",
    "nllb_tokenizer",
    "open_clip_clipa",
    "open_clip_coca",
    "open_clip_model",
    "open_clip_mt5",
    "open_clip_nllb",
    "open_clip_siglip",
    "open_clip_worldwide",
    "open_clip_xlm_roberta",
    "random_model",
    "roberta_config",
    "sentence_transformer",
    "silent_transformers",
    "t5_tokenizer",
    "write_json",
    "xlm_roberta_tokenizer",
]

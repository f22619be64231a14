"""From a checkpoint to the model's folder: open_clip files, ONNX towers, `encoder.json`."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from search_back.encoders.export import (
    WEIGHTS_FILE,
    export_towers,
    load_local,
    write_encoder_json,
)
from search_back.encoders.open_clip_import import open_clip
from search_back.models import MODEL_NAME
from search_back.models.recipe.network import CONTEXT, OPEN_CLIP_CONFIG
from search_back.models.recipe.pictures import read_pictures
from search_back.models.recipe.work import WorkFolder

CONFIG_FILE = "open_clip_config.json"
VOCABULARY_FILE = "bpe.txt.gz"
_CHECKED = 64


def publish_model(work: WorkFolder, pictures: Path, folder: Path) -> None:
    """Write the model's folder; towers are checked on bundled pictures and their captions.

    The files are made beside the folder and moved into it once all of them are right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as part:
        _write_files(work, pictures, Path(part))
        for file in sorted(Path(part).iterdir()):
            file.replace(folder / file.name)


def _write_files(work: WorkFolder, pictures: Path, folder: Path) -> None:
    shutil.copyfile(work.vocabulary, folder / VOCABULARY_FILE)
    config = json.dumps(OPEN_CLIP_CONFIG, indent=2) + "\n"
    (folder / CONFIG_FILE).write_text(config, encoding="utf-8")
    write_weights(torch.load(work.checkpoint), folder / WEIGHTS_FILE)
    clip, preprocess = load_local(folder)
    samples = read_pictures(pictures)
    chosen = samples[:: max(1, len(samples) // _CHECKED)][:_CHECKED]
    pixels = torch.stack([preprocess(item.picture) for item in chosen]).numpy()
    checks = export_towers(
        clip,
        folder,
        pixel_values=pixels,
        input_ids=tokenise(folder, [item.caption for item in chosen]),
    )
    write_encoder_json(
        clip,
        folder,
        name=MODEL_NAME,
        checks=checks,
        preprocessing=OPEN_CLIP_CONFIG["preprocess_cfg"],
        tokenizer={"kind": "clip_bpe", "vocabulary": VOCABULARY_FILE, "context_length": CONTEXT},
    )


def write_weights(weights: dict[str, Any], file: Path) -> None:
    """Write weights as float16; integer counters keep their type."""
    from safetensors.torch import save_file

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    save_file(half, str(file), metadata={"format": "pt"})
    file.chmod(0o644)


def tokenise(folder: Path, texts: list[str]) -> npt.NDArray[np.int64]:
    """Token rows `(n, 32)` by stock open_clip."""
    vocabulary = str((folder / VOCABULARY_FILE).resolve())
    tokenizer = open_clip().get_tokenizer(f"local-dir:{folder}", bpe_path=vocabulary)
    rows: npt.NDArray[np.int64] = tokenizer(texts).numpy()
    return rows

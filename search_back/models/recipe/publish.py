"""From a checkpoint to the model's folder: open_clip files, ONNX towers, `encoder.json`."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from search_back.encoders.export import Exporter, Samples
from search_back.encoders.names import EncoderSpec
from search_back.encoders.sources import load_source
from search_back.models import MODEL_NAME
from search_back.models.recipe.network import OPEN_CLIP_CONFIG
from search_back.models.recipe.pictures import Sample, read_pictures
from search_back.models.recipe.work import WorkFolder

CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILE = "open_clip_model.safetensors"
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
    write_weights(torch.load(work.checkpoint, weights_only=True), folder / WEIGHTS_FILE)
    samples = read_pictures(pictures)
    chosen = samples[:: max(1, len(samples) // _CHECKED)][:_CHECKED]
    source = load_source(EncoderSpec(MODEL_NAME, architecture=f"local-dir:{folder}"))
    exporter = Exporter(
        dataclasses.replace(source, origin={}),
        samples=Samples([_png(item) for item in chosen], [item.caption for item in chosen]),
    )
    exporter.write(folder)


def write_weights(weights: dict[str, Any], file: Path) -> None:
    """Write weights as float16; integer counters keep their type."""
    from safetensors.torch import save_file

    half = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    save_file(half, str(file), metadata={"format": "pt"})
    file.chmod(0o644)


def _png(sample: Sample) -> bytes:
    buffer = io.BytesIO()
    sample.picture.save(buffer, "PNG")
    return buffer.getvalue()

"""The bundled tiny CLIP model and the bundled demo pictures: where their files lie.

Importing this package loads neither torch nor onnxruntime. How the files were made is in
`search_back.models.recipe`; what the model can and cannot do is in `emoji/README.md`.
"""

from __future__ import annotations

from pathlib import Path

MODEL_NAME = "emoji"

_HERE = Path(__file__).resolve().parent


def model_folder() -> Path:
    """Folder of the bundled model: open_clip files, ONNX towers, `encoder.json`, vocabulary."""
    return _HERE / MODEL_NAME


def pictures_tar() -> Path:
    """WebDataset tar of the bundled demo pictures (`KEY.jpg`, `KEY.txt`, `KEY.json`)."""
    return _HERE / "emoji_pictures.tar"

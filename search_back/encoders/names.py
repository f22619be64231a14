"""The names of encoders, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search_back.encoders.description import ENCODER_FILE
from search_back.errors import ConfigError
from search_back.models import MODEL_NAME, model_folder

FORMS = (
    f"{MODEL_NAME} (bundled), ViT-B/32 (OpenAI's names), open_clip:MODEL/pretrained-tag, "
    "open_clip:hf-hub:ORGANISATION/NAME, open_clip:MODEL//path/to/checkpoint.pt, local-dir:FOLDER, "
    "hf:ORGANISATION/NAME, hf:FOLDER, or the folder of an exported model"
)
# OpenAI's weights were trained with QuickGELU; open_clip keeps that under names of its own.
_OPENAI = {
    "RN50": "RN50-quickgelu",
    "RN101": "RN101-quickgelu",
    "RN50x4": "RN50x4-quickgelu",
    "RN50x16": "RN50x16-quickgelu",
    "RN50x64": "RN50x64-quickgelu",
    "ViT-B/32": "ViT-B-32-quickgelu",
    "ViT-B/16": "ViT-B-16-quickgelu",
    "ViT-L/14": "ViT-L-14-quickgelu",
    "ViT-L/14@336px": "ViT-L-14-336-quickgelu",
}


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A name taken apart: an exported ``folder``, an open_clip ``architecture`` with its
    ``pretrained`` tag or file, or a Hugging Face ``repository`` (a folder or a hub's name).

    ``name`` holds paths in full: it is written beside embeddings and loaded from anywhere.
    """

    name: str
    folder: Path | None = None
    architecture: str | None = None
    pretrained: str | None = None
    repository: str | None = None

    @property
    def has_source(self) -> bool:
        """Whether there are weights that torch can load, not an export alone."""
        return self.architecture is not None or self.repository is not None


def parse_name(name: str) -> EncoderSpec:
    """Take a name of one of the forms in ``FORMS`` apart; raises ``ConfigError`` for others."""
    if name == MODEL_NAME:
        return EncoderSpec(name, folder=model_folder(), architecture=f"local-dir:{model_folder()}")
    if name in _OPENAI:
        return EncoderSpec(name, architecture=_OPENAI[name], pretrained="openai")
    for prefix in ("hf:", "hf_clip:"):
        if name.startswith(prefix):
            return _hugging_face(name.removeprefix(prefix))
    rest = name.removeprefix("open_clip:")
    if rest.startswith("local-dir:"):
        folder = Path(rest.removeprefix("local-dir:")).resolve()
        exported = folder if (folder / ENCODER_FILE).is_file() else None
        full = f"local-dir:{folder}"
        return EncoderSpec(full, folder=exported, architecture=full)
    if rest.startswith("hf-hub:"):
        return EncoderSpec(f"open_clip:{rest}", architecture=rest)
    if name.startswith("open_clip:"):
        architecture, _, pretrained = rest.partition("/")
        if Path(pretrained).is_file():
            pretrained = str(Path(pretrained).resolve())
            name = f"open_clip:{architecture}/{pretrained}"
        return EncoderSpec(name, architecture=architecture, pretrained=pretrained or None)
    if (Path(name) / ENCODER_FILE).is_file():
        folder = Path(name).resolve()
        return EncoderSpec(str(folder), folder=folder)
    raise ConfigError("no model of that name", value=name, remedy=f"give {FORMS}")


def _hugging_face(repository: str) -> EncoderSpec:
    if Path(repository).is_dir():
        repository = str(Path(repository).resolve())
    return EncoderSpec(f"hf:{repository}", repository=repository)

"""Where the steps of the recipe leave their outputs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Paths below one work folder; nothing is created by asking for a path."""

    root: Path

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def unpacked(self) -> Path:
        return self.root / "unpacked"

    @property
    def font(self) -> Path:
        return self.downloads / "NotoColorEmoji.ttf"

    @property
    def concepts(self) -> Path:
        return self.root / "concepts.json"

    @property
    def vocabulary(self) -> Path:
        return self.root / "bpe.txt.gz"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoint.pt"

    @property
    def training_log(self) -> Path:
        return self.root / "training.json"

    def round_checkpoint(self, number: int) -> Path:
        return self.root / f"round_{number + 1}.pt"

    def round_log(self, number: int) -> Path:
        return self.root / f"round_{number + 1}.json"

    def sprites(self, style: str) -> Path:
        return self.root / "sprites" / f"{style}.npz"

"""The client that scripts written for clip-retrieval import, under its names."""

from __future__ import annotations

import base64
import enum
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from search_back.errors import InputError

_TIMEOUT_S = 3600


class Modality(enum.Enum):
    IMAGE = "image"
    TEXT = "text"


class ClipClient:
    """Asks one index by ``/knn-service``. ``url`` is that of the service, path included."""

    def __init__(
        self,
        url: str,
        indice_name: str,
        use_mclip: bool = False,
        aesthetic_score: int | None = 9,
        aesthetic_weight: float = 0.5,
        modality: Modality = Modality.IMAGE,
        num_images: int = 40,
        deduplicate: bool = True,
        use_safety_model: bool = True,
        use_violence_detector: bool = True,
    ) -> None:
        self.url = url
        self._settings = {
            "indice_name": indice_name,
            "use_mclip": use_mclip,
            "aesthetic_score": aesthetic_score,
            "aesthetic_weight": aesthetic_weight,
            "modality": modality.value,
            "num_images": num_images,
            "num_result_ids": num_images,
            "deduplicate": deduplicate,
            "use_safety_model": use_safety_model,
            "use_violence_detector": use_violence_detector,
        }

    def query(
        self,
        text: str | None = None,
        image: str | None = None,
        embedding_input: Sequence[float] | None = None,
    ) -> list[dict[str, Any]]:
        """Results as ``{"id", "similarity", …metadata}``; ``image``: an address or a path."""
        given = [value for value in (text, image, embedding_input) if value is not None]
        if len(given) != 1:
            raise ValueError("give one of text, image and embedding_input")
        asked: dict[str, Any] = {"text": text}
        if image is not None and image.startswith(("http://", "https://")):
            asked = {"image_url": image}
        elif image is not None:
            asked = {"image": _encoded(image)}
        elif embedding_input is not None:
            asked = {"embedding_input": [float(value) for value in embedding_input]}
        answer = requests.post(
            self.url, data=json.dumps(asked | self._settings), timeout=_TIMEOUT_S
        )
        found = answer.json()
        if not answer.ok:
            raise InputError(str(found.get("message", answer.reason)))
        hits: list[dict[str, Any]] = found
        return hits


def _encoded(path: str) -> str:
    return base64.b64encode(Path(path).read_bytes()).decode()

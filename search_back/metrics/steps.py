"""The steps of a query, and what they cost for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WHOLE: Final = "full_knn_request_time"

# The names are those that dashboards of clip-retrieval query.
STEPS: Final[dict[str, str]] = {
    WHOLE: "Seconds for a full knn request, from the body read to the answer written",
    "download_time": "Seconds for the download of a picture from an address",
    "text_clip_inference_time": "Seconds for the text clip inference: tokens to embedding",
    "image_clip_inference_time": "Seconds for the image clip inference: pixels to embedding",
    "metadata_get_time": "Seconds for the metadata get: the rows of the hits",
    "knn_index_time": "Seconds for the knn index: the nearest neighbours of the embedding",
    "dedup_time": "Seconds for the dedup of near-duplicate hits",
    "safety_time": "Seconds for the safety models",
    "image_prepro_time": "Seconds for the image prepro: decoding, resizing, normalising",
    "text_prepro_time": "Seconds for the text prepro: tokenizing",
}


def summary(costs: Mapping[str, tuple[int, float]]) -> str:
    """A table of the steps, the dearest first; ``costs``: calls and total seconds of each."""
    calls, total = costs[WHOLE]
    width = max(map(len, STEPS))
    lines = [
        f"{calls} calls to /knn-service, {_average(calls, total):.6f} s on average. "
        "What their steps cost, the dearest first:",
        "",
        f"{'name':<{width}}  {'calls':>9}  {'average':>12}  {'share':>7}  description",
    ]
    for step in sorted(STEPS, key=lambda step: -costs[step][1]):
        step_calls, step_total = costs[step]
        average = f"{_average(step_calls, step_total):.6f} s"
        share = f"{step_total / total if total else 0.0:.1%}"
        lines.append(f"{step:<{width}}  {step_calls:>9}  {average:>12}  {share:>7}  {STEPS[step]}")
    return "\n".join(lines) + "\n"


def _average(calls: int, total: float) -> float:
    return total / calls if calls else 0.0

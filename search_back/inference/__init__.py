"""From a pile of pictures and captions to an embeddings folder.

::

    readers   a folder, or tars    → items in a fixed order, bytes loaded late
    plan      a scan of the input  → whether texts are embedded, how many items there are
    pipeline  items                → batches: bytes read ahead, copies told, the mapper
    mapper    items                → batches of rows and vectors, decoded ahead of the encoder
    writers   batches              → partitions of .npy and .parquet, failures
    runner    wires them; the folder appears whole, with its manifest, or not at all

Readers know nothing of encoders, writers nothing of readers. One bad item costs itself, never
its neighbours. Memory is bounded by the batch and the largest single folder's list of names.
"""

from search_back.inference.dry_run import Outlook, look_ahead
from search_back.inference.report import Failure, InferenceReport, Progress
from search_back.inference.runner import run
from search_back.inference.settings import InferenceSettings, expand_braces

__all__ = [
    "Failure",
    "InferenceReport",
    "InferenceSettings",
    "Outlook",
    "Progress",
    "expand_braces",
    "look_ahead",
    "run",
]

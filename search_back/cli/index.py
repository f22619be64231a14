"""``search-back index``."""

from __future__ import annotations

import json as json_
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from search_back.cli.options import flag, option
from search_back.cli.progress import BuildBars, say
from search_back.errors import ConfigError


@click.command("index", short_help="Build a search index from embeddings.")
@option("embeddings-folder", type=click.Path(path_type=Path), help="What inference wrote.")
@option("input-folder", type=click.Path(path_type=Path), help="The same, under its old name.")
@option("index-folder", type=click.Path(path_type=Path), help="Where to write.")
@option("output-folder", type=click.Path(path_type=Path), help="The same, under its old name.")
@option("max-index-memory-usage", default="4G", help="Memory the index may take when it serves.")
@option("current-memory-available", default="16G", help="Memory the build may take.")
@option("factory", help="A faiss factory string, instead of the one that would be chosen.")
@flag(
    "graph",
    default=None,
    help="Link near neighbours: faster, for 160 bytes a vector. "
    "[default: from 200,000 vectors on, where it fits]",
)
@option(
    "recall",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.95,
    help="Share of the true ten nearest to find.",
)
@flag("copy-metadata", default=True, help="Copy the metadata beside the index.")
@option("image-subfolder", help="Folder of the image embeddings. [default: img_emb]")
@option("text-subfolder", help="Folder of the text embeddings. [default: text_emb]")
@option("nb-cores", type=click.IntRange(1), help="Threads to use. [default: all cores]")
@flag("overwrite", default=False, help="Replace an index that is there.")
@flag("append", default=False, help="Add the embeddings to the index that is there.")
@flag("json", default=False, help="Print the index's description as JSON on stdout.")
def command(
    embeddings_folder: Path | None,
    input_folder: Path | None,
    index_folder: Path | None,
    output_folder: Path | None,
    append: bool,
    json: bool,
    **values: Any,
) -> None:
    """Build a search index from embeddings.

    The kind of index is chosen by the number of vectors and the memory it may take, then
    measured: its recall and latency are printed and written to index.json. A build that was
    stopped goes on where it was when it is called again.

    \b
    Example:
      search-back index --embeddings-folder embeddings --index-folder index
    """
    from search_back.index import append as append_
    from search_back.index import build as build_

    source = embeddings_folder or input_folder
    target = index_folder or output_folder
    if source is None or target is None:
        missing = "--embeddings-folder" if source is None else "--index-folder"
        raise ConfigError(f"{missing} is missing", remedy="see search-back index --help")
    bars = BuildBars()
    try:
        settings = build_.BuildSettings(
            embeddings_folder=source,
            index_folder=target,
            command=shlex.join(["search-back", *sys.argv[1:]]),
            **values,
        )
        work = append_.append if append else build_.build
        report = work(settings, progress=bars)
    finally:
        bars.close()
    for modality, about in report.manifest["indices"].items():
        say(f"{modality}: {about['count']} vectors, {about['bytes'] / 1e6:.1f} MB, {_told(about)}")
    for note in report.notes:
        say(note)
    say(f"index built in {report.seconds:.1f} s → {report.folder}")
    if json:
        click.echo(json_.dumps(report.manifest))


def _told(about: Mapping[str, Any]) -> str:
    measured = about.get("measured")
    if not measured:
        return "not measured"
    return ", ".join(
        f"{kind} queries: recall@10 {recall:.3f}, {measured['p50_ms'][kind]:.2f} ms"
        for kind, recall in measured["recall_at_10"].items()
    )

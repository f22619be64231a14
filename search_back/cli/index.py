"""``search-back index``."""

from __future__ import annotations

import json as json_
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
@flag("copy-metadata", default=True, help="Copy the metadata beside the index.")
@option("image-subfolder", help="Folder of the image embeddings. [default: img_emb]")
@option("text-subfolder", help="Folder of the text embeddings. [default: text_emb]")
@option("nb-cores", type=click.IntRange(1), help="Threads to use. [default: all cores]")
@flag("overwrite", default=False, help="Replace an index that is there.")
@flag("json", default=False, help="Print the index's description as JSON on stdout.")
def command(
    embeddings_folder: Path | None,
    input_folder: Path | None,
    index_folder: Path | None,
    output_folder: Path | None,
    json: bool,
    **values: Any,
) -> None:
    """Build a search index from embeddings.

    The kind of index is chosen by the number of vectors and the memory it may take, then
    measured: its recall and latency are printed and written to index.json.

    \b
    Example:
      search-back index --embeddings-folder embeddings --index-folder index
    """
    from search_back.index.build import BuildSettings, build

    source = embeddings_folder or input_folder
    target = index_folder or output_folder
    if source is None or target is None:
        missing = "--embeddings-folder" if source is None else "--index-folder"
        raise ConfigError(f"{missing} is missing", remedy="see search-back index --help")
    bars = BuildBars()
    try:
        report = build(
            BuildSettings(embeddings_folder=source, index_folder=target, **values), progress=bars
        )
    finally:
        bars.close()
    for modality, about in report.manifest["indices"].items():
        recall = ", ".join(
            f"{value:.3f} ({kind} queries)"
            for kind, value in about["measured"]["recall_at_10"].items()
        )
        say(
            f"{modality}: {about['count']} vectors, {about['factory']}, "
            f"{about['bytes'] / 1e6:.1f} MB, recall@10 {recall}, "
            f"{about['measured']['p50_ms']:.2f} ms a query"
        )
    for note in report.notes:
        say(note)
    say(f"index built in {report.seconds:.1f} s → {report.folder}")
    if json:
        click.echo(json_.dumps(report.manifest))

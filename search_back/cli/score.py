"""``search-back score``."""

from __future__ import annotations

import json as json_
from pathlib import Path

import click

from search_back.cli.options import flag, option
from search_back.cli.progress import say


@click.command("score", short_help="Show how well and how fast an index answers.")
@click.argument("index", type=click.Path(path_type=Path))
@flag("measure", default=False, help="Measure again, against exact search.")
@option(
    "embeddings-folder",
    type=click.Path(path_type=Path),
    multiple=True,
    help="What the index was built from, in that order. [default: as the index tells]",
)
@flag("verify", default=False, help="Read every file and compare it with its checksum.")
@option("nb-cores", type=click.IntRange(1), help="Threads to use. [default: all cores]")
@flag("json", default=False, help="Print it as JSON on stdout.")
def command(
    index: Path,
    measure: bool,
    embeddings_folder: tuple[Path, ...],
    verify: bool,
    nb_cores: int | None,
    json: bool,
) -> None:
    """Show how well and how fast an index answers.

    Recall is the share of the true neighbours that is found; milliseconds are those of one query
    for ten results on one thread.

    \b
    Example:
      search-back score index --measure
    """
    from search_back.index.build import use_cores
    from search_back.index.score import score

    use_cores(nb_cores)
    found = score(index, measure_again=measure, embeddings=embeddings_folder, check=verify)
    if found.checked is not None:
        say(f"{found.checked} files are as they were built")
    if json:
        click.echo(json_.dumps(found.to_json()))
        return
    table = list(found.rows())
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))

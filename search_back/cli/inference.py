"""``search-back inference``."""

from __future__ import annotations

import json as json_
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from search_back.cli.options import flag, lists, option
from search_back.cli.progress import InferenceBar, ProgressLines, say
from search_back.config import DEFAULT_TEXT_MODEL, JPEG_DRAFTS, PRECISIONS, RUNTIMES, Limits
from search_back.services import DEFAULT_MODEL

if TYPE_CHECKING:
    from search_back.cli.pushing import Pushing
    from search_back.inference import Outlook, Progress

_NO_EFFECT = (
    "use_jit",
    "wds_number_file_per_input_file",
)


@click.command("inference", short_help="Turn pictures and captions into embeddings.")
@option(
    "input-dataset",
    required=True,
    multiple=True,
    callback=lists,
    help="A folder of pictures; tars: part-{00..09}.tar; tables (Parquet, Arrow, CSV, JSON lines) "
    "of pictures, paths or addresses; or any of these elsewhere: s3://bucket/{00..09}.tar. "
    "Or commands that write tars: 'pipe:curl -s https://…/{00..09}.tar'. May be given again.",
)
@option(
    "output-folder",
    required=True,
    help="Where to write: a folder, or an address such as s3://bucket/folder.",
)
@option(
    "input-format",
    type=click.Choice(["auto", "files", "webdataset", "table"]),
    default="auto",
    help="What the input is.",
)
@option(
    "clip-model",
    default=DEFAULT_MODEL,
    help="The encoder: ViT-B/32 (OpenAI), open_clip:MODEL/pretrained-tag, "
    "open_clip:MODEL//path/to/checkpoint.pt, local-dir:FOLDER, hf:ORGANISATION/NAME, hf:FOLDER, "
    "or emoji (bundled: for drawings of things, not for photographs).",
)
@option(
    "runtime",
    type=click.Choice(RUNTIMES),
    default="auto",
    help="What runs the encoder. auto: an export where there is one (see `export`), else torch.",
)
@option(
    "precision",
    type=click.Choice(PRECISIONS),
    default="fp32",
    help="Of its computation. auto: the fastest export there is.",
)
@option(
    "jpeg-draft",
    type=click.Choice(JPEG_DRAFTS),
    default="off",
    help="Decode large JPEGs at a fraction of their size: close keeps at least twice the pixels "
    "that the encoder reads, fast at least as many.",
)
@option("batch-size", type=click.IntRange(1), default=256, help="Pictures encoded together.")
@option("num-prepro-workers", type=click.IntRange(1), help="Threads that decode. [default: cores]")
@flag("enable-image", default=True, help="Embed the pictures.")
@flag(
    "enable-text",
    default=None,
    help="Embed the captions. True: keep only pictures that have one. [default: embed them where "
    "every picture has one]",
)
@flag(
    "enable-metadata",
    default=None,
    help="Read JSON files beside the pictures, and further columns of tables, into columns. "
    "[default: of tables and of what img2dataset wrote]",
)
@option(
    "max-metadata-columns",
    type=click.IntRange(0),
    default=1000,
    help="Keys of JSON metadata after the first so many make no column.",
)
@option("image-column", help="Of a table: pictures, paths or addresses. [default: by its name]")
@option("caption-column", help="Of a table. [default: by its name]")
@flag(
    "allow-private-addresses",
    default=False,
    help="Fetch pictures that a table links to from private addresses too.",
)
@option("write-batch-size", type=click.IntRange(1), default=10**6, help="Rows a partition.")
@option(
    "output-partition-count",
    type=click.IntRange(1),
    help="How many partitions, instead of --write-batch-size.",
)
@option("subset-size", type=click.IntRange(1), help="Only the first so many items.")
@option("wds-image-key", default="jpg", help="Extension of the pictures in a tar.")
@option("wds-caption-key", default="txt", help="Extension of the captions in a tar.")
@option("max-failures", type=click.IntRange(0), help="Stop past so many failures.")
@flag("overwrite", default=False, help="Replace the result of an earlier run.")
@flag("restart", default=False, help="Begin anew, discarding what an unfinished run has done.")
@option(
    "checkpoint-seconds",
    type=click.FloatRange(0),
    default=10.0,
    help="Work that a kill may cost at most.",
)
@flag(
    "encode-duplicates-once",
    default=False,
    help="Encode pictures with the same bytes once. All keep their rows.",
)
@flag("use-jit", default=False, help="Accepted for old scripts; has no effect.")
@option(
    "cache-path",
    type=click.Path(path_type=Path),
    help="Keep copies of remote inputs here, and make here what is bound for a remote output. "
    "[default: copies are removed after use]",
)
@flag("use-mclip", default=False, help="Embed the captions with --mclip-model.")
@option(
    "mclip-model",
    help="A text encoder that fits the pictures': hf:FOLDER, or a model hub's name. "
    f"[default: {DEFAULT_TEXT_MODEL}]",
)
@option(
    "distribution-strategy",
    type=click.Choice(["sequential"]),
    default="sequential",
    help="How the work is spread: on this machine only.",
)
@option(
    "wds-number-file-per-input-file",
    type=int,
    help="Accepted for old scripts; has no effect.",
)
@flag("dry-run", default=False, help="Only say what would be done.")
@option(
    "progress",
    type=click.Choice(["bar", "json", "none"]),
    default="bar",
    help="On stderr: a bar, one JSON object a line, or nothing until the end.",
)
@option(
    "push-metrics",
    metavar="URL",
    help="Tell a Prometheus Pushgateway how the run goes: http://HOST:9091, or "
    "http://NAME:PASSWORD@HOST:9091.",
)
@flag("json", default=False, help="Print the report as JSON on stdout.")
def command(
    clip_model: str,
    runtime: Any,
    precision: Any,
    jpeg_draft: Any,
    json: bool,
    dry_run: bool,
    progress: Literal["bar", "json", "none"],
    push_metrics: str | None,
    use_mclip: bool,
    mclip_model: str | None,
    allow_private_addresses: bool,
    **values: Any,
) -> None:
    """Turn pictures and captions into embeddings.

    Reads a folder (with its sub-folders), WebDataset tars, tables, or what img2dataset wrote. A
    caption is the .txt file of the same name beside a picture, or a column. What cannot be read is
    skipped, counted, and listed in failures.parquet. A run that was stopped goes on where it was
    when it is given again.

    \b
    Example:
      search-back inference --input-dataset photos --output-folder embeddings
      search-back index --embeddings-folder embeddings --index-folder index
      search-back back --index-folder index
    """
    from search_back.encoders import load_encoder
    from search_back.encoders.foresee import foresee
    from search_back.inference import InferenceSettings, look_ahead, run
    from search_back.inference.report import Silent
    from search_back.services.linked_pictures import linked_pictures
    from search_back.services.multilingual import text_model_name

    for name in _NO_EFFECT:
        del values[name]
    if values["num_prepro_workers"] is None:
        del values["num_prepro_workers"]
    settings = InferenceSettings(**values)
    text_name = text_model_name(mclip_model) if use_mclip else None
    gateway = _gateway(push_metrics)
    if dry_run:
        look = partial(foresee, runtime=runtime, precision=precision)
        outlook = look_ahead(
            settings, look(clip_model), text_encoder=look(text_name) if text_name else None
        )
        _print(asdict(outlook)) if json else _tell(outlook)
        return
    load = partial(
        load_encoder,
        runtime=runtime,
        precision=precision,
        jpeg_draft=jpeg_draft,
        side_by_side=True,
    )
    encoder = load(clip_model)
    text_encoder = load(text_name) if text_name else None
    lines = ProgressLines() if progress == "json" else None
    # Where programs read stderr, what is said to people are lines for them too.
    tell = lines.note if lines else say
    tell(f"encoder {encoder.identity.name}: {encoder.runtime}")
    with ExitStack() as stack:
        shown: Progress = Silent()
        if lines is not None:
            shown = stack.enter_context(lines)
        elif progress == "bar":
            shown = stack.enter_context(InferenceBar())
        pushing = gateway and stack.enter_context(gateway(settings.output, shown))
        report = run(
            settings,
            encoder,
            text_encoder=text_encoder,
            progress=pushing or shown,
            fetch=linked_pictures(Limits(allow_private_addresses=allow_private_addresses)),
        )
    took = f" in {report.seconds:.1f} s ({report.items_per_second:.0f}/s)" if report.seconds else ""
    tell(f"{report.count} items{took}, {report.failures} failures → {report.output_folder}")
    for failure in report.first_failures:
        tell(f"  failed: {failure}")
    if progress == "none" and pushing is not None and pushing.problem is not None:
        say(pushing.problem)
    if lines is None:
        for note in report.notes:
            say(note)
    if json:
        _print(asdict(report))


def _gateway(url: str | None) -> Callable[[Path | str, Progress], Pushing] | None:
    """What pushes the figures of a run to ``url``."""
    if url is None:
        return None
    from search_back.cli.pushing import Pushing, parse_gateway

    return partial(Pushing, parse_gateway(url))


def _tell(outlook: Outlook) -> None:
    """An outlook for people, on stdout: it is what was asked for."""
    inputs = outlook.inputs
    more = f" and {len(inputs) - 1} more" if inputs[1:] else ""
    click.echo(f"input: {inputs[0]}{more}")
    if outlook.items is None:
        click.echo("items: not known, since commands are not run")
    else:
        click.echo(f"items: {outlook.items}, {outlook.captions} with a caption")
    kinds = [name for name, on in (("pictures", outlook.image), ("captions", outlook.text)) if on]
    rows = "" if outlook.rows is None else f", at most {outlook.rows} rows"
    click.echo(f"would embed: {' and '.join(kinds)}{rows}")
    for encoder in (outlook.encoder, outlook.text_encoder):
        if encoder is not None:
            size = f", {encoder.dimension}-d" if encoder.dimension else ""
            click.echo(f"encoder: {encoder.name} ({encoder.runtime} {encoder.precision}{size})")
    state = "would be replaced" if outlook.replaces else "exists" if outlook.exists else "new"
    click.echo(f"output: {outlook.output_folder} ({state})")
    if outlook.disk_bytes is not None:
        click.echo(f"disk: about {outlook.disk_bytes / 2**20:.1f} MiB")
    for note in outlook.notes:
        click.echo(note)


def _print(report: dict[str, Any]) -> None:
    click.echo(json_.dumps(report, default=str))

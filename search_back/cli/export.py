"""``search-back export``."""

from __future__ import annotations

import json as json_
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from search_back.cli.options import flag, option
from search_back.cli.progress import say
from search_back.errors import ConfigError

if TYPE_CHECKING:
    from search_back.encoders.description import ExportRuntime, Precision
    from search_back.encoders.exports import Export


@click.command("export", short_help="Make a model start fast and run fast without torch.")
@option("clip-model", help="The model, named as for `inference` and `back`.")
@option(
    "runtime",
    type=click.Choice(["onnx", "openvino"]),
    default="onnx",
    help="What will run it. openvino: pip install 'search_back[openvino]'.",
)
@option(
    "precision",
    multiple=True,
    type=click.Choice(["fp32", "fp16", "bf16", "int8"]),
    default=["fp32"],
    help="Of the computation. int8: fastest on a CPU. fp16: half the file, computed in fp32. May "
    "be given again.",
)
@option(
    "least-cosine",
    type=click.FloatRange(0, 1),
    help="How close each embedding must come to torch's. For int8, parts are left in fp32 until "
    "it is reached. [default: fp32 0.99999, fp16 and bf16 0.999, int8 0.99]",
)
@option(
    "samples",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder of pictures with captions (.txt of the same name) to check with. "
    "[default: the bundled pictures]",
)
@option("sample-count", type=click.IntRange(2), default=32, help="How many of them.")
@option(
    "output-folder",
    type=click.Path(path_type=Path),
    help="Where to write it. [default: a cache where `back` and `inference` find it by the "
    "model's name]",
)
@flag("overwrite", default=False, help="Export again what there is already.")
@flag("list", default=False, help="List the exports in the cache, and do nothing else.")
@flag("json", default=False, help="Print what was made as JSON on stdout.")
def command(
    clip_model: str | None,
    runtime: str,
    precision: tuple[str, ...],
    least_cosine: float | None,
    samples: Path | None,
    sample_count: int,
    output_folder: Path | None,
    overwrite: bool,
    list: bool,  # noqa: A002
    json: bool,
) -> None:
    """Make a model start fast and run fast without torch.

    Writes the two towers of a model as files that ONNX Runtime or OpenVINO runs, compares them
    with torch on real pictures and texts, and refuses what differs. `back` and `inference` then
    use the export by themselves; `back` takes the fastest there is, `inference` fp32 unless
    --precision says otherwise.

    \b
    Examples:
      search-back export --clip-model ViT-B/32
      search-back export --clip-model ViT-B/32 --precision int8
      search-back export --clip-model ViT-B/32 --precision int8 --least-cosine 0.9999
    """
    if list:
        _list(json)
        return
    if clip_model is None:
        raise ConfigError("there is no model to export", remedy="give --clip-model")
    _export(
        clip_model,
        cast("ExportRuntime", runtime),
        cast("tuple[Precision, ...]", precision),
        least_cosine=least_cosine,
        samples=samples,
        count=sample_count,
        target=output_folder,
        overwrite=overwrite,
        json=json,
    )


def _export(
    clip_model: str,
    runtime: ExportRuntime,
    precisions: tuple[Precision, ...],
    *,
    least_cosine: float | None,
    samples: Path | None,
    count: int,
    target: Path | None,
    overwrite: bool,
    json: bool,
) -> None:
    from search_back.encoders.export import Exporter
    from search_back.encoders.export.samples import bundled_samples, folder_samples
    from search_back.encoders.exports import Export, export_folder, find_export
    from search_back.encoders.names import parse_name
    from search_back.encoders.sources import load_source
    from search_back.files import publish

    spec = parse_name(clip_model)
    if not spec.has_source:
        raise ConfigError(
            "an export cannot be exported again", value=clip_model, remedy="give the model itself"
        )
    if target is not None and len(precisions) > 1:
        raise ConfigError("one output folder holds one precision", value=", ".join(precisions))
    if target is not None and target.exists() and not overwrite:
        raise ConfigError(
            "the output folder exists",
            value=str(target),
            remedy="give another, or --overwrite True",
        )
    wanted = []
    for precision in precisions:
        there = find_export(spec.name, runtime=runtime, precision=precision)
        if target is None and there is not None and not overwrite:
            say("there is one already (--overwrite True makes it again):")
            _show(there, json)
        else:
            wanted.append(precision)
    if not wanted:
        return
    chosen = bundled_samples(count) if samples is None else folder_samples(samples, count)
    begin = time.monotonic()
    say(f"loading {spec.name}")
    source = load_source(spec)
    exporter = Exporter(
        source,
        samples=chosen,
        runtime=runtime,
        report=lambda step: say(f"  {time.monotonic() - begin:6.1f} s  {step}"),
    )
    for precision in wanted:
        place = target or export_folder(source.identity, runtime=runtime, precision=precision)
        with publish(place) as part:
            about = exporter.write(part, precision=precision, least_cosine=least_cosine)
        _show(Export(place, about), json)


def _list(json: bool) -> None:
    from search_back.encoders.exports import cache_folder, exports

    found = [*exports()]
    if not found and not json:
        say(f"there are no exports in {cache_folder()}")
    for export in found:
        _show(export, json)


def _show(export: Export, json: bool) -> None:
    about = export.about
    if json:
        click.echo(json_.dumps(_described(export), default=str))
        return
    cosines = ", ".join(
        f"{tower} ≥ {about.checks[key]:.5f}"
        for tower in ("image", "text")
        if (key := f"min_cosine_{tower}") in about.checks
    )
    say(
        f"{about.name}: {about.runtime} {about.precision}, {export.size / 1e6:.0f} MB, "
        f"cosine to torch {cosines}\n  {export.folder}"
    )


def _described(export: Export) -> dict[str, Any]:
    about = asdict(export.about)
    about["preprocessing"] = export.about.preprocessing.to_json()
    return {"folder": str(export.folder), "bytes": export.size, **about}

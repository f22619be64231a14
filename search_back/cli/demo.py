"""``search-back demo``: the whole chain on the bundled pictures."""

from __future__ import annotations

import tarfile
import threading
import webbrowser
from pathlib import Path
from typing import Any

import click

import search_back
from search_back.cli.options import flag, option
from search_back.cli.progress import BuildBars, InferenceBar, say
from search_back.config import DEFAULT_COLUMNS, DEFAULT_PORT, IndexOptions, ServerSettings
from search_back.errors import BadFolder, CorruptFile
from search_back.files import publish, read_json, sha256_file, sweep, write_json
from search_back.models import MODEL_NAME, model_folder, pictures_tar

STAMP = "demo.json"
COLUMNS = (*DEFAULT_COLUMNS, "name", "emoji", "group", "keywords")


@click.command("demo", short_help="Search the bundled pictures in your browser, in one step.")
@option("host", default="127.0.0.1", help="Address to listen on; 0.0.0.0 is everyone.")
@option("port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, help="Port to listen on.")
@option(
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where pictures, embeddings and index are kept. [default: the user's cache folder]",
)
@click.option("--no-browser", "--no_browser", is_flag=True, help="Do not open a browser.")
@flag("serve", default=True, help="False: only prepare the folder.")
def command(host: str, port: int, folder: Path | None, no_browser: bool, serve: bool) -> None:
    """Search the bundled pictures in your browser, in one step.

    Unpacks some two thousand emoji pictures, embeds them with the bundled model, indexes them and
    serves the page: what `inference`, `index` and `back` do, one after the other. The result is
    kept, so the second start is quick.
    """
    from search_back.server.serve import bind
    from search_back.server.serve import serve as serve_forever

    listener = bind(host, port) if serve else None
    try:
        home = folder or default_folder()
        prepare(home)
        if listener is None:
            say(f"ready in {home}")
            return
        settings = ServerSettings(
            indices={
                MODEL_NAME: IndexOptions(
                    indice_folder=home / "index",
                    columns_to_return=COLUMNS,
                    enable_faiss_memory_mapping=True,
                )
            },
            host=host,
            port=port,
            # What has been prepared here ran on several threads, which a fork would lose.
            server="waitress",
        )

        def ready(url: str) -> None:
            say(f"search the pictures at {url} (stop with Ctrl-C)")
            if not no_browser:
                # Some browsers return only when they are closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

        serve_forever(settings, listener, ready=ready)
    finally:
        if listener is not None:
            listener.close()


def default_folder() -> Path:
    """``~/.cache/search_back/demo`` or what the platform has for it."""
    import platformdirs

    return Path(platformdirs.user_cache_path("search_back")) / "demo"


def prepare(home: Path) -> None:
    """Unpack, embed and index the bundled pictures in ``home``, where that is not done yet."""
    made_from = {
        "pictures": sha256_file(pictures_tar()),
        "encoder": sha256_file(model_folder() / "encoder.json"),
        "search_back": search_back.__version__,
    }
    if _is_done(home, made_from):
        return
    sweep(home)
    if home.is_dir() and any(home.iterdir()) and not (home / "pictures").is_dir():
        raise BadFolder(
            "the folder holds something else",
            value=str(home),
            remedy="choose an empty or a new one with --folder",
        )
    from search_back.encoders import load_encoder
    from search_back.index.build import BuildSettings, build
    from search_back.inference import InferenceSettings, run

    say(f"1/3 unpacking the pictures → {home}")
    with publish(home / "pictures") as part:
        unpack(pictures_tar(), part)
    say("2/3 embedding them")
    with InferenceBar() as bar:
        run(
            InferenceSettings(
                input_dataset=(str(home / "pictures"),),
                output_folder=home / "embeddings",
                enable_metadata=True,
                overwrite=True,
            ),
            load_encoder(MODEL_NAME),
            progress=bar,
        )
    say("3/3 building the index")
    bars = BuildBars()
    try:
        build(
            BuildSettings(
                embeddings_folder=home / "embeddings", index_folder=home / "index", overwrite=True
            ),
            progress=bars,
        )
    finally:
        bars.close()
    write_json(home / STAMP, made_from)


def _is_done(home: Path, made_from: dict[str, Any]) -> bool:
    try:
        return read_json(home / STAMP) == made_from and (home / "index").is_dir()
    except (OSError, CorruptFile):
        return False


def unpack(tar: Path, folder: Path) -> None:
    """Write the regular files of a tar into a new folder, by their plain names."""
    folder.mkdir(parents=True)
    with tarfile.open(tar) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                (folder / Path(member.name).name).write_bytes(file.read())

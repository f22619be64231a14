"""The command line: thin functions that parse into settings, one file a command.

Commands are imported when they are asked for, so ``search-back --help`` loads none of them.
"""

from __future__ import annotations

import importlib
import logging
import sys
from typing import Any

import click

import search_back
from search_back.errors import ConfigError, SearchBackError

LOGGER = logging.getLogger(__name__)
COMMANDS = {
    "demo": "Search the bundled pictures in your browser, in one step.",
    "inference": "Turn pictures and captions into embeddings.",
    "index": "Build a search index from embeddings.",
    "score": "Show how well and how fast an index answers.",
    "back": "Serve indices: the page and the HTTP API.",
    "export": "Make a model start fast and run fast without torch.",
}


_NOISY = (
    *("urllib3", "PIL", "waitress", "h5py", "faiss", "huggingface_hub", "httpx"),
    *("onnx_ir", "transformers"),
)


def _not_of_the_root(record: logging.LogRecord) -> bool:
    return record.name != "root" or record.levelno >= logging.WARNING


def _sentence(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{what} (got: {error.filename})" if error.filename else what


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"search_back.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SearchBackError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2 if isinstance(error, ConfigError) else 1)
        except OSError as error:
            # A full disk, a folder without permission: the kernel's words say it best.
            LOGGER.debug("where it happened", exc_info=True)
            click.echo(f"error: {_sentence(error)}", err=True)
            ctx.exit(1)


@click.group(
    cls=_Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "auto_envvar_prefix": "SEARCH_BACK",
        "max_content_width": 100,
    },
)
@click.version_option(search_back.__version__, prog_name="search-back")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def main(verbose: bool) -> None:
    """A search engine for your own pictures.

    Try it with `search-back demo`. For your own pictures run `inference`, then `index`, then
    `back`. Every option may also come from the environment: `back --port` is
    SEARCH_BACK_BACK_PORT. Exit status: 0 done, 1 it failed, 2 wrong options.
    """
    handler = logging.StreamHandler(sys.stderr)
    # open_clip tells each step of loading to the root logger.
    handler.addFilter(_not_of_the_root)
    logging.basicConfig(
        handlers=[handler],
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # It warns of every step of a model that it cannot shorten.
    logging.getLogger("onnxscript").setLevel(logging.ERROR)

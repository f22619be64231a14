"""The command line: thin functions that parse into settings, one file a command.

Commands are imported when they are asked for, so ``search-back --help`` loads none of them.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

import click

import search_back
from search_back.cli.logs import LOG_FORMATS, for_programs, set_up
from search_back.errors import ConfigError, SearchBackError

LOGGER = logging.getLogger(__name__)
COMMANDS = {
    "demo": "Search the bundled pictures in your browser, in one step.",
    "inference": "Turn pictures and captions into embeddings.",
    "index": "Build a search index from embeddings.",
    "score": "Show how well and how fast an index answers.",
    "back": "Serve indices: the page and the HTTP API.",
    "keys": "Make, list and remove the keys of a server.",
    "export": "Make a model start fast and run fast without torch.",
}


def _sentence(error: OSError) -> str:
    what = error.strerror or str(error) or type(error).__name__
    return f"{what} (got: {error.filename})" if error.filename else what


def _say_error(sentence: str) -> None:
    if for_programs():
        LOGGER.error("%s", sentence)
    else:
        click.echo(f"error: {sentence}", err=True)


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
            _say_error(str(error))
            ctx.exit(2 if isinstance(error, ConfigError) else 1)
        except OSError as error:
            # A full disk, a folder without permission: the kernel's words say it best.
            LOGGER.debug("where it happened", exc_info=True)
            _say_error(_sentence(error))
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
@click.option(
    "--log-format",
    "--log_format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="Of the log on stderr: text for people, json with one object a line.",
)
def main(verbose: bool, log_format: str) -> None:
    """A search engine for your own pictures.

    Try it with `search-back demo`. For your own pictures run `inference`, then `index`, then
    `back`. Every option may also come from the environment: `back --port` is
    SEARCH_BACK_BACK_PORT. Exit status: 0 done, 1 it failed, 2 wrong options.
    """
    set_up(log_format, verbose=verbose)

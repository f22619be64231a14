"""Options as this project and its predecessor spell them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from search_back.cli import main
from search_back.cli.options import lists
from search_back.config import DEFAULT_COLUMNS, Limits, PinnedFile, ServerSettings
from search_back.encoders.batching import MAX_QUEUED
from tests.folders import unit_rows, write_folder


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Runs `back` up to where it would serve: the settings it would serve with."""
    seen: list[ServerSettings] = []

    def fake_serve(settings: ServerSettings, listener: socket.socket, **_: Any) -> None:
        seen.append(settings)

    monkeypatch.setattr("search_back.server.serve.serve", fake_serve)
    folder = write_folder(tmp_path / "index", unit_rows(3))

    def run(*arguments: str) -> ServerSettings:
        default = ["--port", "0", "--index-folder", str(folder)]
        result = CliRunner().invoke(main, ["back", *default, *arguments])
        assert result.exit_code == 0, result.output
        return seen.pop()

    yield run


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], False),
        (["--enable_hdf5"], True),
        (["--enable-hdf5"], True),
        (["--enable_hdf5", "True"], True),
        (["--enable-hdf5", "true"], True),
        (["--enable_hdf5=True"], True),
        (["--enable_hdf5=False"], False),
        (["--enable-hdf5=False"], False),
        (["--enable_hdf5", "False"], False),
        (["--enable_hdf5", "--threads", "2"], True),
        (["--enable_hdf5", "True", "--enable_hdf5", "False"], False),
    ],
)
def test_a_switch_in_every_spelling(back: Any, arguments: list[str], value: bool) -> None:
    assert back(*arguments).indices["index"].enable_hdf5 is value


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        ([], False),
        (["--provide_safety_model"], True),
        (["--provide_safety_model", "True"], True),
        (["--provide-safety-model=False"], False),
        (["--provide_safety_model", "--threads", "2"], True),
        (["--provide_safety_model", "a.npy"], PinnedFile(Path("a.npy"))),
        (["--provide-safety-model=a#sha256=" + "0" * 64], PinnedFile(Path("a"), "0" * 64)),
    ],
)
def test_a_switch_that_may_name_a_file(
    back: Any, arguments: list[str], value: bool | PinnedFile
) -> None:
    assert back(*arguments).indices["index"].provide_safety_model == value


def test_heads_and_how_strict_they_are(back: Any) -> None:
    arguments = ["--safety-head", "/a.npy", "--safety_threshold", "0.25", "--violence_head", "b.h5"]
    options = back(*arguments, "--aesthetic-embeddings", "rated").indices["index"]
    assert options.safety_head == PinnedFile(Path("/a.npy"))
    assert options.safety_threshold == 0.25
    assert options.violence_head == PinnedFile(Path("b.h5"))
    assert options.violence_threshold is None
    assert options.aesthetic_embeddings == PinnedFile(Path("rated"))


@pytest.mark.parametrize(
    "given",
    [
        "url,caption",
        '["url", "caption"]',
        "['url','caption']",
        "[url,caption]",
        "(url, caption)",
        " url , caption ",
    ],
)
def test_a_list_in_every_spelling(back: Any, given: str) -> None:
    assert back("--columns_to_return", given).indices["index"].columns_to_return == (
        "url",
        "caption",
    )


def test_defaults_are_those_of_the_settings(back: Any) -> None:
    settings = back()
    assert settings.limits == Limits()
    assert settings.host == "127.0.0.1"
    assert settings.cors_origins == ("*",)
    default = ServerSettings(indices={})
    for field in ("encoder_threads", "encoder_idle_s", "batching", "query_cache_entries"):
        assert getattr(settings, field) == getattr(default, field)
    assert settings.max_queued_queries == default.max_queued_queries == MAX_QUEUED
    assert settings.indices["index"].columns_to_return == DEFAULT_COLUMNS
    assert settings.indices["index"].image_roots is None


def test_every_limit_is_an_option(back: Any) -> None:
    settings = back("--max-results", "7", "--fetch_timeout_s", "0.5", "--allow-private-addresses")
    assert settings.limits == Limits(
        max_results=7, fetch_timeout_s=0.5, allow_private_addresses=True
    )


def test_how_encoders_are_run_is_an_option(back: Any) -> None:
    settings = back(
        *("--encoder-threads", "2", "--encoder_idle_s", "900", "--batching", "False"),
        *("--query-cache-entries", "0", "--max-queued-queries", "7"),
    )
    assert (settings.encoder_threads, settings.encoder_idle_s) == (2, 900.0)
    assert (settings.batching, settings.query_cache_entries) == (False, 0)
    assert settings.max_queued_queries == 7


def test_options_come_from_the_environment_too(back: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCH_BACK_BACK_MAX_RESULTS", "9")
    monkeypatch.setenv("SEARCH_BACK_BACK_ENABLE_HDF5", "true")
    settings = back()
    assert settings.limits.max_results == 9
    assert settings.indices["index"].enable_hdf5


def refused(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return result


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "70000"),
        (["--port", "http"], "http"),
        (["--threads", "0"], "0"),
        (["--enable-hdf5=perhaps"], "perhaps"),
        (["--max-results", "-1"], "-1"),
        (["--encoder-threads", "-1"], "-1"),
        (["--encoder-idle-s", "-1"], "-1"),
        (["--max-queued-queries", "0"], "0"),
        (["--fetch-timeout-s", "0"], "0"),
        (["--no-such-option"], "--no-such-option"),
        (["--index-folder", "a", "--indices-paths", "b"], "not both"),
        (["--index-folder", "a", "--index-folder", "b/a"], "two index folders have one name"),
        (["--index-folder", "a", "--default-index", "z"], "--default-index"),
        (["--indices-paths", "none.json"], "none.json"),
    ],
)
def test_a_wrong_value_is_named(arguments: list[str], said: str) -> None:
    assert said in refused("back", *arguments).output


def test_without_a_folder_the_file_of_indices_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    result = refused("back")
    assert "indices_paths.json" in result.output
    assert "--indices-paths" in result.output


def test_what_inference_cannot_do_is_refused() -> None:
    arguments = ["inference", "--input-dataset", "a", "--output-folder", "b"]
    assert "pyspark" in refused(*arguments, "--distribution_strategy", "pyspark").output


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["a.tar", "b.tar"], ("a.tar", "b.tar")),
        (["[a.tar,b.tar]"], ("a.tar", "b.tar")),
        (["['a.tar', \"b c.tar\"]", "d.tar"], ("a.tar", "b c.tar", "d.tar")),
        (["[{a,b}.tar, {00..03}.tar]"], ("{a,b}.tar", "{00..03}.tar")),
        (["{a,b}.tar"], ("{a,b}.tar",)),
        (["pictures [2020]"], ("pictures [2020]",)),
    ],
)
def test_names_may_come_as_a_list(given: list[str], names: tuple[str, ...]) -> None:
    context = click.Context(click.Command("x"))
    assert lists(context, click.Option(["--x"]), tuple(given)) == names

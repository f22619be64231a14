"""Every command explains itself, and the README knows every command."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import search_back
from search_back.cli import COMMANDS, main
from search_back.inference import InferenceSettings

ROOT = Path(__file__).parents[2]
# Flags that scripts written for clip-retrieval give.
OLD_FLAGS = {
    "inference": """input_dataset output_folder input_format cache_path batch_size
        num_prepro_workers enable_text enable_image enable_metadata write_batch_size subset_size
        wds_image_key wds_caption_key clip_model mclip_model use_mclip use_jit
        distribution_strategy wds_number_file_per_input_file output_partition_count""",
    "index": """embeddings_folder input_folder index_folder output_folder max_index_memory_usage
        current_memory_available copy_metadata image_subfolder text_subfolder nb_cores""",
    "back": """indices_paths port enable_hdf5 enable_faiss_memory_mapping columns_to_return
        reorder_metadata_by_ivf_index default_backend url_column enable_mclip_option clip_model
        use_jit use_arrow provide_safety_model provide_violence_detector
        provide_aesthetic_embeddings""",
}


def command(name: str) -> click.Command:
    group = main
    assert isinstance(group, click.Group)
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def options(name: str) -> list[click.Option]:
    return [param for param in command(name).params if isinstance(param, click.Option)]


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    for name, sentence in COMMANDS.items():
        assert name in result.output
        assert sentence in result.output


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_every_command_has_a_help(name: str, flag: str) -> None:
    result = CliRunner().invoke(main, [name, flag])
    assert result.exit_code == 0
    assert result.output.startswith("Usage: ")
    assert COMMANDS[name] in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help(name: str) -> None:
    for option in options(name):
        assert option.help, option.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_spelled_with_dashes_and_with_underscores(name: str) -> None:
    for option in options(name):
        longs = {opt for opt in option.opts if opt.startswith("--")}
        assert {opt.replace("_", "-") for opt in longs} <= longs, option.opts
        assert {"--" + opt[2:].replace("-", "_") for opt in longs} <= longs, option.opts


@pytest.mark.parametrize("name", OLD_FLAGS)
def test_flags_of_old_scripts_are_known(name: str) -> None:
    known = {opt for option in options(name) for opt in option.opts}
    assert {f"--{flag}" for flag in OLD_FLAGS[name].split()} <= known


def test_every_setting_of_inference_is_an_option() -> None:
    known = {option.name for option in options("inference")}
    assert {field.name for field in fields(InferenceSettings)} <= known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"\bsearch-back {name}\b|`{name}`", text), f"README.md: {name} is missing"


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert search_back.__version__ in result.output


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["serch"])
    assert result.exit_code == 2
    assert "serch" in result.output

from __future__ import annotations

from pathlib import Path

import pytest

from search_back.errors import ConfigError
from search_back.inference import InferenceSettings, expand_braces


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{00..03}.tar", ["00.tar", "01.tar", "02.tar", "03.tar"]),
        ("{8..11}.tar", ["8.tar", "9.tar", "10.tar", "11.tar"]),
        ("{008..11}.tar", ["008.tar", "009.tar", "010.tar", "011.tar"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}/{0..1}.tar", ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]),
        ("x{a,b{1,2}}", ["xa", "xb1", "xb2"]),
        ("{draft}-{0..1}", ["{draft}-0", "{draft}-1"]),
        ("{unclosed", ["{unclosed"]),
    ],
)
def test_braces_expand_as_in_a_shell(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern) == names


def test_a_name_that_exists_is_not_expanded(tmp_path: Path) -> None:
    (tmp_path / "{a,b}").mkdir()
    assert expand_braces(str(tmp_path / "{a,b}")) == [str(tmp_path / "{a,b}")]


def test_an_endless_range_is_refused_without_being_written_out() -> None:
    with pytest.raises(ConfigError, match="more than 100000 names"):
        expand_braces("{0..9999999999}.tar")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_dataset": ()}, "--input-dataset"),
        ({"input_format": "zip"}, "auto, files, webdataset"),
        ({"enable_image": False, "enable_text": False}, "nothing to embed"),
        ({"batch_size": 0}, "--batch-size"),
        ({"num_prepro_workers": 0}, "--num-prepro-workers"),
        ({"write_batch_size": 0}, "--write-batch-size"),
        ({"subset_size": 0}, "--subset-size"),
        ({"max_failures": -1}, "--max-failures"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    values: dict[str, object] = {"input_dataset": ("in",), "output_folder": tmp_path, **changes}
    with pytest.raises(ConfigError, match=message):
        InferenceSettings(**values)  # type: ignore[arg-type]

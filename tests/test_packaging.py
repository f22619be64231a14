"""The wheel and the source distribution hold all that a working command needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from search_back.kernels import LIBRARY, library

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "dist", "demo", "*.egg-info", "__pycache__", "node_modules"
)


def build(kind: str, source: Path, out: Path) -> Path:
    """Build a ``wheel`` or an ``sdist`` of a source folder with the setuptools that is here."""
    out.mkdir(parents=True)
    code = f"from setuptools.build_meta import build_{kind}; build_{kind}({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def sdist(folder: Path) -> Path:
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=LEFT_OUT)
    return build("sdist", source, folder / "sdist")


@pytest.fixture(scope="module")
def wheel(folder: Path, sdist: Path) -> Path:
    """Of the unpacked source distribution, so that it is known to be whole."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    return build("wheel", source, folder / "wheel")


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    target = folder / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_wheel_holds_every_file_of_the_page_and_the_model(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    page = {
        f"search_back/{file.relative_to(ROOT).as_posix()}"
        for file in (ROOT / "front").rglob("*")
        if file.suffix in (".html", ".css", ".js", ".svg", ".png")
    }
    models = ROOT / "search_back/models"
    data = {
        file.relative_to(ROOT).as_posix()
        for file in [*models.glob("*.tar"), *(models / "emoji").iterdir()]
    }
    assert len(page) > 10
    assert len(data) > 5
    assert page | data <= names
    assert not any("tests/" in name or "__pycache__" in name for name in names)


@pytest.mark.skipif(library() is None, reason="installed without a C compiler")
def test_the_wheel_holds_what_is_compiled(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith(f"search_back/kernels/{LIBRARY}.") for name in names)


def test_the_sdist_holds_what_its_makefile_needs(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"Makefile", "constraints.txt", "NOTICE", "LICENSE", "tests/fakes.py"} <= names


def test_the_wheel_has_the_command(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "search-back = search_back.cli:main" in archive.read(points).decode()


def test_the_installed_package_runs_from_its_own_files(installed: Path, tmp_path: Path) -> None:
    code = (
        "import search_back; from search_back.server.front import front_folder; "
        "print(search_back.__file__, front_folder())"
    )
    shown = run(installed, "-c", code)
    assert shown.returncode == 0, shown.stderr
    assert all(word.startswith(str(installed)) for word in shown.stdout.split())
    home = tmp_path / "demo"
    made = run(
        installed, "-m", "search_back.cli", "demo", "--serve", "False", "--folder", str(home)
    )
    assert made.returncode == 0, made.stderr
    assert (home / "index/image.index").is_file()

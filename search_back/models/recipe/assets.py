"""Fetch the sources: pinned packages, checked by sha256, from their ordinary package managers."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from search_back.files import sha256_file
from search_back.models.recipe.work import WorkFolder


@dataclass(frozen=True, slots=True)
class Package:
    """One npm package at one version; `sha256` is that of the packed file."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def file_name(self) -> str:
        """Name that `npm pack` gives the file: `@scope/name` becomes `scope-name-version.tgz`."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES: dict[str, Package] = {
    "cldr": Package(
        "cldr-annotations-full",
        "48.2.0",
        "28576e51225deb51e3ddd734b0f824a0079682cb5d8c27faa9f68149317a14d1",
        "Unicode-3.0",
    ),
    "cldr_derived": Package(
        "cldr-annotations-derived-full",
        "48.2.0",
        "4be946ff5815f806ec78b50363d577a769f2fbfb90c6380a44e161a92436996e",
        "Unicode-3.0",
    ),
    "emoji_list": Package(
        "unicode-emoji-json",
        "0.9.0",
        "ae7efacb55533385bf8767d613dbd36c71226669759d95919a6e9059f5e4c401",
        "MIT",
    ),
    "emojibase": Package(
        "emojibase-data",
        "17.0.0",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        "MIT",
    ),
    "noto_v1": Package(
        "@iconify-json/noto-v1",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        "Apache-2.0",
    ),
    "fluent_flat": Package(
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
    ),
    "fluent": Package(
        "@iconify-json/fluent-emoji",
        "1.2.7",
        "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b",
        "MIT",
    ),
    "fxemoji": Package(
        "@iconify-json/fxemoji",
        "1.2.2",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
    ),
    "flags": Package(
        "@iconify-json/flag",
        "1.2.12",
        "42246bc20f6154739a192172d71ffe477747ad38278f2e912ec43f4dcb5a15e0",
        "MIT",
    ),
    "twemoji": Package(
        "@twemoji/svg",
        "15.0.0",
        "1d2907557a422c7c4e3feca50ef915c39da1db3d76b4a4d7e73fb59bce4403c3",
        "CC-BY-4.0",
    ),
    "openmoji": Package(
        "openmoji",
        "17.0.0",
        "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
        "CC-BY-SA-4.0",
    ),
}

FONT_PACKAGE = "fonts-noto-color-emoji"
FONT_SHA256 = "e5899ed38b8ed83e08bd3ac5de09791e9d19d288333a796de1d35ad17396f1ec"
INSTALLED_FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")


class AssetError(RuntimeError):
    """A source could not be fetched, or is not the file that the recipe was written for."""


def fetch(work: WorkFolder, given: Path | None = None) -> None:
    """Bring every source into the work folder and unpack it.

    `given` is a folder of files fetched earlier; what it lacks is fetched. Raises `AssetError`.
    """
    work.downloads.mkdir(parents=True, exist_ok=True)
    for key, package in PACKAGES.items():
        target = work.downloads / package.file_name
        if not target.exists():
            _bring_package(package, target, given)
        _check(target, package.sha256)
        _unpack(target, work.unpacked / key)
    if not work.font.exists():
        _bring_font(work.font, given)
    _check(work.font, FONT_SHA256)


def _bring_package(package: Package, target: Path, given: Path | None) -> None:
    if given is not None and (given / package.file_name).exists():
        shutil.copyfile(given / package.file_name, target)
        return
    _run(["npm", "pack", f"{package.name}@{package.version}"], target.parent)
    if not target.exists():
        raise AssetError(f"npm pack left no {target.name} in {target.parent}")


def _bring_font(target: Path, given: Path | None) -> None:
    candidates = [INSTALLED_FONT] if given is None else [given / target.name, INSTALLED_FONT]
    for candidate in candidates:
        if candidate.exists() and sha256_file(candidate) == FONT_SHA256:
            shutil.copyfile(candidate, target)
            return
    folder = target.parent / "font"
    folder.mkdir(exist_ok=True)
    _run(["apt-get", "download", FONT_PACKAGE], folder)
    archives = sorted(folder.glob(f"{FONT_PACKAGE}_*.deb"))
    if not archives:
        raise AssetError(f"apt-get download left no {FONT_PACKAGE} package in {folder}")
    _run(["dpkg-deb", "-x", archives[-1].name, "."], folder)
    shutil.copyfile(folder / INSTALLED_FONT.relative_to("/"), target)


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(  # noqa: S603 - the commands are written in this module
            command, cwd=folder, check=True, capture_output=True, text=True
        )
    except FileNotFoundError as error:
        raise AssetError(f"{command[0]} is not installed: it fetches {command[-1]}") from error
    except subprocess.CalledProcessError as error:
        raise AssetError(f"{' '.join(command)} failed: {error.stderr.strip()}") from error


def _check(path: Path, expected: str) -> None:
    found = sha256_file(path)
    if found != expected:
        raise AssetError(f"{path} has sha256 {found}, the recipe expects {expected}: delete it")


def _unpack(archive: Path, folder: Path) -> None:
    if folder.exists():
        return
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        tar.extractall(partial, filter="data")
    partial.rename(folder)

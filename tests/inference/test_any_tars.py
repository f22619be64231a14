"""Whatever lies in tars, the rows are those of a few lines of plain Python."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from search_back.errors import NothingToDo
from search_back.inference import InferenceSettings, run
from tests.fakes import FakeEncoder, picture_bytes
from tests.inference.conftest import read_result, tar_bytes

STEMS = st.text("aB1é日 _-'\"", min_size=1, max_size=4).filter(lambda s: s.strip() == s)
FOLDERS = st.sampled_from(["", "x/", "x.y/", "ü/z/"])
COLOURS = st.sampled_from(["red", "lime", "blue", "white"])
SUFFIXES = st.sampled_from(["jpg", "png", "JPG", "seg.png"])


@dataclass
class Sample:
    key: str
    picture: tuple[str, str] | None
    caption: str | None
    json: bool

    def members(self) -> list[tuple[str, bytes | str]]:
        found: list[tuple[str, bytes | str]] = []
        if self.picture is not None:
            suffix, colour = self.picture
            found.append((f"{self.key}.{suffix}", picture_bytes(colour)))
        if self.caption is not None:
            found.append((f"{self.key}.txt", self.caption))
        if self.json:
            found.append((f"{self.key}.json", '{"n": 1}'))
        return [*found, (f"{self.key}.cls", "7")]


SAMPLES = st.builds(
    Sample,
    key=st.builds(str.__add__, FOLDERS, STEMS),
    picture=st.none() | st.tuples(SUFFIXES, COLOURS),
    caption=st.none() | COLOURS,
    json=st.booleans(),
)


def distinct(samples: Sequence[Sample]) -> list[Sample]:
    """Without neighbours of one key, which are one sample unless a member comes twice."""
    return [s for i, s in enumerate(samples) if not i or s.key != samples[i - 1].key]


@settings(max_examples=60, deadline=None)
@given(
    tars=st.lists(st.lists(SAMPLES, max_size=5).map(distinct), min_size=1, max_size=3),
    enable_text=st.sampled_from([None, True, False]),
    threads=st.sampled_from([0, 1]),
)
def test_rows_are_the_samples_with_a_picture(
    tars: list[list[Sample]], enable_text: bool | None, threads: int
) -> None:
    pictured = [s for samples in tars for s in samples if s.picture is not None]
    captioned = [s for s in pictured if s.caption is not None]
    wanted = captioned if enable_text else pictured
    encoder = FakeEncoder(threads=threads)
    with tempfile.TemporaryDirectory() as temporary:
        names = []
        for t, samples in enumerate(tars):
            path = Path(temporary, f"{t}.tar")
            path.write_bytes(tar_bytes([m for s in samples for m in s.members()]))
            names.append(str(path))
        out = Path(temporary, "out")
        options = InferenceSettings(
            tuple(names), out, enable_text=enable_text, enable_metadata=True, batch_size=3
        )
        if not wanted:
            try:
                run(options, encoder)
            except NothingToDo:
                return
            raise AssertionError("there was nothing to do")
        report = run(options, encoder)
        result = read_result(out)
    assert result.column("image_path") == [s.key for s in wanted]
    colours = [s.picture[1] for s in wanted if s.picture is not None]
    assert result.image is not None
    np.testing.assert_allclose(result.image, encoder.encode_texts(colours), atol=1e-3)
    captions = [s.caption for s in wanted]
    if any(captions) or enable_text:
        assert result.column("caption") == captions
    assert report.has_text == (enable_text is True or (enable_text is None and all(captions)))
    if result.text is not None:
        texts = encoder.encode_texts([caption or "" for caption in captions])
        np.testing.assert_allclose(result.text, texts, atol=1e-3)
    if any(s.json for s in wanted):
        assert result.column("n") == [1 if s.json else None for s in wanted]
    assert report.dropped == (len(pictured) - len(captioned) if enable_text else 0)
    assert report.failures == 0

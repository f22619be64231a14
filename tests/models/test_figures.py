"""How figures are computed and written, on small arrays with known answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from search_back.models import model_folder
from search_back.models.recipe.__main__ import Run, cli
from search_back.models.recipe.card import END, START, figures_text, update_card
from search_back.models.recipe.curated import CuratedQuery
from search_back.models.recipe.evaluate import image_to_image, ranks, recall, relevance
from search_back.models.recipe.work import WorkFolder


def test_ranks_count_what_scores_above_the_right_one() -> None:
    scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.5, 0.5, 0.5]], np.float32)
    assert ranks(scores, np.array([0, 2, 1])).tolist() == [0, 2, 0]


def test_recall_in_percent() -> None:
    found = np.array([0, 0, 4, 9, 30])
    assert recall(found) == {"queries": 5, "r1": 40.0, "r5": 60.0, "r10": 80.0}


def test_relevance_against_a_count_by_hand() -> None:
    scores = np.array([[6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1], [6, 5, 4, 3, 2, 1]], np.float32)
    relation = np.zeros((3, 6), np.bool_)
    relation[0, [0, 2]] = True  # average precision (1 + 2/3) / 2
    relation[1, 5] = True  # 1/6, not among the first five
    found = relevance(scores, relation)  # the third has no right answer and is not asked
    assert found["queries"] == 2
    assert found["map"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 6) / 2, abs=1e-3)
    assert found["hit_at_5"] == 50.0
    assert found["precision_at_5"] == 20.0


def test_pictures_are_matched_by_concept_not_by_place() -> None:
    queries = np.array([2, 5, 7]), np.eye(3, dtype=np.float32)
    gallery = np.array([5, 2]), np.array([[0, 1, 0], [1, 0, 0]], np.float32)
    assert image_to_image(queries, gallery) == {
        "pairs": 2, "queries": 2, "r1": 100.0, "r5": 100.0, "r10": 100.0
    }  # fmt: skip


def test_a_curated_query_wants_all_words_and_the_right_kind() -> None:
    described = {"kind": "scene", "name": "honeybee and sunflower", "keywords": ["bee", "flower"],
                 "subgroup": "2 things"}  # fmt: skip
    both = CuratedQuery("bee and sunflower", "scene", words=("bee", "sunflower"), scene=True)
    assert both.accepts(described)
    assert not both.accepts(described | {"keywords": ["insect"]})
    assert not both.accepts(described | {"kind": "emoji"})
    fruit = CuratedQuery("fruit", "category", subgroups=("food-fruit",))
    assert fruit.accepts({"kind": "emoji", "subgroup": "food-fruit", "name": "x", "keywords": []})
    assert not fruit.accepts(
        {"kind": "emoji", "subgroup": "drink", "name": "fruit", "keywords": []}
    )


def test_the_card_shows_the_recorded_figures() -> None:
    folder = model_folder()
    figures = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert figures_text(figures) in (folder / "README.md").read_text(encoding="utf-8")


def test_updating_the_card_twice_changes_nothing_more(tmp_path: Path) -> None:
    figures = json.loads((model_folder() / "evaluation.json").read_text(encoding="utf-8"))
    card = tmp_path / "README.md"
    card.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    update_card(tmp_path, figures)
    once = card.read_text(encoding="utf-8")
    update_card(tmp_path, figures)
    assert card.read_text(encoding="utf-8") == once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert "old" not in once
    card.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="put them back"):
        update_card(tmp_path, figures)


def test_a_finished_step_is_skipped_unless_forced(tmp_path: Path) -> None:
    work = WorkFolder(tmp_path)
    work.concepts.write_text("kept", encoding="utf-8")
    result = CliRunner().invoke(cli, ["concepts", "--work", str(tmp_path)])
    assert result.exit_code == 0
    assert "skipped" in result.output
    assert work.concepts.read_text(encoding="utf-8") == "kept"
    assert not Run(work, tmp_path, tmp_path, force=True).skips(work.concepts)


def test_export_is_not_skipped_for_a_newer_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported: list[Path] = []
    monkeypatch.setattr(
        "search_back.models.recipe.publish.publish_model",
        lambda work, pictures, folder: exported.append(folder),
    )
    work, model = WorkFolder(tmp_path / "work"), tmp_path / "model"
    work.root.mkdir()
    model.mkdir()
    work.checkpoint.touch()
    (model / "encoder.json").touch()
    arguments = ["export", "--work", str(work.root), "--model", str(model)]
    os.utime(work.checkpoint, (1, 1))
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert exported == []
    os.utime(model / "encoder.json", (0, 0))
    assert CliRunner().invoke(cli, arguments).exit_code == 0
    assert exported == [model]


def test_every_step_explains_itself() -> None:
    steps = ("assets", "concepts", "sprites", "vocabulary", "pictures", "train", "export",
             "evaluate", "all")  # fmt: skip
    assert set(cli.commands) == set(steps)
    for step in steps:
        assert "--work" in CliRunner().invoke(cli, [step, "--help"]).output

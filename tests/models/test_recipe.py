"""Pieces of the recipe on small made-up data: vocabulary, captions, scenes, losses, drawing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from search_back.encoders.sources.open_clip_import import open_clip
from search_back.models.recipe import bpe, losses
from search_back.models.recipe.assets import PACKAGES, AssetError, fetch
from search_back.models.recipe.augment import Renderer
from search_back.models.recipe.captions import (
    BACKGROUND_TEMPLATES,
    PAIR_TEMPLATES,
    SINGLE_TEMPLATES,
    TRIPLE_TEMPLATES,
    Caption,
    CaptionMaker,
    Phrasebook,
    clean,
)
from search_back.models.recipe.concepts import Concept
from search_back.models.recipe.pictures import compose, slug
from search_back.models.recipe.scenes import Placement, Scene, SceneMaker
from search_back.models.recipe.sprites import TRAINED_STYLES, fit, flag_code
from search_back.models.recipe.work import WorkFolder

COUNTS_AND_PLACES = re.compile(
    r"\b(one|two|three|four|five|left|right|above|below|under|over|top|bottom|many|several"
    r"|zwei|drei|links|rechts|oben|unten|deux|trois|gauche|droite|dos|tres|izquierda|derecha"
    r"|два|три|слева|справа|сверху|снизу)\b"
)


def concept(emoji: str, subgroup: str, english: str, *keywords: str) -> Concept:
    names = {"en": english, "de": f"{english} auf Deutsch"}
    words = {"en": list(keywords), "de": [], "fr": [], "es": [], "ru": []}
    return Concept(emoji, "Group", subgroup, names, words)


CONCEPTS = [
    concept("🍎", "food-fruit", "red apple", "apple", "red", "fruit"),
    concept("🍏", "food-fruit", "green apple", "apple", "green", "fruit"),
    concept("🐈", "animal-mammal", "cat", "cat", "pet"),
    concept("🇹🇩", "country-flag", "flag: Chad", "flag"),
]
APPLE, GREEN_APPLE, CAT, CHAD = range(4)


@pytest.fixture(scope="module")
def book() -> Phrasebook:
    return Phrasebook(CONCEPTS)


def scene(concepts: tuple[int, ...], background: str | None = None) -> Scene:
    empty = Caption("", ((0,),))
    places = tuple(Placement(row, 0.5, 0.5, 0.9, 0.0) for row in concepts)
    return Scene(concepts, places, (255, 255, 255), background, empty, empty)


def phrase(book: Phrasebook, text: str) -> int:
    number = book.number(text)
    assert number is not None
    return number


class TestVocabulary:
    def test_most_frequent_pair_is_merged_first(self) -> None:
        assert bpe.learn_merges({"aab": 3, "aac": 2, "d": 9}, 1) == [("a", "a")]

    def test_ties_go_in_alphabetical_order_whatever_the_order_of_words(self) -> None:
        words = {"xy": 2, "cd": 2, "ab": 2}
        backwards = dict(reversed(words.items()))
        expected = [("a", "b</w>"), ("c", "d</w>"), ("x", "y</w>")]
        assert bpe.learn_merges(words, 3) == bpe.learn_merges(backwards, 3) == expected

    def test_counts_follow_earlier_merges(self) -> None:
        merges = bpe.learn_merges({"lower": 5, "low": 4, "newer": 3}, 3)
        # "w er" exists only after "e r"; "o w" is gone once "l o" took its letter.
        assert merges == [("l", "o"), ("e", "r</w>"), ("w", "er</w>")]

    def test_file_is_the_same_each_time_and_open_clip_reads_it(self, tmp_path: Path) -> None:
        merges = bpe.learn_merges({"red": 3, "apple": 5, "äpfel": 1}, 300)
        first, second = tmp_path / "first.txt.gz", tmp_path / "second.txt.gz"
        bpe.write_vocabulary(first, merges)
        bpe.write_vocabulary(second, merges)
        assert first.read_bytes() == second.read_bytes()
        tokenizer = open_clip().tokenizer.SimpleTokenizer(bpe_path=str(first), context_length=32)
        assert tokenizer.vocab_size == bpe.vocabulary_size(len(merges))
        assert tokenizer.decode(tokenizer.encode("red apple")).strip() == "red apple"
        assert len(tokenizer.encode("apple")) == 1

    def test_every_byte_has_its_own_symbol(self) -> None:
        symbols = bpe.byte_symbols()
        assert len(set(symbols.values())) == 256
        assert symbols[ord("a")] == "a"


class TestCaptions:
    def test_templates_name_neither_counts_nor_places(self) -> None:
        groups = (*SINGLE_TEMPLATES.values(), *PAIR_TEMPLATES.values())
        templates = [x for group in groups for x in group] + [*TRIPLE_TEMPLATES]
        assert [x for x in [*templates, *BACKGROUND_TEMPLATES] if COUNTS_AND_PLACES.search(x)] == []

    def test_generated_captions_name_neither_counts_nor_places(self, book: Phrasebook) -> None:
        maker = CaptionMaker(book, random.Random(3))
        rng = random.Random(4)
        for _ in range(2000):
            chosen = rng.sample(range(4), rng.choice((1, 2, 3)))
            text = maker.caption(chosen, rng.choice((None, "blue"))).text
            assert not COUNTS_AND_PLACES.search(text), text
            assert "{" not in text
            assert text == " ".join(text.split())

    def test_captions_are_true_of_their_own_scene(self, book: Phrasebook) -> None:
        maker = CaptionMaker(book, random.Random(5))
        rng = random.Random(6)
        for _ in range(500):
            chosen = tuple(rng.sample(range(4), rng.choice((1, 2, 3))))
            own = scene(chosen, "blue")
            caption, part = maker.caption(chosen, "blue"), maker.part(chosen)
            said = losses.said_concepts([caption, part], book.relation)
            present = losses.membership([own], len(CONCEPTS))
            assert losses.true_of([caption, part], said, [own], present).all(), caption

    def test_same_seed_same_captions(self, book: Phrasebook) -> None:
        drawn = [
            [maker.caption([APPLE, CAT], None).text for _ in range(20)]
            for maker in (
                CaptionMaker(book, random.Random(1)),
                CaptionMaker(book, random.Random(1)),
            )
        ]
        assert drawn[0] == drawn[1]

    def test_categories_and_keywords_cover_their_concepts(self, book: Phrasebook) -> None:
        holds = {text: set(np.flatnonzero(book.relation[phrase(book, text)])) for text in
                 ("fruit", "obst", "apple", "flag of chad", "animal")}  # fmt: skip
        assert holds == {
            "fruit": {APPLE, GREEN_APPLE},
            "obst": {APPLE, GREEN_APPLE},
            "apple": {APPLE, GREEN_APPLE},
            "flag of chad": {CHAD},
            "animal": {CAT},
        }

    def test_clean_drops_the_punctuation_of_names(self) -> None:
        assert clean("Flag:  Côte d’Ivoire") == "flag côte d’ivoire"


class TestFalseNegatives:
    def test_true_pairs_are_ignored_and_false_ones_contrasted(self, book: Phrasebook) -> None:
        scenes = [scene((APPLE,)), scene((GREEN_APPLE,)), scene((CAT, APPLE)), scene((CHAD,))]
        fruit, cat = phrase(book, "fruit"), phrase(book, "cat")
        captions = [
            Caption("fruit", ((fruit,),)),
            Caption("green apple", ((phrase(book, "green apple"),),)),
            Caption("cat and fruit", ((cat,), (fruit,))),
            Caption("flag", ((phrase(book, "flag"),),)),
        ]
        said = losses.said_concepts(captions, book.relation)
        present = losses.membership(scenes, len(CONCEPTS))
        ignored = losses.false_negatives(captions, said, scenes, present)
        expected = torch.zeros(4, 4, dtype=torch.bool)
        expected[0, 1] = expected[0, 2] = True  # both hold a fruit
        assert torch.equal(ignored, expected)

    def test_two_phrases_of_a_thing_must_hold_of_one_concept(self, book: Phrasebook) -> None:
        both = Caption("green apple", ((phrase(book, "green"), phrase(book, "apple")),))
        said = losses.said_concepts([both], book.relation)
        assert torch.nonzero(said[0, 0]).flatten().tolist() == [GREEN_APPLE]

    def test_a_named_background_must_be_there(self, book: Phrasebook) -> None:
        captions = [Caption("cat on blue", ((phrase(book, "cat"),),), "blue")]
        scenes = [scene((CAT,), "blue"), scene((CAT,), "red"), scene((CAT,))]
        said = losses.said_concepts(captions, book.relation)
        present = losses.membership(scenes, len(CONCEPTS))
        found = losses.true_of(captions, said, scenes, present)
        assert found.tolist() == [[True, False, False]]

    def test_ignored_pairs_do_not_change_the_loss(self) -> None:
        texts = torch.eye(3)
        images = torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 0, 1.0]])
        scale, nothing = torch.tensor(1.0), torch.zeros(3, 3, dtype=torch.bool)
        ignored = nothing.clone()
        ignored[0, 1] = True
        with_mask = losses.contrastive(texts, images, scale, ignored)
        assert with_mask < losses.contrastive(texts, images, scale, nothing)
        images[1, 0] = 5.0  # only the ignored pair sees this
        moved = losses.contrastive(texts, images, scale, ignored)
        assert moved == pytest.approx(with_mask.item())

    def test_shares_sum_to_one(self, book: Phrasebook) -> None:
        captions = [Caption("", ((phrase(book, "fruit"),), (phrase(book, "cat"),)))]
        shares = losses.caption_shares(losses.said_concepts(captions, book.relation))
        assert shares.sum() == pytest.approx(1)
        assert (shares[0, [APPLE, GREEN_APPLE, CAT]] > 0).all()
        assert shares[0, CHAD] == 0


class TestScenesAndPictures:
    def test_only_drawn_sprites_are_placed(self, book: Phrasebook) -> None:
        drawn = np.array([[True, False, True, True], [True, False, False, True]])
        rng = random.Random(0)
        scenes = SceneMaker(drawn, CaptionMaker(book, rng), rng).batch(300, 0.5)
        sprites = {item.sprite for made in scenes for item in made.placements}
        assert sprites == {0, 2, 3, 4, 7}
        assert {len(made.concepts) for made in scenes} == {1, 2, 3}

    def test_rendering_is_reproducible_and_in_range(self) -> None:
        bank = torch.zeros(4, 4, 72, 72, dtype=torch.uint8)
        bank[:, 0] = 255
        bank[:, 3, 8:64, 8:64] = 255
        scenes = [scene((APPLE,)), scene((CAT, CHAD))] * 3
        first, second = (Renderer(bank, 7).render(scenes) for _ in range(2))
        assert torch.equal(first, second)
        assert first.shape == (6, 3, 64, 64)
        assert first.min() >= 0
        assert first.max() <= 1
        red = first[:, 0, 24:40, 24:40].mean() - first[:, 1, 24:40, 24:40].mean()
        assert red > 0.3  # the sprite is where it was placed

    def test_composed_pictures_show_each_drawing_once(self) -> None:
        drawings = [Image.new("RGBA", (136, 128)) for _ in range(2)]
        drawings[0].paste((255, 0, 0, 255), (30, 30, 100, 100))
        drawings[1].paste((0, 0, 255, 255), (30, 30, 100, 100))
        picture = np.asarray(compose(drawings, (255, 255, 255), random.Random(0))).astype(int)
        red = (picture[..., 0] > 230) & (picture[..., 2] < 30)
        blue = (picture[..., 2] > 230) & (picture[..., 0] < 30)
        assert picture.shape == (256, 256, 3)
        assert 6_000 < red.sum() < 20_000
        assert 6_000 < blue.sum() < 20_000

    def test_fit_centres_the_drawing(self) -> None:
        canvas = Image.new("RGBA", (200, 100))
        canvas.paste((9, 9, 9, 255), (150, 10, 190, 30))
        sprite = fit(canvas)
        assert sprite is not None
        rows, columns = np.nonzero(sprite[..., 3] > 128)
        assert (columns.min(), columns.max()) == (4, 67)
        assert (rows.min(), rows.max()) == (20, 51)
        assert fit(Image.new("RGBA", (5, 5))) is None

    @pytest.mark.parametrize(
        ("emoji", "code"),
        [("🇩🇪", "de"), ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "gb-eng"),
         ("🏴", None), ("🍎", None)],
    )  # fmt: skip
    def test_flag_code(self, emoji: str, code: str | None) -> None:
        assert flag_code(emoji) == code

    def test_slug_is_plain(self) -> None:
        assert slug("piñata") == "pinata"
        assert slug("flag: São Tomé & Príncipe") == "flag-sao-tome-principe"
        assert slug("”") == "unnamed"


class TestSources:
    def test_held_out_styles_are_not_trained(self) -> None:
        assert not {"twemoji", "openmoji"} & set(TRAINED_STYLES)

    def test_trained_sources_have_permissive_licences(self) -> None:
        licences = {PACKAGES[style].licence for style in TRAINED_STYLES if style in PACKAGES}
        assert licences <= {"MIT", "Apache-2.0"}

    def test_a_changed_package_is_refused(self, tmp_path: Path) -> None:
        given = tmp_path / "given"
        given.mkdir()
        for package in PACKAGES.values():
            (given / package.file_name).write_bytes(b"not the package")
        with pytest.raises(AssetError, match="sha256"):
            fetch(WorkFolder(tmp_path / "work"), given)

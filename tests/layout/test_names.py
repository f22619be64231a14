"""Words of captions, and the names that they give clusters."""

from __future__ import annotations

import numpy as np
import pytest

from search_back.layout.names import telling_words
from search_back.layout.words import words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A red Apple, 12 apples!", {"red", "apple", "apples"}),
        ("", set()),
        ("2024_IMG-77 x", {"img"}),
        ("Grüne Äpfel", {"grüne", "äpfel"}),
        ("cafe\u0301", {"café"}),
        ("Красное яблоко", {"красное", "яблоко"}),
        ("हिन्दी शब्द", {"हिन्दी", "शब्द"}),
        ("تفاحة حمراء", {"تفاحة", "حمراء"}),
        ("빨간 사과", {"빨간", "사과"}),
        ("红苹果", {"红苹", "苹果"}),
        ("猫 and dog りんご", {"猫", "dog", "りん", "んご"}),
        ("the dog with the ball", {"dog", "ball"}),
        ("der Hund mit dem Ball", {"hund", "ball"}),
        ("le chien avec la balle", {"chien", "balle"}),
        ("el perro con la pelota", {"perro", "pelota"}),
    ],
)
def test_words_of_any_script(text: str, words: set[str]) -> None:
    assert words_of(text) == words


def names(*groups: list[str], most: int = 3) -> list[tuple[str, ...]]:
    captions = [caption for group in groups for caption in group]
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return telling_words(captions, labels, len(groups), most)


def test_a_cluster_is_called_by_what_others_do_not_say() -> None:
    dogs = ["собака на пляже", "собака на траве", "собака на столе"]
    cars = ["машина на дороге", "машина на мосту", "машина на площади"]
    found = names(dogs, cars, ["ночь на море", "ночь на реке", "ночь на горе"])
    assert [words[0] for words in found] == ["собака", "машина", "ночь"]
    assert "на" not in {word for words in found for word in words}


def test_weights_are_those_of_the_formula() -> None:
    """``tf · log(1 + A / f)``: by hand, A is 5; the first cluster holds 6 words, the second 4."""
    first = ["tall tree", "tall green", "tree green"]
    found = names([*first], ["tall house", "red house"])
    # Both 2/6 · log(1 + 5/2); two of three say "tall", and so does one of two of the others.
    assert found[0] == ("green", "tree")
    # house: 2/4 · log(1 + 5/2); red: 1/4 · log(1 + 5)
    assert found[1] == ("house", "red")


def test_a_caption_counts_a_word_once() -> None:
    assert names(["spam spam spam spam", "egg ham", "egg"], ["tea"], most=1)[0] == ("egg",)


def test_forms_of_a_word_are_one() -> None:
    assert names(["dog dogs", "dogs dog", "dog puppy"]) == [("dog", "puppy")]
    assert names(["cat caterpillar"]) == [("cat", "caterpillar")]


def test_what_has_no_caption_has_no_name() -> None:
    assert names(["", "17"], ["dog"]) == [(), ("dog",)]
    assert telling_words([], np.zeros(0, dtype=np.int64), 0) == []

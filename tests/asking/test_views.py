"""Saved views from Python, in a folder and over HTTP alike."""

from __future__ import annotations

import pytest

from kibitz.asking.calls import calls
from kibitz.asking.views import Views
from kibitz.base.errors import NotFound, QueryError, UsageError
from kibitz.query.expressions import inputs, output
from kibitz.query.expressions_feedback import feedback

PROJECT = "acme/app"


@pytest.fixture(name="kept")
def _kept(source: str) -> Views:
    return Views(PROJECT, source)


def test_the_question_of_a_set_is_kept_and_asked_again(kept: Views, source: str) -> None:
    worst = calls(PROJECT, source).where(feedback("helpful").value < 3).sort(inputs.n).limit(2)

    saved = kept.save("worst", worst, columns=[calls.op, output.text, "input"], author="ada")

    assert saved.query == "feedback.[helpful].value < 3 sort inputs.n limit 2"
    assert (saved.columns, saved.author) == (["op", "output.text", "input"], "ada")
    assert kept.get("worst") == saved
    assert list(kept) == [saved]
    assert [call.id for call in kept.calls("worst")] == ["c00", "c01"]
    assert [call.id for call in kept.calls("worst").where(inputs.n > 0)] == ["c01"]


def test_words_are_kept_as_they_are(kept: Views, source: str) -> None:
    words = "started_at < now-1h and feedback.helpful.value > 3 sort feedback.helpful.value limit 3"

    assert kept.save("words", words).query == words
    assert kept.save("set", calls(PROJECT, source).where(words)).query == words
    assert "now" not in kept.save("both", calls(PROJECT, source).where(words).limit(1)).query
    assert {call.id for call in kept.calls("set")} == {"c02", "c04", "c05"}


def test_a_view_is_deleted(kept: Views) -> None:
    saved = kept.save("a", "op = answer")

    assert kept.delete("a") == saved
    assert list(kept) == []
    with pytest.raises(NotFound, match="no view 'a'"):
        kept.calls("a")


def test_what_cannot_be_kept_is_said(kept: Views) -> None:
    with pytest.raises(QueryError, match="did you mean 'output'"):
        kept.save("a", "outptu = 1")
    with pytest.raises(UsageError, match=r"the set is of 'acme/other'"):
        kept.save("a", calls("acme/other").where("op = x"))
    with pytest.raises(UsageError, match="is no column"):
        kept.save("a", "op = x", columns=[5])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="is not a name"):
        kept.save("", "op = x")
    with pytest.raises(UsageError, match="is not a name"):
        Views("a b")
    assert repr(kept) == "<views of acme/app>"

"""The demo's judges say what they claim to say."""

from __future__ import annotations

from kibitz.cli.demo import judges

PASSAGE = {"name": "json.loads", "text": "Deserialize a JSON document to a Python object."}


def output(*sentences: str, quotes: tuple[str, ...] = ()) -> dict[str, object]:
    return {
        "sentences": list(sentences),
        "quotes": [{"name": "json.loads", "text": text} for text in quotes],
        "passages": [PASSAGE],
    }


def test_a_sentence_of_a_passage_is_grounded_and_an_invented_one_is_not() -> None:
    quoted = judges.groundedness(output(PASSAGE["text"]))
    invented = judges.groundedness(output("Bananas grow in bunches."))
    both = judges.groundedness(output(PASSAGE["text"], "Bananas grow in bunches."))

    assert quoted["score"] == 1.0
    assert invented["score"] == 0.0
    assert both == {"score": 0.5, "weakest": "Bananas grow in bunches.", "support": 0.0}


def test_an_answer_of_nothing_is_grounded_in_nothing() -> None:
    assert judges.groundedness(output())["score"] == 0.0


def test_relevance_is_the_share_of_the_question_that_the_quotes_speak_about() -> None:
    question = "How do I parse a JSON document quickly?"

    judged = judges.relevance(question, output("ignored", quotes=("Read a JSON document.",)))

    # `json` and `document` of parse, json, document, quickly.
    assert judged["score"] == 0.5
    assert len(judged["missing"]) == 2


def test_what_the_answer_repeats_of_the_question_does_not_make_it_relevant() -> None:
    assert judges.relevance("parse bananas", output("parse bananas"))["score"] == 0.0


def test_length_counts_words_and_says_whether_they_are_read() -> None:
    assert judges.length(output("one two", "three")) == {"words": 3, "fits": False}
    assert judges.length(output("word " * 40)) == {"words": 40, "fits": True}
    assert judges.length(output("word " * 200))["fits"] is False

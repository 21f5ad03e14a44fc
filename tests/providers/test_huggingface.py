"""Models that classify texts: the real client of Hugging Face against a real server."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest
from judge_server import JudgeServer, Reply, in_turn

from kibitz.base.errors import JudgeAnswerError, MissingExtra, Unauthorized, Unavailable, UsageError
from kibitz.judging import importables
from kibitz.providers import Huggingface, HuggingfaceLocal, huggingface_local


def labels(**shares: float) -> list[list[dict]]:
    return [[{"label": name.replace("_", "-"), "score": share} for name, share in shares.items()]]


def asked(server: JudgeServer, **options) -> Huggingface:
    return Huggingface(base_url=server.root, token="hf_secret_one", **options)


def body(answer) -> Reply:
    return Reply(body=json.dumps(answer).encode())


def of_language(request):
    german = "Guten" in request.text
    return body(labels(de=0.9, en=0.1) if german else labels(de=0.2, en=0.8))


def test_languages_match_as_far_as_their_distributions_do() -> None:
    with JudgeServer(of_language) as server:
        one = asked(server)
        score, metadata = one.language_match("Guten Tag", "Good day")
        same, _ = asyncio.run(one.alanguage_match("Guten Tag", "Guten Abend"))
    assert score == pytest.approx(1 - (0.7 + 0.7) / 2)
    assert metadata["text1"] == {"de": 0.9, "en": 0.1}
    assert same == 1.0
    assert server.requests[0].path == "/models/papluca/xlm-roberta-base-language-detection"
    assert server.requests[0].headers["authorization"] == "Bearer hf_secret_one"


def test_values_mean_what_the_names_say() -> None:
    with JudgeServer(body(labels(negative=0.1, neutral=0.2, positive=0.7))) as server:
        assert asked(server).positive_sentiment("fine") == 0.7
        server.answer = lambda _r: body(labels(toxic=0.9, non_toxic=0.1))
        assert asked(server).toxic("bad") == 0.9
        assert asyncio.run(asked(server).atoxic("bad")) == 0.9
        server.answer = lambda _r: body(labels(context_relevance=0.4, other=0.6))
        assert asked(server).context_relevance("q", "c") == 0.4
        server.answer = lambda _r: body(labels(consistent=0.25, hallucinated=0.75))
        assert asked(server).hallucination_evaluator("out", "chunks") == 0.25


def test_pii_is_likely_where_it_is_found_and_is_not_repeated() -> None:
    found = [
        {"entity_group": "EMAIL", "score": 0.9, "word": "ann@example.org", "start": 0, "end": 15},
        {"entity_group": "NAME", "score": 0.5, "word": "Ann", "start": 20, "end": 23},
    ]
    with JudgeServer(body(found)) as server:
        score, metadata = asked(server).pii_detection_with_reasons("ann@example.org is Ann")
        assert asyncio.run(asked(server).apii_detection("x")) == pytest.approx(0.95)
        server.answer = lambda _r: body([])
        assert asked(server).pii_detection("nothing here") == 0.0
    assert score == pytest.approx(0.95)
    assert metadata == {"reason": "EMAIL (0.90), NAME (0.50)", "places": 2}


def test_groundedness_is_the_mean_of_entailment() -> None:
    def answer(request):
        sure = 0.8 if request.text.count("Paris") > 1 else 0.2
        return body(labels(entailment=sure, not_entailment=1 - sure))

    with JudgeServer(answer) as server:
        score, metadata = asked(server).groundedness_measure_with_nli(
            "Paris is big.", "Paris is big. Rome is small."
        )
    assert score == pytest.approx(0.5)
    assert [each["score"] for each in metadata["sentences"]] == [0.8, 0.2]


def test_long_texts_are_judged_in_portions() -> None:
    def answer(request):
        return body(labels(toxic=0.9 if "BAD" in request.text else 0.1, non_toxic=0.5))

    with JudgeServer(answer) as server:
        assert asked(server).toxic("word " * 900 + "BAD") == 0.9
    assert len(server.requests) == 4


def test_errors_are_of_our_tree_without_the_token() -> None:
    loading = Reply("loading", status=503, headers={"Retry-After": "0.01"})
    with JudgeServer(in_turn(loading, body(labels(toxic=0.5, non_toxic=0.5)))) as server:
        assert asked(server).toxic("x") == 0.5
        for reply, kind in (
            (Reply("hf_secret_one is wrong", status=401), Unauthorized),
            (Reply(drop=True), Unavailable),
            (body({"what": "is this"}), JudgeAnswerError),
            (body(labels(cat=1.0)), JudgeAnswerError),
            (body(labels(toxic=7.0)), JudgeAnswerError),
        ):
            server.answer = lambda _request, reply=reply: reply
            for ask in (
                lambda: asked(server, retries=0).toxic("x"),
                lambda: asyncio.run(asked(server, retries=0).atoxic("x")),
            ):
                with pytest.raises(kind) as raised:
                    ask()
                assert "hf_secret_one" not in str(raised.value)


def test_the_token_is_stored_nowhere_and_goes_to_hugging_face_only(monkeypatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_environment")
    assert Huggingface()._secret == "hf_of_environment"
    assert Huggingface(base_url="https://evil.example")._secret is None
    assert "hf_" not in repr(Huggingface(token="hf_x"))
    assert Huggingface(token="hf_x").parameters() == {}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="'colour'"):
        Huggingface(models={"colour": "x"})
    with pytest.raises(UsageError, match="text is empty"):
        Huggingface().toxic("  ")
    with pytest.raises(UsageError, match="retrieved_text_chunks is empty"):
        Huggingface().hallucination_evaluator("an output", "")


@pytest.mark.skipif(importlib.util.find_spec("transformers") is not None, reason="it is installed")
def test_without_transformers_the_way_out_is_named() -> None:
    with pytest.raises(MissingExtra, match="pip install transformers torch"):
        HuggingfaceLocal()


@pytest.mark.parametrize(
    ("models", "only_numbers"), [({"toxic": "somebody/model"}, True), ({}, False)]
)
def test_models_that_a_definition_chooses_are_read_as_numbers_only(
    monkeypatch, models, only_numbers
) -> None:
    """transformers is too large to be here: what it would be asked is looked at. See `test_huggingface_local.py`."""
    asked_for: list[dict] = []

    class Transformers:
        class AutoTokenizer:
            model_max_length = 512

            @classmethod
            def from_pretrained(cls, model, **options):
                assert options["trust_remote_code"] is False
                return cls()

        class AutoModelForSequenceClassification:
            config = None

            @classmethod
            def from_pretrained(cls, model, **options):
                assert options["trust_remote_code"] is False
                asked_for.append(options)
                return cls(), {"missing_keys": set()}

        @staticmethod
        def pipeline(task, **options):
            return lambda text, **how: [{"label": "toxic", "score": 0.25}]

    monkeypatch.setattr(huggingface_local, "library", lambda: Transformers)
    described = {
        "module": "kibitz.providers.huggingface_local",
        "class": "HuggingfaceLocal",
        "parameters": {"models": models, "download": True},
        "name": "toxic",
    }

    assert importables.load(described)("some text") == 0.25
    assert HuggingfaceLocal(models=models, download=True).toxic("some text") == 0.25
    of_definition, of_program = asked_for
    assert of_definition.get("use_safetensors", False) is only_numbers
    assert "use_safetensors" not in of_program

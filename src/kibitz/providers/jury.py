"""A jury: several judges answer the same question, and one number is made of what they say.

    Jury([OpenAI("gpt-4.1-mini"), OpenAI("llama3.1", base_url="http://localhost:11434/v1")], aggregation="median")

It has the methods of every judge. Each gives `(score, metadata)` with every juror's vote; a juror that fails does not
vote, and there is a verdict as long as a quorum does.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import importlib
import inspect
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

from kibitz.base import provider
from kibitz.base.errors import JudgeAnswerError, KibitzError, NotImportable, Unavailable, UsageError
from kibitz.base.provider import Provider
from kibitz.providers.families import Family
from kibitz.providers.judgements import Judgements, Reasoned

THRESHOLD = 0.5
"""A vote from here on is for, in a majority."""
TRIMMED = 0.2
"""The share of votes that a trimmed mean leaves out at either end."""
_HOME = "kibitz.providers"

Votes = Sequence[float]


def mean(votes: Votes, weights: Votes) -> float:
    """The mean of the votes, weights left aside."""
    return statistics.fmean(votes)


def weighted(votes: Votes, weights: Votes) -> float:
    """The mean, each vote as often as its juror weighs."""
    return statistics.fmean(votes, weights)


def median(votes: Votes, weights: Votes) -> float:
    """The vote in the middle, or the mean of the two."""
    return statistics.median(votes)


def trimmed(votes: Votes, weights: Votes) -> float:
    """The mean without a fifth of the votes at either end, rounded down: with five or more, without the extremes."""
    out = int(len(votes) * TRIMMED)
    return statistics.fmean(sorted(votes)[out : len(votes) - out])


def majority(votes: Votes, weights: Votes) -> float:
    """1 where the jurors who vote 0.5 or more weigh more than the others, 0 where they weigh less, 0.5 in a tie."""
    lead = sum(
        weight if vote >= THRESHOLD else -weight
        for vote, weight in zip(votes, weights, strict=True)
    )
    return 0.5 if lead == 0 else float(lead > 0)


AGGREGATIONS: Final[Mapping[str, Callable[[Votes, Votes], float]]] = {
    each.__name__: each for each in (mean, median, trimmed, majority, weighted)
}


class Jury(Judgements[Reasoned], Provider):
    """Several judges as one. Not local: it is as slow as its slowest juror."""

    def __init__(
        self,
        jurors: Sequence[Provider | Mapping[str, Any]],
        *,
        aggregation: str | Callable[[list[float]], float] = "mean",
        weights: Sequence[float] | None = None,
        quorum: int | None = None,
    ) -> None:
        """Ask nobody yet.

        Args:
            jurors: Providers with the methods that are asked; or what `parameters` says of them.
            aggregation: `mean`, `median`, `trimmed`, `majority`, `weighted` (by weights), or a function of a list of
                votes that can be imported, as such or as `module:name`.
            weights: Of the jurors, for `weighted` and `majority`; all alike where it is not given.
            quorum: How many must vote; more than half where it is not given.

        Raises:
            UsageError: there is no juror, or an argument does not fit them.
            NotImportable: a juror or the aggregation cannot be found by its name.
        """
        if not jurors:
            raise UsageError("a jury needs at least one juror", field="jurors")
        self.jurors: list[Provider] = [_juror(each) for each in jurors]
        self.weights = _weights(weights, len(self.jurors))
        if aggregation == "weighted" and weights is None:
            raise UsageError("aggregation 'weighted' needs weights", field="weights")
        self._aggregation = aggregation if isinstance(aggregation, str) else _name(aggregation)
        self._aggregate = _aggregate(aggregation)
        self.quorum = len(self.jurors) // 2 + 1 if quorum is None else quorum
        if not 1 <= self.quorum <= len(self.jurors):
            raise UsageError(
                f"quorum {quorum!r} is not from 1 to {len(self.jurors)}, the number of jurors",
                field="quorum",
            )

    def parameters(self) -> dict[str, Any]:
        """The jurors by class and parameters, and how their votes are counted."""
        made = super().parameters()
        made["jurors"] = [
            {
                "module": type(each).__module__,
                "class": type(each).__qualname__,
                "parameters": each.parameters(),
            }
            for each in self.jurors
        ]
        if "aggregation" in made:
            made["aggregation"] = self._aggregation
        if made.get("weights") is not None:
            made["weights"] = [*self.weights]
        return made

    def __repr__(self) -> str:
        return f"Jury({', '.join(map(repr, self.jurors))}, aggregation={self._aggregation!r})"

    def _judged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        asked = [self._method(each, method) for each in self.jurors]
        with ThreadPoolExecutor(len(asked), thread_name_prefix="kibitz-jury") as threads:
            # What is spent in a thread counts for whoever asked, so each has a copy of this context.
            waiting = [
                threads.submit(contextvars.copy_context().run, _vote, each, given, options)
                for each in asked
            ]
            return self._verdict([each.result() for each in waiting])

    async def _ajudged(
        self,
        method: str,
        family: Family,
        given: dict[str, Any],
        options: dict[str, Any],
        reasons: bool,
    ) -> Any:
        votes = await asyncio.gather(
            *(self._avote(each, method, given, options) for each in self.jurors)
        )
        return self._verdict(votes)

    async def _avote(
        self, juror: Provider, method: str, given: dict[str, Any], options: dict[str, Any]
    ) -> Any:
        twin = getattr(juror, f"a{method}", None)
        if not inspect.iscoroutinefunction(twin):
            asked = self._method(juror, method)
            return await asyncio.to_thread(_vote, asked, given, options)
        try:
            return await twin(**given, **options)
        except Exception as error:  # noqa: BLE001 - a juror may be anybody's: whatever it raises, the others vote
            return error

    def _method(self, juror: Provider, method: str) -> Callable[..., Any]:
        found = getattr(juror, method, None)
        if not callable(found):
            raise UsageError(
                f"juror {type(juror).__name__} has no {method!r}; every juror needs it",
                field="jurors",
            )
        return cast("Callable[..., Any]", found)

    def _verdict(self, said: Sequence[Any]) -> tuple[float, dict[str, Any]]:
        votes: list[dict[str, Any]] = []
        counted: list[tuple[float, float]] = []
        failures: list[BaseException] = []
        for juror, weight, each in zip(self.jurors, self.weights, said, strict=True):
            vote: dict[str, Any] = {"juror": repr(juror)}
            if isinstance(each, BaseException):
                failures.append(each)
                vote["error"] = f"{type(each).__name__}: {each}"[:500]
            else:
                score, metadata = _pair(each)
                vote |= {"score": float(score), **metadata}
                counted.append((float(score), weight))
            votes.append(vote)
        if len(counted) < self.quorum:
            raise _no_quorum(len(counted), self.quorum, votes, failures)
        score = self._aggregate([vote for vote, _ in counted], [weight for _, weight in counted])
        return score, {"reason": _reason(votes), "votes": votes}


def _vote(asked: Callable[..., Any], given: dict[str, Any], options: dict[str, Any]) -> Any:
    try:
        return asked(**given, **options)
    except Exception as error:  # noqa: BLE001 - a juror may be anybody's: whatever it raises, the others vote
        return error


def _pair(said: Any) -> tuple[Any, dict[str, Any]]:
    return cast("tuple[Any, dict[str, Any]]", said) if isinstance(said, tuple) else (said, {})


def _no_quorum(
    n: int, quorum: int, votes: Sequence[Mapping[str, Any]], failures: Sequence[BaseException]
) -> KibitzError:
    why = "; ".join(f"{each['juror']}: {each['error']}" for each in votes if "error" in each)
    text = f"{n} of {len(votes)} jurors voted and {quorum} must: {why}"
    waits = [each.retry_after_s or 0.0 for each in failures if isinstance(each, Unavailable)]
    if waits:
        # Another time there may be a quorum.
        return Unavailable(text, retry_after_s=max(waits)) if max(waits) else Unavailable(text)
    return JudgeAnswerError(text, text=why[:500])


def _reason(votes: Sequence[Mapping[str, Any]]) -> str:
    lines: list[str] = []
    for each in votes:
        said = f"failed: {each['error']}" if "error" in each else f"{each['score']:.2f}"
        lines.append(" – ".join([f"{each['juror']}: {said}", *filter(None, [each.get("reason")])]))
    return "\n".join(lines)


def _juror(given: Provider | Mapping[str, Any]) -> Provider:
    if isinstance(given, Provider):
        return given
    module, name = str(given.get("module")), str(given.get("class"))
    # A definition comes from a store: it may name our own providers, and those of modules that are allowed. A program
    # may name what it has imported already.
    _check_allowed(module, name)
    imported = sys.modules.get(module)
    if imported is None and (module.startswith(f"{_HOME}.") or provider.may_name(module)):
        try:
            imported = importlib.import_module(module)
        except ImportError as error:
            raise NotImportable(
                f"juror {module}.{name}: {error}", module=module, name=name
            ) from error
    found = getattr(imported, name, None)
    if not inspect.isclass(found) or not issubclass(found, Provider):
        raise NotImportable(
            f"juror {module}.{name} is no provider that is imported here; import its module first",
            module=module,
            name=name,
        )
    _check_allowed(found.__module__, name)
    return found(**given.get("parameters", {}))


def _check_allowed(module: str, name: str) -> None:
    if provider.may_name(module) is False:
        raise NotImportable(
            f"{module}.{name} of the jury is in a module that may not be imported; allow it with "
            f"`kibitz worker --allow {module}` or KIBITZ_WORKER_ALLOW={module}",
            module=module,
            name=name,
        )


def _weights(given: Sequence[float] | None, n: int) -> list[float]:
    if given is None:
        return [1.0] * n
    if len(given) != n or not all(weight >= 0 for weight in given) or sum(given) <= 0:
        raise UsageError(
            f"weights {[*given]!r} are not {n} numbers from 0 up, one above 0", field="weights"
        )
    return [float(weight) for weight in given]


def _name(function: Callable[..., Any]) -> str:
    name = f"{getattr(function, '__module__', '?')}:{getattr(function, '__qualname__', '?')}"
    if "<" in name or "?" in name or name.startswith("__main__"):
        raise NotImportable(
            f"aggregation {name} cannot be imported by workers; put it into a module as a function of its own"
        )
    return name


def _aggregate(
    given: str | Callable[[list[float]], float],
) -> Callable[[list[float], list[float]], float]:
    if isinstance(given, str) and given in AGGREGATIONS:
        return AGGREGATIONS[given]
    if isinstance(given, str):
        found = _function(*given.partition(":")[::2])
        if found is None:
            raise UsageError(
                f"aggregation {given!r} is none of {', '.join(AGGREGATIONS)}, and no function `module:name` of a module"
                " that is imported here",
                field="aggregation",
            )
        given = cast("Callable[[list[float]], float]", found)
    return functools.partial(_of_function, given)


def _function(module: str, name: str) -> Any:
    """A function that a definition may name: of `statistics`, or one that a module imported here, or one that
    is allowed, defines itself; of the rest of the standard library none, for it has functions that end a process."""
    if module == "statistics":
        return getattr(statistics, name, None) if name in statistics.__all__ else None
    if module.partition(".")[0] in {*sys.stdlib_module_names, "kibitz"}:
        return None
    _check_allowed(module, name)
    imported = sys.modules.get(module)
    if imported is None and provider.may_name(module):
        imported = importlib.import_module(module)
    found = getattr(imported, name, None)
    return found if inspect.isfunction(found) and found.__module__ == module else None


def _of_function(
    function: Callable[[list[float]], float], votes: list[float], weights: list[float]
) -> float:
    return float(function(votes))

"""What a feedback function is made of: implementation, selectors, combinations, aggregator, conditions.

Everything here says what is to be done; `functions` does it. A composition is content: its definition is all of it as
JSON, and comes back as an equal one.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Self, cast

from kibitz.base import jsonable
from kibitz.base.errors import UsageError
from kibitz.base.evaluations import DEFINITION
from kibitz.base.provider import Provider
from kibitz.judging import aggregators, definitions, immutables, importables, places, running
from kibitz.judging.definitions import Definition
from kibitz.judging.immutables import Immutable
from kibitz.judging.lenses import Lens
from kibitz.judging.modes import (
    FeedbackCombinations,
    FeedbackOnMissingParameters,
    FeedbackRunLocation,
)
from kibitz.judging.select import Select
from kibitz.judging.signatures import Signature

_PASSAGES: Final[Lens] = Select.spans(kind="retriever").rets[:]


class Composition(Immutable):
    """What a feedback function is made of, and how another one is made of it. It cannot be changed.

    Args:
        imp: the implementation: a function or method of texts that gives a number, see `numbers`.
        agg: how its answers become one; see `aggregate`.
        name: what its feedback is called, `runnable.<name>`; the implementation's name without.
        higher_is_better: how to read its numbers; True without.
        if_exists: only records in which this is there are judged.
        if_missing: what becomes of a run whose selector finds nothing; `error` without.
        combinations: how values of several arguments are put together; `product` without.
        selectors: where arguments come from, by name.
        run_location: where it runs.

    Raises:
        UsageError: something of these cannot be used; the message says what.
    """

    __kibitz_fixed__ = "a Feedback cannot be changed; its methods give another one"
    __slots__ = (
        "_acall",
        "_aggregator",
        "_arguments",
        "_call",
        "_definition",
        "_plan",
        "_signature",
        "combinations",
        "higher_is_better",
        "if_exists",
        "if_missing",
        "imp",
        "run_location",
        "selectors",
        "supplied_name",
    )
    imp: Callable[..., Any] | None
    supplied_name: str | None
    higher_is_better: bool
    if_exists: Lens | None
    if_missing: FeedbackOnMissingParameters
    combinations: FeedbackCombinations
    selectors: Mapping[str, Lens]
    run_location: FeedbackRunLocation | None
    _aggregator: aggregators.Aggregator
    _arguments: Mapping[str, Any]
    _signature: Signature | None
    _call: running.Call | None
    _acall: Callable[[Mapping[str, Any]], Awaitable[Any]] | None
    _definition: Definition | None
    _plan: running.Plan | None

    def __init__(
        self,
        imp: Callable[..., Any] | None = None,
        agg: Any = None,
        *,
        name: str | None = None,
        higher_is_better: bool | None = None,
        if_exists: Lens | str | None = None,
        if_missing: FeedbackOnMissingParameters | str | None = None,
        combinations: FeedbackCombinations | str | None = None,
        selectors: Mapping[str, Lens | str] | None = None,
        run_location: FeedbackRunLocation | str | None = None,
    ) -> None:
        if imp is not None and not callable(imp):  # pyright: ignore[reportUnnecessaryIsInstance] a public door
            raise UsageError(
                f"{places.shown(imp)} is no implementation: it cannot be called", field="imp"
            )
        signature = None if imp is None else Signature(imp)
        chosen: dict[str, Lens] = {}
        for argument, selector in (selectors or {}).items():
            if signature is not None:
                signature.check(argument)
            chosen[argument] = _lens(selector)
        immutables.put(
            self,
            imp=imp,
            supplied_name=_checked_name(name),
            higher_is_better=True if higher_is_better is None else bool(higher_is_better),
            if_exists=None if if_exists is None else _lens(if_exists),
            if_missing=_word(FeedbackOnMissingParameters, if_missing, "error", "if_missing"),
            combinations=_word(FeedbackCombinations, combinations, "product", "combinations"),
            selectors=chosen,
            run_location=None
            if run_location is None
            else _word(FeedbackRunLocation, run_location, "in_app", "run_location"),
            _aggregator=aggregators.of(agg),
            _arguments={},
            _signature=signature,
            _call=None if imp is None or signature is None else signature.binding(imp),
            _acall=None if imp is None or signature is None else _awaited(imp, signature),
            _definition=None,
            _plan=None,
        )

    def _with(self, **changes: Any) -> Self:
        """Another one, with something changed; what was worked out of the content is not taken over."""
        made = object.__new__(type(self))
        kept = {name: getattr(self, name) for name in Composition.__slots__}
        immutables.put(made, **{**kept, "_definition": None, "_plan": None, **changes})
        return made

    @property
    def name(self) -> str:
        """What its feedback is called; raises `UsageError` where there is neither name nor implementation."""
        return self.supplied_name or self._known.title

    @property
    def sig(self) -> inspect.Signature:
        """The implementation's signature."""
        return self._known.inspected

    @property
    def aggregator(self) -> aggregators.Aggregator:
        """How answers become one."""
        return self._aggregator

    @property
    def arguments(self) -> Mapping[str, Any]:
        """What `with_arguments` gave, by name."""
        return dict(self._arguments)

    def on(self, /, *selectors: Any, **named: Lens | str) -> Self:
        """Say where arguments come from: by name, or in the order of the signature.

        Args:
            selectors: for the arguments that have none yet, one after the other; or one mapping by name.
            named: by the name of the argument; takes the place of what it had.

        Raises:
            UsageError: there is no such argument, or no further one, or this is no selector.
        """
        if len(selectors) == 1 and isinstance(selectors[0], Mapping):
            named = {**cast("Mapping[str, Any]", selectors[0]), **named}
            selectors = ()
        known, chosen = self._known, dict(self.selectors)
        for argument, selector in named.items():
            known.check(argument)
            chosen[argument] = _lens(selector)
        for selector in selectors:
            lens = _lens(selector)
            chosen[known.next_of({*chosen, *self._arguments})] = lens
        return self._with(selectors=chosen)

    def on_input(self, arg: str | None = None) -> Self:
        """Give the app's main input to this argument, or to the next that has none."""
        return self._on_one(arg, Select.RecordInput)

    def on_output(self, arg: str | None = None) -> Self:
        """Give the app's main output to this argument, or to the next that has none."""
        return self._on_one(arg, Select.RecordOutput)

    on_prompt = on_input
    on_response = on_output

    def on_input_output(self) -> Self:
        """Give the app's main input and output to the next two arguments."""
        return self.on_input().on_output()

    def on_context(
        self,
        arg: str | None = None,
        *,
        collect_list: bool = False,
        select: Lens | str = _PASSAGES,
    ) -> Self:
        """Give what calls of the kind `retriever` returned to this argument, or to the next that has none.

        Args:
            collect_list: all passages as one list, instead of one call of the implementation for each.
            select: where the passages are.
        """
        lens = _lens(select)
        return self._on_one(arg, lens.collect() if collect_list else lens)

    def on_default(self) -> Self:
        """Give the output to the one argument that is left, or input and output to the two that are.

        Raises:
            UsageError: more arguments are left.
        """
        left = self._known.left(self._taken)
        if not left:
            return self
        if len(left) == 1:
            return self.on_output(left[0])
        if len(left) == 2:
            return self.on_input(left[0]).on_output(left[1])
        raise UsageError(
            f"{self.name}{self.sig} has {len(left)} arguments left ({', '.join(left)}); on_default() knows what to do "
            "with one or two: say where they come from with on()",
            field="selectors",
        )

    def with_arguments(self, /, **arguments: Any) -> Self:
        """Give fixed values to arguments: `with_arguments(criteria="…", temperature=0.0)`.

        Raises:
            UsageError: there is no such argument, or a selector gives it already.
        """
        for argument in arguments:
            self._known.check(argument)
            if argument in self.selectors:
                raise UsageError(
                    f"argument {argument!r} of {self.name} is selected already, by {str(self.selectors[argument])!r}",
                    field=argument,
                )
        return self._with(_arguments={**self._arguments, **arguments})

    def aggregate(
        self, func: Any = None, combinations: FeedbackCombinations | str | None = None
    ) -> Self:
        """Say how answers become one, and how values of several arguments are put together.

        Args:
            func: a function of a list of numbers, a text such as `mean`, `min`, `quantile:0.9` or `share:>=0.5`
                (see `aggregators`), or several of these as a list or mapping, which gives numbers by name.
            combinations: `product` or `zip`.

        Raises:
            UsageError: neither is given, or one cannot be used.
        """
        if func is None and combinations is None:
            raise UsageError("aggregate() needs func or combinations", field="func")
        changes: dict[str, Any] = {}
        if func is not None:
            changes["_aggregator"] = aggregators.of(func)
        if combinations is not None:
            changes["combinations"] = _word(
                FeedbackCombinations, combinations, "product", "combinations"
            )
        return self._with(**changes)

    @property
    def is_async(self) -> bool:
        """Whether the implementation is awaited, or has a twin that is."""
        return self._acall is not None

    @property
    def is_local(self) -> bool:
        """Whether the implementation's provider says that it only computes; False where nobody says."""
        owner = getattr(self.imp, "__self__", None)
        return isinstance(owner, Provider) and owner.local

    @property
    def definition(self) -> Definition:
        """Its stored form."""
        known = self._definition
        if known is None:
            known = _defined(self, self._known)
            immutables.put(self, _definition=known)
        return known

    @property
    def id(self) -> str:
        """The digest of its definition."""
        return self.definition.id

    feedback_definition_id = id

    @classmethod
    def load(cls, value: Any, *, allow: Sequence[str] | None = None) -> Self:
        """The feedback function of a stored definition.

        Args:
            value: what `definition.value` gave.
            allow: modules that may be imported besides `importables.ALWAYS`; those below them may be too.

        Raises:
            NotImportable: its implementation cannot or may not be imported; the message says what to do.
            InvalidRecord: the value is no definition.
            UsageError: a selector, an aggregator or an argument of it cannot be used.
        """
        known = definitions.check(value)
        made = cls(
            importables.load(known["implementation"], allow),
            aggregators.load(known.get("aggregator", aggregators.DEFAULT), allow),
            name=known["name"],
            higher_is_better=known.get("higher_is_better"),
            if_exists=known.get("if_exists"),
            if_missing=known.get("if_missing"),
            combinations=known.get("combinations"),
            selectors=known["selectors"],
            run_location=known.get("run_location"),
        )
        return made.with_arguments(**cast("dict[str, Any]", known.get("arguments") or {}))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the implementation itself, with the fixed arguments where others are not given."""
        if self.imp is None:
            raise _no_implementation(self.supplied_name)
        bound = self._known.inspected.bind_partial(*args, **kwargs).arguments
        fixed = {name: each for name, each in self._arguments.items() if name not in bound}
        return self.imp(*args, **{**fixed, **kwargs})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Composition) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        selected = ", ".join(f"{name}={str(lens)!r}" for name, lens in self.selectors.items())
        return f"<feedback function {self.supplied_name or 'of nothing' if self.imp is None else self.name}({selected})>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (
            type(self),
            self.imp,
            self._aggregator,
            self._arguments,
            {
                "name": self.supplied_name,
                "higher_is_better": self.higher_is_better,
                "if_exists": self.if_exists,
                "if_missing": self.if_missing,
                "combinations": self.combinations,
                "selectors": self.selectors,
                "run_location": self.run_location,
            },
        )

    @property
    def _known(self) -> Signature:
        if self._signature is None:
            raise _no_implementation(self.supplied_name)
        return self._signature

    @property
    def _taken(self) -> set[str]:
        return {*self.selectors, *self._arguments}

    def _on_one(self, argument: str | None, lens: Lens) -> Self:
        """With a selector for this argument, or for the next that has no value."""
        known = self._known
        if argument is None:
            argument = known.next_of(self._taken)
        else:
            known.check(argument)
        return self._with(selectors={**self.selectors, argument: lens})


def _defined(made: Composition, signature: Signature) -> Definition:
    imp, arguments = cast("Callable[..., Any]", made.imp), made.arguments
    implementation = importables.describe(imp)
    unsaid = [name for name, each in arguments.items() if not importables.is_json(each)]
    why = implementation.get("why") or made.aggregator.why
    if why is None and unsaid:
        why = (
            f"argument {unsaid[0]!r} is {places.shown(arguments[unsaid[0]])}, which JSON cannot say"
        )
    value: dict[str, Any] = {
        definitions.TYPE_KEY: DEFINITION,
        "class": definitions.CLASS,
        "name": made.supplied_name or signature.title,
        "implementation": implementation,
        "arguments": {name: jsonable.to_json(each) for name, each in arguments.items()},
        "selectors": {name: str(lens) for name, lens in made.selectors.items()},
        "combinations": str(made.combinations),
        "aggregator": made.aggregator.value,
        "if_exists": None if made.if_exists is None else str(made.if_exists),
        "if_missing": str(made.if_missing),
        "higher_is_better": made.higher_is_better,
        "run_location": None if made.run_location is None else str(made.run_location),
    }
    return Definition(value, why)


def _no_implementation(name: str | None) -> UsageError:
    return UsageError(
        f"this feedback function{f' {name!r}' if name else ''} has no implementation; give it one: Feedback(function)",
        field="imp",
    )


def _rebuilt(
    kind: type[Composition],
    imp: Any,
    aggregator: Any,
    arguments: Mapping[str, Any],
    given: dict[str, Any],
) -> Composition:
    return kind(imp, aggregator, **given).with_arguments(**arguments)


def _lens(selector: Any) -> Lens:
    if isinstance(selector, Lens):
        return selector
    if isinstance(selector, str):
        return Lens.parse(selector)
    raise UsageError(
        f"{places.shown(selector)} is no selector but of the type {type(selector).__name__}; selectors are made from "
        "Select, as Select.RecordOutput; a fixed value is given by with_arguments()",
        field="selectors",
    )


def _word(kind: Any, given: Any, default: str, field: str) -> Any:
    try:
        return kind(default if given is None else given)
    except ValueError:
        known = ", ".join(repr(str(each)) for each in kind)
        raise UsageError(
            f"{field}={given!r} is not known; known are {known}", field=field
        ) from None


def _checked_name(name: Any) -> str | None:
    if name is None:
        return None
    if isinstance(name, str) and name and len(name) <= 200 and name.isprintable():
        return name
    raise UsageError(
        f"name={places.shown(name)} cannot name a feedback function; it is a text of 1 to 200 visible characters",
        field="name",
    )


def _awaited(
    imp: Callable[..., Any], signature: Signature
) -> Callable[[Mapping[str, Any]], Awaitable[Any]] | None:
    """How the implementation is awaited: itself, or the twin of a provider's method."""
    if is_coroutine_function(imp):
        return signature.binding(imp)
    owner, name = getattr(imp, "__self__", None), getattr(imp, "__name__", None)
    if isinstance(owner, Provider) and name is not None:
        twin = getattr(owner, f"a{name}", None)
        if twin is not None and is_coroutine_function(twin):
            return signature.binding(twin)
    return None


def is_coroutine_function(func: object) -> bool:
    """Whether calling it gives something to await."""
    return inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(
        getattr(type(func), "__call__", None)  # noqa: B004 what it is matters, not that it is
    )

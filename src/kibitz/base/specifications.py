"""Annotation specifications: what people are asked about a call, who is, and about which calls.

A specification is a versioned object of its project, addressed by the digest of its content: a change makes
a new version, and answers given to an older one stay what they were.

    {"$type": "annotation_spec", "name": "helpful", "schema": {"type": "integer", "minimum": 1, "maximum": 5},
     "description": "", "guidelines": "5: solves it …", "see": [], "answer": ["kind:person"],
     "unique_among_creators": true, "ops": ["answer*"], "targets": []}
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from kibitz.base import answers, control_schemas, controls, refs, schema_types
from kibitz.base.controls import Control, Kind, Slot, show
from kibitz.base.errors import InvalidSpecification, NotPermitted, OutOfScope
from kibitz.base.records import ObjectPart, ObjectVersion

TYPE: Final = "annotation_spec"
"""What `$type` of a stored specification says."""
TYPE_KEY: Final = "$type"
MAX_BYTES = 256 << 10
"""Of a specification as JSON."""
MAX_GUIDELINES = 100_000
MAX_PATTERNS = 100
AUTHOR_KINDS = ("person", "model", "program", "import")
_KIND = "kind:"
_KEYS = frozenset(
    {
        TYPE_KEY,
        "name",
        "schema",
        "description",
        "guidelines",
        "see",
        "answer",
        "unique_among_creators",
        "ops",
        "targets",
    }
)
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, init=False, repr=False)
class AnnotationSpec:
    """What people are asked: `AnnotationSpec("helpful", schema=Annotated[int, Field(ge=1, le=5)])`.

    Publishing it makes a version of it; `call.feedback.add_annotation` answers it.
    """

    name: str
    """Feedback that answers it has the type `annotation.<name>`."""
    schema: dict[str, Any]
    """JSON Schema, see `controls`."""
    description: str
    guidelines: str
    """How to judge, in Markdown. A part of the version: other guidelines, other answers."""
    see: tuple[str, ...]
    """Who is shown it: author names, patterns with `*`, or `kind:person`. Everybody where it is empty."""
    answer: tuple[str, ...]
    """Who may answer it, spelled alike."""
    unique_among_creators: bool
    """Whether each author has an answer of their own. Where not, a target has one answer, whoever gave it last."""
    ops: tuple[str, ...]
    """The ops whose calls it is about, `*` for any part of a name. All where it is empty."""
    targets: tuple[str, ...]
    """The kinds of target it is about: call, trace, thread, message. All where it is empty; calls where `ops` is not."""
    control: Control = field(compare=False)
    """The schema as a form."""
    slots: tuple[Slot, ...] = field(compare=False)
    """Its answers one by one, each a score: `path` is where it stands below `payload.value`."""
    has_spans: bool = field(compare=False)
    """Whether an answer is about a text of the call, and has to see it."""

    def __init__(
        self,
        name: str,
        schema: Any,
        *,
        description: str = "",
        guidelines: str = "",
        see: Iterable[str] = (),
        answer: Iterable[str] = (),
        unique_among_creators: bool = True,
        ops: Iterable[str] = (),
        targets: Iterable[str] = (),
    ) -> None:
        """Describe what is asked.

        Args:
            name: what the answers are called.
            schema: a JSON schema, a pydantic model, a dataclass, a `TypedDict`, `Literal[…]`, an `Enum`, or a plain
                type, maybe `Annotated` with bounds.
            description: one or two sentences to show beside the form.
            guidelines: how to judge, in Markdown.
            see: who is shown it; see the field.
            answer: who may answer it.
            unique_among_creators: whether each author has an answer of their own; with False the newest counts,
                whoever gave it.
            ops: the ops whose calls it is about.
            targets: the kinds of target it is about.

        Raises:
            InvalidSpecification: a keyword is not known, or no answer is possible; the message names the place.
        """
        plain = schema_types.schema_of(schema)
        put = functools.partial(object.__setattr__, self)
        put("name", _checked_name(name))
        put("schema", plain)
        put("description", _text("description", description, 10_000))
        put("guidelines", _text("guidelines", guidelines, MAX_GUIDELINES))
        put("see", _authors("see", see))
        put("answer", _authors("answer", answer))
        put("unique_among_creators", _flag("unique_among_creators", unique_among_creators))
        put("ops", _patterns("ops", ops))
        put("targets", _targets(targets))
        put("control", control_schemas.parse(plain))
        put("slots", tuple(controls.slots(self.control)))
        put("has_spans", any(slot.control.kind == "spans" for slot in self.slots))
        for slot in (each for each in self.slots if each.control.has_default):
            _check_default(self.name, slot)
        if len(_encoded(self.value)) > MAX_BYTES:
            raise InvalidSpecification(
                f"specification {self.name!r} takes more than {MAX_BYTES:,} bytes", field="schema"
            )

    @classmethod
    def from_value(cls, value: object) -> AnnotationSpec:
        """The specification that a stored value says; raises `InvalidSpecification`."""
        given = controls.entries(value)
        if given is None or given.get(TYPE_KEY) != TYPE:
            raise InvalidSpecification(
                f"the value is {show(value)}, not a specification with {TYPE_KEY!r}: {TYPE!r}",
                field=TYPE_KEY,
            )
        for key in given:
            if key not in _KEYS:
                raise InvalidSpecification(
                    f"a specification has no {show(key)}; it has {', '.join(sorted(_KEYS))}",
                    field=str(key)[:100],
                    keyword=str(key)[:100],
                )
        for key in ("name", "schema"):
            if key not in given:
                raise InvalidSpecification(f"a specification needs {key!r}", field=key, keyword=key)
        if not isinstance(given["schema"], dict):
            raise InvalidSpecification(
                f"schema is {show(given['schema'])}, not a JSON schema", field="schema"
            )
        return cls(**{key: each for key, each in given.items() if key != TYPE_KEY})

    @classmethod
    def from_version(cls, version: ObjectVersion) -> AnnotationSpec:
        """The specification of a stored version; raises `InvalidSpecification` where it is something else."""
        return cls.from_value(version.value)

    @property
    def value(self) -> dict[str, Any]:
        """What is stored; `from_value` gives the same specification back."""
        return {
            TYPE_KEY: TYPE,
            "name": self.name,
            "schema": self.schema,
            "description": self.description,
            "guidelines": self.guidelines,
            "see": list(self.see),
            "answer": list(self.answer),
            "unique_among_creators": self.unique_among_creators,
            "ops": list(self.ops),
            "targets": list(self.targets),
        }

    @property
    def digest(self) -> str:
        """The version: the content address of `value`."""
        return refs.digest(_encoded(self.value))

    @property
    def type(self) -> str:
        """The type of the feedback that answers it."""
        return f"annotation.{self.name}"

    @property
    def kind(self) -> Kind:
        """Which control it is; `fields` where it asks for several answers."""
        return self.control.kind

    def ref(self, project: str) -> str:
        """The reference of this version in a project."""
        return refs.format_ref(
            refs.Ref(project=project, kind="object", name=self.name, digest=self.digest)
        )

    def part(self) -> ObjectPart:
        """It as a batch carries it."""
        return ObjectPart(kind="object", name=self.name, digest=self.digest, value=self.value)

    def validate(self, value: object, *, look: answers.Look | None = None) -> None:
        """Hold an answer to the schema.

        Args:
            value: the answer, as JSON has it.
            look: how to see the judged call, for spans; without it they are held to themselves only.

        Raises:
            InvalidAnswer: it does not fit; the message says where, which rule and what is allowed.
        """
        answers.check(self.control, value, of=self.name, look=look)

    def may_see(self, author: str, author_kind: str = "person") -> bool:
        """Whether it is shown to an author."""
        return _includes(self.see, author, author_kind)

    def may_answer(self, author: str, author_kind: str = "person") -> bool:
        """Whether an author may answer it. Whoever may not see it may not answer either."""
        return _includes(self.answer, author, author_kind) and self.may_see(author, author_kind)

    def check_author(self, author: str, author_kind: str) -> None:
        """Raises `NotPermitted` where an author may not answer."""
        if self.may_answer(author, author_kind):
            return
        allowed = self.answer or self.see
        raise NotPermitted(
            f"{author_kind} {author!r} may not answer {self.name!r}; it is for {', '.join(allowed)}",
            field="author",
            author=author,
            allowed=list(allowed),
        )

    def is_about(self, kind: str) -> bool:
        """Whether it is for targets of a kind."""
        return kind in self.targets if self.targets else (kind == "call" or not self.ops)

    def is_about_op(self, op: str) -> bool:
        """Whether it is for calls of an op."""
        return not self.ops or any(matches(pattern, op) for pattern in self.ops)

    def check_target(self, kind: str, op: str | None = None) -> None:
        """Raises `OutOfScope` for a target that it is not about; the op None is one that is not known."""
        if not self.is_about(kind):
            allowed = self.targets or ("call",)
            raise OutOfScope(
                f"{self.name!r} is about {', '.join(allowed)}, not about a {kind}",
                field="target_ref",
                allowed=list(allowed),
            )
        if op is not None and not self.is_about_op(op):
            raise OutOfScope(
                f"{self.name!r} is about calls of {', '.join(self.ops)}, not of {op!r}",
                field="target_ref",
                allowed=list(self.ops),
            )

    def __repr__(self) -> str:
        return f"AnnotationSpec({self.name!r}, {self.schema!r})"

    def __hash__(self) -> int:
        return hash((self.name, self.digest))


Specification = AnnotationSpec


def is_specification(value: object) -> bool:
    """Whether a stored value says that it is a specification."""
    return isinstance(value, dict) and cast("dict[str, Any]", value).get(TYPE_KEY) == TYPE


def matches(pattern: str, text: str) -> bool:
    """Whether a text is what a pattern says; `*` stands for any characters."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    *inner, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in inner:
        # The first place is as good as any later one: what comes between may be anything.
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _includes(patterns: tuple[str, ...], author: str, author_kind: str) -> bool:
    return not patterns or any(
        pattern == _KIND + author_kind
        or (not pattern.startswith(_KIND) and matches(pattern, author))
        for pattern in patterns
    )


def _encoded(value: dict[str, Any]) -> bytes:
    try:
        return _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidSpecification(
            f"the specification is not JSON: {error}", field="schema"
        ) from error


def _check_default(name: str, slot: Slot) -> None:
    place = ".properties.".join(("schema", *slot.path))
    try:
        answers.check(slot.control, slot.control.default, of=name)
    except ValueError as error:
        raise InvalidSpecification(
            f"{place}.default is no answer: {error}", field=f"{place}.default", keyword="default"
        ) from error


def _checked_name(name: object) -> str:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= 200
        or not name.isprintable()
        or name != name.strip()
    ):
        raise InvalidSpecification(
            f"name is {show(name)}, not a text of 1 to 200 printable characters",
            field="name",
            keyword="name",
        )
    return name


def _text(key: str, value: object, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit or not controls.is_storable(value):
        raise InvalidSpecification(
            f"{key} is {show(value)}, not a text of up to {limit:,} characters",
            field=key,
            keyword=key,
        )
    return value


def _flag(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidSpecification(
            f"{key} is {show(value)}, not true or false", field=key, keyword=key
        )
    return value


def _patterns(key: str, values: object) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise InvalidSpecification(f"{key} is {show(values)}, not a list", field=key, keyword=key)
    listed = tuple(cast("Iterable[Any]", values))
    if len(listed) > MAX_PATTERNS:
        raise InvalidSpecification(
            f"{key} has {len(listed)} entries, at most {MAX_PATTERNS} are allowed",
            field=key,
            keyword=key,
        )
    for each in listed:
        if not isinstance(each, str) or not 0 < len(each) <= 256 or not controls.is_storable(each):
            raise InvalidSpecification(
                f"{key} has {show(each)}, not a text of 1 to 256 characters", field=key, keyword=key
            )
    return cast("tuple[str, ...]", listed)


def _authors(key: str, values: object) -> tuple[str, ...]:
    listed = _patterns(key, values)
    for each in listed:
        if each.startswith(_KIND) and each.removeprefix(_KIND) not in AUTHOR_KINDS:
            raise InvalidSpecification(
                f"{key} has {show(each)}; kinds of author are "
                + ", ".join(_KIND + kind for kind in AUTHOR_KINDS),
                field=key,
                keyword=key,
            )
    return listed


def _targets(values: object) -> tuple[str, ...]:
    listed = _patterns("targets", values)
    known = sorted(refs.KINDS)
    for each in listed:
        if each not in refs.KINDS:
            raise InvalidSpecification(
                f"targets has {show(each)}; known are {', '.join(known)}",
                field="targets",
                keyword="targets",
            )
    return listed

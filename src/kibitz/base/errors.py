"""Every error raised on purpose, as one tree, split by what the caller can do about it.

    KibitzError
    ├── UsageError (ValueError)            mend the call
    │   ├── QueryError                     ... the query; carries position and suggestion
    │   ├── RefError                       ... a `kibitz:///` reference
    │   ├── SettingsError                  ... a setting or environment variable
    │   ├── InvalidRecord                  ... a call, feedback or object; carries the field
    │   │   ├── InvalidSpecification       ... an annotation specification; carries keyword and place
    │   │   ├── InvalidAnswer              ... an answer to a specification; carries rule and allowed
    │   │   ├── UnknownReference           ... a reference to what the project does not have
    │   │   ├── NotPermitted               ... an author who may not say this
    │   │   └── OutOfScope                 ... a specification that is not for this target
    │   ├── MissingPlace                   ... a selector of what is not there; carries prefix
    │   ├── NotImportable                  ... an implementation that only this program has
    │   └── TooLarge                       ... send less; carries size and limit
    ├── Unauthorized (PermissionError)     bring a key
    ├── NotFound (LookupError)             ask for something else
    ├── Conflict                           the name or id is taken by something different
    ├── Unavailable (ConnectionError)      wait, then try again; carries retry_after_s
    ├── QueryTimeout (TimeoutError)        narrow the query; carries limit_s
    ├── StorageFull (OSError)              make room
    ├── StorageDamaged                     restore from a backup
    ├── JudgeAnswerError (ValueError)      a judge said what is no score; carries what it said
    ├── BudgetSpent                        raise the budget of the endpoint, or wait
    └── MissingExtra (ImportError)         install the named extra

A message says what was attempted, the offending value and the way out. Facts are attributes,
never only text. `code` is the word used in the server's JSON error shape.
"""

from __future__ import annotations

from typing import Any, ClassVar


class KibitzError(Exception):
    """Something Kibitz could not do."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts
        """What a program can use, by name: field, value, position, limit …"""

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[KibitzError], message: str, facts: dict[str, Any]) -> KibitzError:
    return kind(message, **facts)


class UsageError(KibitzError, ValueError):
    """The call itself is wrong; the message says what to change."""

    code = "usage"


class QueryError(UsageError):
    """A query cannot be understood. Facts: `at` (where in the query), `suggestion`."""

    code = "query"


class RefError(UsageError):
    """A reference is not of the form `kibitz:///project/kind/name`."""

    code = "ref"


class SettingsError(UsageError):
    """A setting has a value that cannot be used. Facts: `setting`, `value`."""

    code = "settings"


class InvalidRecord(UsageError):
    """A call, feedback or object breaks a rule. Facts: `field`, and `value` where it is short."""

    code = "invalid_record"


class InvalidSpecification(InvalidRecord):
    """An annotation specification cannot be used. Facts: `field` (the place), `keyword`."""

    code = "invalid_specification"


class InvalidAnswer(InvalidRecord):
    """An annotation does not fit its specification. Facts: `field`, `rule`, `allowed`, `value`."""

    code = "invalid_answer"


class UnknownReference(InvalidRecord):
    """A reference names what the project does not have. Facts: `field`, `ref`."""

    code = "unknown_reference"


class NotPermitted(InvalidRecord):
    """The author may not answer this specification, or not take back what somebody else said. Facts: `author`."""

    code = "not_permitted"


class OutOfScope(InvalidRecord):
    """A specification is not for this target. Facts: `field`, `allowed`."""

    code = "out_of_scope"


class MissingPlace(UsageError):
    """A selector names what is not there. Facts: `selector`, `prefix` (as far as it exists),
    `argument`, `cut` (what there was no room for, where that is why)."""

    code = "missing_place"


class NotImportable(UsageError):
    """A callable has no name that another process could import, or may not import. Facts: `module`, `name`."""

    code = "not_importable"


class TooLarge(UsageError):
    """A body, batch or value is over its limit. Facts: `size`, `limit`."""

    code = "too_large"


class Unauthorized(KibitzError, PermissionError):
    """The request carries no valid key."""

    code = "unauthorized"


class NotFound(KibitzError, LookupError):
    """Nothing has this id or name."""

    code = "not_found"


class Conflict(KibitzError):
    """The id or name belongs to something different already."""

    code = "conflict"


class Unavailable(KibitzError, ConnectionError):
    """The other side cannot answer now. Facts: `retry_after_s` where it is known."""

    code = "unavailable"

    @property
    def retry_after_s(self) -> float | None:
        return self.facts.get("retry_after_s")


class QueryTimeout(KibitzError, TimeoutError):
    """A query was stopped at its time limit. Facts: `limit_s`."""

    code = "query_timeout"


class StorageFull(KibitzError, OSError):
    """The disk of the data folder is full; nothing of the batch was stored."""

    code = "storage_full"


class StorageDamaged(KibitzError):
    """The store cannot be read. Facts: `path`."""

    code = "storage_damaged"


class JudgeAnswerError(KibitzError, ValueError):
    """A judge's answer is no score: a refusal, nothing, no number, several, or one out of range. Facts: `text` (cut).

    No evaluation asks again by itself: the same question gets the same answer, and costs the same.
    """

    code = "judge_answer"
    retriable: ClassVar[bool] = False


class JudgeFailed(KibitzError):
    """A guardrail could not decide: its feedback function failed or was skipped. Facts: `feedback`."""

    code = "judge_failed"


class BudgetSpent(KibitzError):
    """The budget of an endpoint is spent, so the next request was not sent. Facts: `spent_usd`, `budget_usd`."""

    code = "budget_spent"
    retriable: ClassVar[bool] = False


class MissingExtra(KibitzError, ImportError):
    """An optional part is not installed; the message names the command that installs it."""

    code = "missing_extra"


def class_of(code: str) -> type[KibitzError] | None:
    """The error whose `code` this is; None for a code of a newer version."""
    waiting: list[type[KibitzError]] = [KibitzError]
    while waiting:
        kind = waiting.pop()
        if kind.code == code:
            return kind
        waiting.extend(kind.__subclasses__())
    return None

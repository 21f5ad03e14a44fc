"""Judges of the shape of a text: JSON, tables, lists, code, links. Nothing in a text is ever run or opened."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from kibitz.base.provider import Provider
from kibitz.providers import schemas, words

_FENCED = re.compile(r"\A\s*(?:```|~~~)[^\n`~]*\n(.*?)\n?\s*(?:```|~~~)\s*\Z", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)
_TABLE_RULE = re.compile(r"^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_ITEM = re.compile(r"^\s*(?:[-*+•]|\d{1,9}[.)])\s+\S")
_HEADING = re.compile(r"^ {0,3}#{1,6}\s+\S", re.MULTILINE)
_URL = re.compile(r"\bhttps?://[^\s<>\"'`{}|\\^\[\]]+", re.IGNORECASE)


class Structure(Provider):
    """Which shape a text has."""

    local: ClassVar[bool] = True

    def is_json(self, response: str, fenced: bool = False) -> float:
        """1 where the whole text is one JSON value (RFC 8259: no NaN, no key twice is checked for).

        Args:
            response: the text.
            fenced: whether JSON as the only thing in a Markdown code block counts too.
        """
        return float(_parsed(response, fenced)[0])

    def json_schema(self, response: str, schema: Mapping[str, Any], fenced: bool = False) -> float:
        """1 where it is JSON that keeps a schema; see `schemas` for the keywords that are known.

        Raises:
            UsageError: the schema has a keyword that is not checked here, or cannot be used.
        """
        return self.json_schema_with_reasons(response, schema, fenced)[0]

    def json_schema_with_reasons(
        self, response: str, schema: Mapping[str, Any], fenced: bool = False
    ) -> tuple[float, dict[str, str]]:
        """`json_schema`, and what is wrong first, with its place."""
        checked = _checked(json.dumps(dict(schema), sort_keys=True))
        valid, value = _parsed(response, fenced)
        if not valid:
            return 0.0, {"reason": f"it is not JSON: {value}"}
        problem = checked.first_problem(value)
        return float(problem is None), {"reason": problem or "it keeps the schema"}

    def json_fields(self, response: str, fields: Sequence[str], fenced: bool = False) -> float:
        """Which share of the fields a JSON object has and does not leave null or empty; 0 where it is none."""
        wanted = words.texts(fields, "fields")
        valid, value = _parsed(response, fenced)
        if not valid or not isinstance(value, dict):
            return 0.0
        entries = cast("dict[str, Any]", value)
        return sum(entries.get(each) not in (None, "", [], {}) for each in wanted) / len(wanted)

    def is_code_block(self, response: str) -> float:
        """1 where a fenced Markdown code block is all there is."""
        text = words.text(response)
        return float(bool(_FENCED.match(text)) and len(_FENCE.findall(text)) == 2)

    def has_code_block(self, response: str) -> float:
        """1 where it has at least one fenced code block that is closed."""
        return float(len(_FENCE.findall(words.text(response))) >= 2)

    def has_table(self, response: str) -> float:
        """1 where it has a Markdown table: a row with |, below it a rule of as many cells."""
        lines = words.text(response).splitlines()
        return float(
            any(
                "|" in head and _TABLE_RULE.match(rule) and _cells(head) == _cells(rule)
                for head, rule in zip(lines, lines[1:], strict=False)
            )
        )

    def list_share(self, response: str) -> float:
        """Which share of the lines that are not empty are items of a list."""
        lines = [each for each in words.text(response).splitlines() if each.strip()]
        return sum(bool(_ITEM.match(each)) for each in lines) / len(lines) if lines else 0.0

    def heading_count(self, response: str) -> int:
        """How many Markdown headings it has: 0 and up."""
        return len(_HEADING.findall(words.text(response)))

    def has_url(self, response: str) -> float:
        """1 where it has a web address; whether anything is there is not asked."""
        return float(bool(_URL.search(words.text(response))))

    def urls_from_source(self, response: str, source: str | Sequence[str]) -> float:
        """Which share of its web addresses is in the source; 1 where it has none."""
        found = {_address(each) for each in _URL.findall(words.text(response))}
        there = {_address(each) for each in _URL.findall(words.text(source, "source"))}
        return len(found & there) / len(found) if found else 1.0


@functools.lru_cache(maxsize=64)
def _checked(schema: str) -> schemas.Checked:
    return schemas.Checked(json.loads(schema))


def _parsed(response: object, fenced: bool) -> tuple[bool, Any]:
    """Whether it is JSON, and the value or why not."""
    text = words.text(response)
    if fenced and (block := _FENCED.match(text)):
        text = block[1]
    try:
        return True, json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        return False, "it is nested too deeply"
    except ValueError as error:
        return False, str(error)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _cells(row: str) -> int:
    return row.strip().strip("|").replace("\\|", "").count("|")


def _address(url: str) -> str:
    return url.rstrip(".,;:!?)*_").casefold()

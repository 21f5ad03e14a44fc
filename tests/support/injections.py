"""Texts that mean something to whatever a question is turned into, and questions that have them in every place.

Each has `MARK` in it, so that it can be recognised wherever it turns up.
"""

from __future__ import annotations

from collections.abc import Iterator

from kibitz.query import fields
from kibitz.query.nodes import (
    And,
    ColumnField,
    Compare,
    Contains,
    Convert,
    Exists,
    FeedbackField,
    In,
    Matches,
    Node,
    Not,
    Or,
    PathField,
    Size,
    SortKey,
)

MARK = "zq7"
TEXTS = [
    f"{MARK}'",
    f"{MARK}''",
    f'{MARK}"',
    f'{MARK}""',
    f"{MARK}`",
    f"' OR '1'='1' -- {MARK}",
    f"'); DROP TABLE calls; -- {MARK}",
    f'"); DROP TABLE calls; -- {MARK}',
    f"' UNION SELECT sql FROM sqlite_master -- {MARK}",
    f"{MARK}/* */;--",
    f"{MARK}?1 ?2 :a @b $c",
    f"{MARK}%s {{}} {{0}} {{evil}}",
    f"{MARK}\\",
    f"{MARK}\\'",
    f"{MARK}%",
    f"{MARK}_",
    f"{MARK}*",
    f'$."{MARK}"',
    f'"].{MARK}',
    f"[#-1]{MARK}",
    f"{MARK}].payload.x",
    f"{MARK}] or feedback.[*",
    f'{MARK}" OR body:x NEAR(y z) NOT "',
    f"{MARK} AND OR NOT ( )",
    f"body : {MARK}*",
    f"{MARK}\0'",
    f"{MARK}\n;\r\n--",
    f"{MARK}\u2028'",
    f"{MARK}\u202e'",
    f"\ufeff{MARK}＇",
    f"{MARK}🙂'",
    f"kibitz_at({MARK})",
    f"load_extension('{MARK}')",
    f"now-1h {MARK}",
    f"true {MARK}",
    f"{MARK}: null",
    f"x sort {MARK} limit 1",
    f"{MARK}) or (op = a",
    f'{MARK}" or op = "a',
]


def questions(text: str) -> Iterator[tuple[str, Node]]:
    """Conditions that have a text in each place where one can be, by what the place is."""
    for name in fields.COLUMNS:
        field = ColumnField(name)
        if name in fields.TIME_COLUMNS | fields.NUMBER_COLUMNS or name == "status":
            continue
        yield f"{name} =", Compare(field, "eq", text)
        yield f"{name} <", Compare(field, "lt", text)
        yield f"{name} in", In(field, (text, "x", None))
        yield f"{name} contains", Contains(field, text)
        yield f"{name} icontains", Contains(field, text, case_insensitive=True)
        yield f"text({name}) =", Compare(Convert(field, "text"), "eq", text)
    for root in fields.ROOTS:
        for path in ((), ("a",), (text,), ("a", text, "0"), (text, text)):
            place = PathField(root, path)
            yield f"{root} {len(path)} =", Compare(place, "eq", text)
            yield f"{root} {len(path)} in", In(place, (text, 1, True, None))
            yield f"{root} {len(path)} contains", Contains(place, text, case_insensitive=True)
            yield f"{root} {len(path)} exists", Exists(place)
            yield f"{root} {len(path)} size", Compare(Size(place), "gte", 0)
            yield f"{root} {len(path)} number", Exists(Convert(place, "number"))
            yield f"{root} {len(path)} matches", Matches(place, _literally(text))
    for type_ in (text, f"runnable.{text}", f"annotation.{text}", "review", "*"):
        yield f"{type_} there", Exists(FeedbackField(type_))
        for over in fields.OVERS:
            field = FeedbackField(type_, (text,), over)
            yield f"{type_} {over}", Exists(field)
            if over in ("latest", "any", "all"):
                yield f"{type_} {over} =", Compare(field, "eq", text)
                yield (
                    f"{type_} {over} author",
                    Compare(FeedbackField(type_, (), over, "author"), "eq", text),
                )
        yield f"{type_} matches", Matches(FeedbackField(type_, ("a", text)), _literally(text))
        yield f"{type_} size", Exists(Size(FeedbackField(type_, (text,))))
        yield f"{type_} version", Exists(FeedbackField(type_, (text,), version="0a"))


def several(text: str) -> Node:
    """Many of them in one condition, so that their parameters have to keep their order."""
    nodes = [node for _, node in questions(text)]
    nodes = [node for node in nodes if not isinstance(node, Matches)][::7]
    return And((Or(tuple(nodes[::2])), Not(And(tuple(nodes[1::2])))))


def orders(text: str) -> Iterator[SortKey]:
    """Keys to sort by that have a text in them."""
    for root in fields.ROOTS:
        yield SortKey(PathField(root, (text,)), descending=True)
        yield SortKey(Size(PathField(root, ("a", text))))
        yield SortKey(Convert(PathField(root, (text,)), "number"))
    for over in fields.OVERS:
        yield SortKey(FeedbackField(text, (text,), over))
        yield SortKey(FeedbackField("review", (text,), over), descending=True)


def _literally(text: str) -> str:
    """A pattern that finds just this text."""
    return "".join(each if each.isalnum() else rf"\x{{{ord(each):x}}}" for each in text)

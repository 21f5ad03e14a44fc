"""The version of an op: its source and what it uses, or its bytecode."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import pytest

import kibitz
from kibitz.base import refs
from kibitz.base.redaction import Redaction
from kibitz.testing import capture
from kibitz.tracing import code

LIMIT = 3
API_KEY = "sk-" + "x1" * 20
TABLE = {"a": [1, 2]}


def helper(text):
    return deeper(text)[:LIMIT]


def deeper(text):
    return json.dumps(text)


@kibitz.op
def uses(text):
    if API_KEY:
        return helper(text), TABLE, Path, refs.digest
    return [recurses() for _ in ()]


@kibitz.op
def recurses():
    return recurses()


def version(op, *, capture: bool = True):
    return code.version_of(op, capture=capture, redaction=Redaction())


def test_a_version_has_the_source_and_what_it_uses():
    value = version(uses).value

    assert value["source"].startswith("@kibitz.op\ndef uses(text):\n    if API_KEY:")
    used = value["uses"]
    assert used["helper"]["source"].startswith("def helper(text):")
    assert used["deeper"]["source"].startswith("def deeper(text):")
    assert used["recurses"]["source"].startswith("@kibitz.op\ndef recurses():")
    assert used["LIMIT"] == {"value": 3}
    assert used["TABLE"] == {"value": {"a": [1, 2]}}
    assert used["json"] == {"import": "json"}
    assert used["Path"] == {"import": "pathlib.Path"}
    assert used["API_KEY"] == {"value": {"$type": "redacted"}}
    assert "uses" not in version(recurses).value


def test_secrets_in_the_source_are_left_out():
    @kibitz.op
    def f():
        return "sk-abcdefghijklmnopqrstuvwxyz0123456789"

    assert 'return "[redacted]"' in version(f).value["source"]


def test_the_digest_is_that_of_the_canonical_json():
    part = version(uses)

    assert part.digest == refs.digest(msgspec.json.encode(part.value, order="sorted"))


@pytest.mark.parametrize("how", ["setting", "op", "typed in"])
def test_without_source_the_bytecode_makes_the_version(how: str):
    if how == "typed in":
        space: dict = {}
        exec("def f(x): return x + 1\ndef g(x): return x + 2", space)
        first, second = kibitz.op(space["f"]), kibitz.op(space["g"])
    else:
        first = kibitz.op(capture_code=how != "op")(lambda x: x + 1)
        second = kibitz.op(capture_code=how != "op")(lambda x: x + 2)

    one, two = (version(op, capture=how != "setting") for op in (first, second))

    assert "source" not in one.value
    assert one.value["bytecode"] != two.value["bytecode"]
    assert one.digest != two.digest


def test_the_setting_reaches_the_store():
    with capture(settings={"capture_code": False}) as captured:
        kibitz.op(helper)("x")
        (part,) = captured.objects

    assert "source" not in part.value


def test_what_a_function_closes_over_is_part_of_its_version():
    def make(n):
        @kibitz.op
        def f():
            return n

        return f

    assert version(make(1)).value["uses"] == {"n": {"value": 1}}
    assert version(make(1)).digest != version(make(2)).digest


def test_hostile_globals_do_no_harm():
    class Hostile:
        def __getattribute__(self, name):
            raise RuntimeError(name)

    hostile = Hostile()

    @kibitz.op
    def f():
        return hostile

    assert "uses" not in version(f).value


@pytest.mark.processes
def test_the_version_is_the_same_in_another_process(tmp_path: Path):
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import kibitz
            from kibitz.testing import capture

            SET = frozenset("abcdef")

            @kibitz.op
            def f(x):
                return x in {"a", "b", "c"} or x in SET

            with capture() as source, capture(settings={"capture_code": False}) as bytecode:
                f("a")
                print(*[part.digest for part in bytecode.objects])
            with capture() as source:
                f("a")
                print(*[part.digest for part in source.objects])
            """
        )
    )
    found = {
        subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }

    assert len(found) == 1
    assert len(found.pop().split()) == 2

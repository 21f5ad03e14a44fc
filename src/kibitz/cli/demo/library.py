"""The text the demo answers from: the docstrings of this Python's standard library.

Modules written in Python are parsed, never imported. Those written in C have their docstrings only at run
time; the few that are read are built in and do nothing on import.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

COMPILED = (
    "array", "binascii", "builtins", "cmath", "errno", "fcntl", "gc", "itertools", "marshal", "math",
    "mmap", "pwd", "resource", "select", "sys", "syslog", "termios", "time", "unicodedata", "zlib",
)  # fmt: skip
"""Modules in C whose docstrings are read at run time. Those missing on a platform are passed over."""

NOT_LIBRARY = frozenset(
    {"encodings", "ensurepip", "idlelib", "lib2to3", "msilib", "pydoc_data", "site-packages",
     "test", "tests", "tkinter", "turtledemo", "distutils"}
)  # fmt: skip
"""Folders with nothing that a question about the library would be answered by."""

MAX_CHARACTERS = 900
"""A passage is about this long, so that it has one subject and can be read at a glance."""
MIN_CHARACTERS = 15


class Passage(Struct, frozen=True):
    """A piece of one docstring."""

    name: str
    """What it documents, as one would import it: `json.loads`."""
    kind: str
    """module, class or function."""
    text: str
    where: str
    """The file below the library's folder and its line: `json/__init__.py:299`."""


def sources() -> list[Path]:
    """The public modules of the library that are written in Python, in a fixed order."""
    root = library_folder()
    return [path for path in sorted(root.rglob("*.py")) if _is_public(path.relative_to(root))]


def library_folder() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _is_public(path: Path) -> bool:
    if any(part in NOT_LIBRARY or part.startswith(("_", "config-")) for part in path.parts[:-1]):
        return False
    return path.name == "__init__.py" or not path.name.startswith("_")


def parsed(path: Path) -> Iterator[Passage]:
    """The passages of one source file; none where it is not valid Python."""
    relative = path.relative_to(library_folder())
    parts = relative.with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    yield from _documented(tree, module, relative.as_posix())


def _documented(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str, file: str
) -> Iterator[Passage]:
    """The docstring of a node, then those of the public classes and functions directly in it."""
    text = ast.get_docstring(node)
    if text:
        kinds: dict[type, str] = {ast.Module: "module", ast.ClassDef: "class"}
        kind = kinds.get(type(node), "function")
        line = getattr(node, "lineno", 1)
        yield from _pieces(name, kind, text, f"{file}:{line}")
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not child.name.startswith("_"):
            yield from _documented(child, f"{name}.{child.name}", file)


def compiled(module_name: str) -> Iterator[Passage]:
    """The passages of a module in C; none where this platform has no such module."""
    try:
        module = importlib.import_module(module_name)
    except ImportError:
        return
    yield from _pieces(module_name, "module", inspect.getdoc(module) or "", module_name)
    for name, value in inspect.getmembers(module):
        if name.startswith("_") or not (inspect.isclass(value) or callable(value)):
            continue
        if getattr(value, "__module__", None) not in (module_name, "builtins", None):
            continue
        kind = "class" if inspect.isclass(value) else "function"
        full = name if module_name == "builtins" else f"{module_name}.{name}"
        yield from _pieces(full, kind, inspect.getdoc(value) or "", module_name)
        if inspect.isclass(value) and not issubclass(value, BaseException):
            yield from _methods(full, value, module_name)


def _methods(full: str, value: type, where: str) -> Iterator[Passage]:
    for name, member in vars(value).items():
        if not name.startswith("_") and callable(member):
            yield from _pieces(f"{full}.{name}", "function", inspect.getdoc(member) or "", where)


def _pieces(name: str, kind: str, text: str, where: str) -> Iterator[Passage]:
    """A docstring cut between paragraphs into passages."""
    piece = ""
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if piece and len(piece) + len(paragraph) > MAX_CHARACTERS:
            yield Passage(name, kind, piece, where)
            piece = ""
        piece = f"{piece}\n\n{paragraph}" if piece else paragraph
    if len(piece) >= MIN_CHARACTERS:
        yield Passage(name, kind, piece, where)

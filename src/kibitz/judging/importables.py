"""Callables by name, so that another process finds the same, and back.

    {"module": "house.judges", "name": "brief"}
    {"module": "house.judges", "class": "House", "parameters": {"words": 80}, "name": "brief"}

A name leads to what the module itself defines at its top, and nowhere else. What has no such name is described with
why, and can be used in this program only.

Loading imports modules that were allowed, looks a name up, and makes a provider where one is named. An attribute that
a module merely imported is refused: `os` is not reached by way of a module that uses it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import BuiltinFunctionType, BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any, Final, cast

import msgspec

from kibitz.base import provider, refs
from kibitz.base.errors import NotImportable
from kibitz.base.provider import Provider

ALWAYS: Final = ("kibitz.providers", "builtins", "statistics", "numpy")
"""Modules that may always be imported; of the first only judgements of providers, of the others only what computes,
see `_CHOSEN`."""
_OURS: Final = "kibitz"
_CHOSEN: Final[Mapping[str, frozenset[str]]] = {
    "builtins": frozenset(
        {"abs", "all", "any", "bool", "float", "int", "len", "max", "min", "round", "sum"}
    ),
    "statistics": frozenset(
        {
            "fmean",
            "geometric_mean",
            "harmonic_mean",
            "mean",
            "median",
            "median_high",
            "median_low",
            "mode",
            "pstdev",
            "pvariance",
            "stdev",
            "variance",
        }
    ),
    "numpy": frozenset(
        {
            "all",
            "amax",
            "amin",
            "any",
            "average",
            "count_nonzero",
            "max",
            "mean",
            "median",
            "min",
            "nanmax",
            "nanmean",
            "nanmedian",
            "nanmin",
            "nanstd",
            "nansum",
            "nanvar",
            "prod",
            "ptp",
            "std",
            "sum",
            "var",
        }
    ),
}
_MAX_INSIDE: Final = 8
"""How deep what a nameless function holds is looked into, for its identity."""
_MODULE_ADVICE = (
    "put it into a module that can be imported, for example judges.py, and import it from there"
)


def describe(func: Callable[..., Any]) -> dict[str, Any]:
    """A callable by name. What cannot be imported has `why` instead of a promise, and `code` as its identity."""
    try:
        return _named(func)
    except NotImportable as error:
        return {**_shape(func), "why": error.message}


def is_importable(described: Mapping[str, Any]) -> bool:
    """Whether `describe` found a name that another process can use."""
    return "why" not in described


def load(described: Mapping[str, Any], allow: Sequence[str] | None = None) -> Callable[..., Any]:
    """The callable of a description.

    Args:
        described: what `describe` gave.
        allow: modules that may be imported besides `ALWAYS`; those below them may be too.

    Raises:
        NotImportable: the name leads nowhere, or where it may not lead; the message says what to do.
    """
    if not is_importable(described):
        raise NotImportable(str(described["why"]))
    module, name = described.get("module"), described.get("name")
    if not isinstance(module, str) or not isinstance(name, str) or not name.isidentifier():
        raise NotImportable(f"{module!r} and {name!r} are not the names of a module and a function")
    allowed = (*ALWAYS, *(allow or ()))
    if "class" in described:
        return _method(described, module, name, allowed)
    if _is_below(module, (_OURS,)):
        # Its functions are for itself: some read the environment, or import what they are told.
        raise NotImportable(
            f"{module}.{name} may not be used by a definition; of {_OURS} only methods of providers may",
            module=module,
            name=name,
        )
    found = _defined(module, name, allowed)
    if not callable(found) or inspect.isclass(found) and module != "builtins":
        raise NotImportable(f"{module}.{name} is no function", module=module, name=name)
    return cast("Callable[..., Any]", found)


def _defined(module: str, name: str, allowed: Sequence[str]) -> Any:
    """What a module defines under a name."""
    imported = _imported(module, name, allowed)
    chosen = _CHOSEN.get(module.partition(".")[0])
    if chosen is not None and (name not in chosen or "." in module):
        raise NotImportable(
            f"{module}.{name} may not be used by a definition; of {module.partition('.')[0]} only "
            f"{', '.join(sorted(chosen))} may",
            module=module,
            name=name,
        )
    found = _has(imported).get(name)
    if found is None:
        raise NotImportable(
            f"module {module!r} has no {name!r}; it was there when the feedback function was defined",
            module=module,
            name=name,
        )
    home = getattr(found, "__module__", None)
    if chosen is None and not _is_home(home, allowed):
        raise NotImportable(
            f"{module}.{name} is defined in {home!r}, which is not allowed; name it where it is defined, and allow "
            f"that module",
            module=module,
            name=name,
        )
    return found


def _has(module: object) -> dict[str, Any]:
    """What a module has, without asking it: some answer to any name."""
    return vars(module)


def _imported(module: str, name: str, allowed: Sequence[str]) -> Any:
    if not all(part.isidentifier() for part in module.split(".")):
        raise NotImportable(f"{module!r} is no module's name", module=module, name=name)
    if not _is_below(module, allowed):
        raise NotImportable(
            f"{module}.{name} is in a module that may not be imported; allow it with "
            f"`kibitz worker --allow {module}` or KIBITZ_WORKER_ALLOW={module}",
            module=module,
            name=name,
        )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotImportable(
            f"module {module!r} cannot be imported: {error}; install it where workers run, or put its folder on "
            f"PYTHONPATH",
            module=module,
            name=name,
        ) from error
    except Exception as error:
        raise NotImportable(
            f"module {module!r} fails when it is imported: {type(error).__name__}: {error}",
            module=module,
            name=name,
        ) from error


def _method(
    described: Mapping[str, Any], module: str, name: str, allowed: Sequence[str]
) -> Callable[..., Any]:
    class_name, parameters = described.get("class"), described.get("parameters", {})
    if (
        not isinstance(class_name, str)
        or not class_name.isidentifier()
        or not isinstance(parameters, dict)
    ):
        raise NotImportable(f"{class_name!r} with {parameters!r} is no class and its arguments")
    where = f"{module}.{class_name}"
    if module.partition(".")[0] in _CHOSEN:
        raise NotImportable(f"{where} is no provider", module=module, name=name)
    found = _defined(module, class_name, allowed)
    if not inspect.isclass(found):
        raise NotImportable(f"{where} is no class", module=module, name=name)
    if _is_below(module, (_OURS,)) and not issubclass(found, Provider):
        raise NotImportable(f"{where} is no provider", module=module, name=name)
    # Looked at without being asked: a property or a `__getattr__` would run here.
    function = inspect.getattr_static(found, name, None)
    if (
        not isinstance(function, FunctionType)
        or (name.startswith("__") and name != "__call__")
        or not _is_home(function.__module__, (*allowed, _OURS))
        or (_is_below(function.__module__, (_OURS,)) and name.startswith("_"))
    ):
        raise NotImportable(f"{where} has no method {name!r}", module=module, name=name)
    try:
        with provider.made_of_definition(lambda named: _is_home(named, allowed)):
            made = found(**cast("dict[str, Any]", parameters))
    except Exception as error:
        raise NotImportable(
            f"{where} cannot be made with {_shown(parameters)}: {type(error).__name__}: {error}",
            module=module,
            name=name,
        ) from error
    return MethodType(function, made)


def _is_home(module: object, allowed: Sequence[str]) -> bool:
    """Whether what is defined there may be used whole: not of modules of which only some functions may."""
    return _is_below(module, allowed) and str(module).partition(".")[0] not in _CHOSEN


def _is_below(module: object, allowed: Sequence[str]) -> bool:
    return isinstance(module, str) and any(
        module == each or module.startswith(f"{each}.") for each in allowed
    )


def _named(func: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(func, functools.partial):
        raise NotImportable(
            "a partial function has no name; use the function itself and give it its arguments with "
            "`Feedback(...).with_arguments(...)`"
        )
    if isinstance(func, MethodType):
        return _named_method(func)
    if inspect.isfunction(func) or isinstance(func, BuiltinFunctionType | BuiltinMethodType):
        return _named_function(func)
    if inspect.isclass(func):
        return _checked(func.__module__, func.__qualname__, func)
    name, module = getattr(func, "__name__", None), getattr(func, "__module__", None)
    if isinstance(name, str) and isinstance(module, str) and _found_at(module, name) is func:
        # What a module defines that is neither class nor function: numpy's, decorated ones.
        return _checked(module, name, func)
    call = getattr(type(func), "__call__", None)  # noqa: B004 what it is matters, not that it is
    if isinstance(call, FunctionType):
        return _named_method(MethodType(call, func))
    raise NotImportable(f"{_shown(func)} has no name; write a function around it")


def _named_function(func: Any) -> dict[str, Any]:
    name, module = func.__qualname__, func.__module__
    if func.__name__ == "<lambda>":
        raise NotImportable(
            f"a lambda has no name; write it as a function with `def` and {_MODULE_ADVICE}"
        )
    if "<locals>" in name:
        raise NotImportable(
            f"{func.__name__!r} is defined inside of {name.partition('.<locals>')[0]!r}; put it at the top of a "
            "module, and import it from there"
        )
    if "." in name:
        raise NotImportable(
            f"{name!r} is a static method, or a method without its object; write a function of the module, or "
            f"use a method of an object of a Provider subclass"
        )
    return _checked(module, name, func)


def _checked(module: str | None, name: str, func: Any) -> dict[str, Any]:
    if module is None or module == "__main__":
        raise NotImportable(
            f"{name!r} is defined in a notebook or in the program that was started, where workers do not find it; "
            f"{_MODULE_ADVICE}",
            module="__main__",
            name=name,
        )
    if _found_at(module, name) is not func:
        raise NotImportable(
            f"{module}.{name} is not this function; give it a name of its own at the top of its module",
            module=module,
            name=name,
        )
    return {"module": module, "name": name}


def _found_at(module: str, name: str) -> Any:
    loaded = sys.modules.get(module)
    return None if loaded is None else _has(loaded).get(name)


def _named_method(method: MethodType) -> dict[str, Any]:
    owner, name = method.__self__, method.__func__.__name__
    if inspect.isclass(owner):
        raise NotImportable(
            f"{owner.__qualname__}.{name} is a class method; write a function of the module, or use a method of an "
            "object of a Provider subclass"
        )
    kind = type(owner)
    if "<locals>" in kind.__qualname__ or "." in kind.__qualname__:
        raise NotImportable(
            f"class {kind.__qualname__!r} is defined inside of something else; put it at the top of a module"
        )
    found = _checked(kind.__module__, kind.__qualname__, kind)
    if inspect.getattr_static(kind, name, None) is not method.__func__:
        raise NotImportable(f"{kind.__qualname__} has no method {name!r} of this code")
    return {
        "module": found["module"],
        "class": found["name"],
        "parameters": _parameters(owner),
        "name": name,
    }


def _parameters(owner: object) -> dict[str, Any]:
    kind = type(owner)
    if isinstance(owner, Provider):
        given: dict[str, Any] = owner.parameters()
    elif _takes_nothing(kind):
        given = {}
    else:
        raise NotImportable(
            f"{kind.__qualname__} is made with arguments that are not known; derive it from "
            "kibitz.providers.Provider, which remembers them"
        )
    given = {name: _listed(value) for name, value in given.items()}
    for name, value in given.items():
        if not is_json(value):
            raise NotImportable(
                f"{kind.__qualname__} was made with {name}={_shown(value)}, which JSON cannot say; override "
                "`parameters` so that it gives JSON-like values"
            )
    return given


def _takes_nothing(kind: type) -> bool:
    if kind.__init__ is object.__init__:
        return True
    try:
        parameters = list(inspect.signature(kind).parameters.values())
    except (TypeError, ValueError):
        return False
    return not parameters


def _listed(value: Any) -> Any:
    """A tuple as the list that it comes back as."""
    if not isinstance(value, tuple):
        return value
    return [_listed(each) for each in cast("tuple[Any, ...]", value)]


def is_json(value: Any) -> bool:
    """Whether a value comes back from JSON as it is."""
    try:
        return bool(msgspec.json.decode(msgspec.json.encode(value)) == value) and _is_plain(value)
    except (TypeError, ValueError, UnicodeError, RecursionError, msgspec.MsgspecError):
        return False


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(
            isinstance(name, str) and _is_plain(each)
            for name, each in cast("dict[Any, Any]", value).items()
        )
    if isinstance(value, list):
        return all(_is_plain(each) for each in cast("list[Any]", value))
    return value is None or isinstance(value, bool | int | float | str)


def _shape(func: Any) -> dict[str, Any]:
    """What can be said of a callable that has no name, the same in every process where it is the same."""
    inner: Any = func
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__name__", None) or type(inner).__name__
    said: dict[str, Any] = {"module": getattr(inner, "__module__", None), "name": str(name)}
    owner = getattr(inner, "__self__", None)
    if owner is None and not isinstance(inner, FunctionType | type):
        # What is called is an object, by its class.
        owner = inner
    if owner is not None and not inspect.ismodule(owner):
        said["class"] = (owner if inspect.isclass(owner) else type(owner)).__qualname__
        if isinstance(owner, Provider):
            said["parameters"] = {
                each: value if is_json(value) else type(value).__qualname__
                for each, value in owner.parameters().items()
            }
        elif not inspect.isclass(owner) and (state := _state(owner)):
            said["state"] = refs.digest(msgspec.json.encode(_value(state)))
    function = getattr(inner, "__func__", inner)
    if not isinstance(function, FunctionType):
        function = getattr(cast("type[Any]", type(inner)), "__call__", None)  # noqa: B004 what it is matters, not that it is
    if isinstance(function, FunctionType):
        said["code"] = refs.digest(msgspec.json.encode(_function(function, 0)))
    if isinstance(func, functools.partial):
        partial = cast("functools.partial[Any]", func)
        said["given"] = [
            _values(partial.args),
            {key: _value(each) for key, each in partial.keywords.items()},
        ]
    return said


def _code(code: CodeType) -> list[Any]:
    """What a code object does, without where it stands."""
    return [code.co_code.hex(), [_value(each) for each in code.co_consts], list(code.co_names)]


def _state(owner: object) -> dict[str, Any]:
    """The attributes that say what an object is; those of its own, as caches are, may change while it judges."""
    held: dict[str, Any] = getattr(owner, "__dict__", {})
    return {name: value for name, value in held.items() if not name.startswith("_")}


def _function(func: FunctionType, depth: int) -> list[Any]:
    """What a function does: its code, its defaults, and what it took from around it."""
    said = [_code(func.__code__), _values(func.__defaults__, depth), _cells(func, depth)]
    if func.__kwdefaults__:
        said.append(_value(func.__kwdefaults__, depth))
    return said


def _cells(func: FunctionType, depth: int) -> list[Any]:
    found: list[Any] = []
    for cell in func.__closure__ or ():
        try:
            found.append(_value(cell.cell_contents, depth))
        except ValueError:
            # A cell that nothing has been put into yet.
            found.append(None)
    return found


def _values(values: Any, depth: int = 0) -> list[Any]:
    return [_value(each, depth) for each in values or ()]


def _value(value: Any, depth: int = 0) -> Any:
    """A constant with its type, so that 1, 1.0, true and "1" differ; of things that say no more only the class."""
    if isinstance(value, CodeType):
        return _code(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return [type(value).__name__, repr(value)]
    if depth < _MAX_INSIDE:
        # What is taken from around a function may lead back to it.
        inside = depth + 1
        if isinstance(value, tuple | list):
            return ["list", _values(cast("list[Any]", value), inside)]
        if isinstance(value, frozenset | set):
            return ["set", sorted(str(each) for each in _values(value, inside))]
        if isinstance(value, dict):
            named = cast("dict[Any, Any]", value).items()
            return [
                "dict",
                sorted(
                    ([str(_value(name)), _value(each, inside)] for name, each in named), key=str
                ),
            ]
        if isinstance(value, FunctionType):
            return ["function", _function(value, inside)]
    return [type(value).__qualname__]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:99]}…"

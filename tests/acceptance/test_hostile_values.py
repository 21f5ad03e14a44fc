"""Values that fight back, from the program to the page: the program gets what it had, the store something bounded.

Every value goes as an argument, in containers, as result, as exception and as feedback through real ops into a
real data folder, and a real server answers for each call in JSON and as a page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import asking
import markup
import msgspec
import pytest
from programs import PROJECT, Program, calls, run

from kibitz.testing.serving import ServerProcess

pytestmark = pytest.mark.processes

VALUES = r"""
import array, ast, collections, contextvars, ctypes, dataclasses, datetime, decimal, enum, fractions, io, mmap
import queue, random, re, socket, sqlite3, struct, tempfile, threading, types, uuid, weakref

class Evil(BaseException):
    pass

def raises(error):
    def method(*given, **named):
        raise error
    return method

def hostile(*names, error=RuntimeError("hostile")):
    return type("Hostile", (), {name: raises(error) for name in names})()

def deep(kind, levels):
    value = kind()
    for _ in range(levels):
        value = [value] if kind is list else {"k": value} if kind is dict else (value,)
    return value

cycle = []
cycle.append(cycle)
knot = {"list": cycle, "tuple": (cycle,)}
knot["self"] = knot
a, b = [], []
a.append(b)
b.append(a)
doubled = [1]
for _ in range(60):
    doubled = [doubled, doubled]

class Text(str):
    def __str__(self): return 42
    def __len__(self): return -1
    def __eq__(self, other): raise RuntimeError
    __hash__ = str.__hash__

class Number(int):
    def __int__(self): raise RuntimeError
    def __repr__(self): raise RuntimeError

class Ratio(float):
    def __float__(self): return "x"
    def __repr__(self): raise RuntimeError

class Bag(dict):
    def items(self): raise RuntimeError
    def __iter__(self): raise RuntimeError
    def keys(self): raise RuntimeError

class Row(list):
    def __iter__(self): raise RuntimeError
    def __len__(self): return 10 ** 30

class Endless(list):
    def __iter__(self):
        while True: yield 1

class Mapping(collections.abc.Mapping):
    def __getitem__(self, key): raise KeyError(key)
    def __iter__(self): return iter("abc")
    def __len__(self): return 3

class EndlessDict(dict):
    def __iter__(self): return iter(int, 1)
    def keys(self): return iter(int, 1)
    def items(self): return zip(iter(int, 1), iter(int, 1))
class Same:
    def __str__(self): return "same"

class Liar:
    __class__ = dict

class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *given, **named): return self
    def __iter__(self): return self
    def __next__(self): return self
    def __len__(self): return 2 ** 62
    def __getitem__(self, key): return self

class Frame:
    shape = (10 ** 9, 10 ** 9)
    columns = property(raises(RuntimeError()))
    def head(self, n): raise RuntimeError
Frame.__module__, Frame.__name__, Frame.__qualname__ = "pandas.core.frame", "DataFrame", "DataFrame"

class Array:
    shape = (10 ** 6, 10 ** 6)
    dtype = property(raises(RuntimeError()))
    def tolist(self): raise MemoryError
    def reshape(self, *n): raise RuntimeError

class Model:
    def model_dump(self, **named): raise RuntimeError
class ModelOfItself:
    def model_dump(self, **named): return {"again": self}
class ModelOfText:
    def model_dump(self, **named): return "text"

@dataclasses.dataclass
class Data:
    fine: int = 1
    @property
    def late(self): raise RuntimeError
class Broken(Data):
    def __getattribute__(self, name):
        if name == "fine": raise RuntimeError
        return object.__getattribute__(self, name)

class Colour(enum.Enum):
    RED = object()
class Meta(type):
    def __repr__(cls): raise RuntimeError
    def __getattr__(cls, name): raise RuntimeError
    __module__ = property(raises(RuntimeError()))
class OfMeta(metaclass=Meta): pass
class Unhashable:
    __hash__ = None
    def __eq__(self, other): raise RuntimeError
class Slots:
    __slots__ = ("missing",)
class Proxy:
    def __getattribute__(self, name): raise AttributeError(name)

def generator():
    yield 1
    raise AssertionError("nobody may go on with it")
async def coroutine(): raise AssertionError("nobody may start it")
async def agenerator(): yield 1
never = coroutine()
loop = asyncio.new_event_loop()
future = loop.create_future()
loop.close()
closed_file = io.StringIO(); closed_file.close()
pair = socket.socketpair(); [each.close() for each in pair]
dead = weakref.proxy(Data())

VALUES = {
    "cycle": cycle, "knot": knot, "two that hold each other": a, "shared 2**60 times": doubled,
    "10 MB text": "é" * 5_000_000, "10 MB bytes": bytes(10_000_000), "10 MB in parts": ["x" * 1000] * 10_000,
    "lone surrogates": "\ud800 and \udfff", "surrogate key": {"\ud800": 1}, "NUL": "a\0b", "NUL key": {"a\0": "\0"},
    "control": "".join(map(chr, range(32))) + "\x7f\u2028\u202e\ufeff", "not characters": "\uffff\U0010ffff",
    "NaN": float("nan"), "inf": [float("inf"), -float("inf")], "NaN key": {float("nan"): 1, float("inf"): 2},
    "10**400": 10 ** 400, "10**10_000": -(10 ** 10_000), "-0.0": -0.0, "1e308": 1.7e308, "tiny": 5e-324, "complex": 1j,
    "2**63": [2 ** 63, 2 ** 64, -(2 ** 63) - 1, 2 ** 53 + 1],
    "deep lists": deep(list, 10_000), "deep dicts": deep(dict, 10_000), "deep tuples": deep(tuple, 10_000),
    "100 k keys": {f"key {n}": n for n in range(100_000)}, "a million items": list(range(1_000_000)),
    "long key": {"k" * 1_000_000: 1}, "range": range(10 ** 12),
    "keys that are no text": {1: 1, None: 2, True: 3, 1.5: 4, (1, 2): 5, b"b": 6, frozenset(): 7, Data: 8, ...: 9},
    "keys that become one": {1: "int", "1": "text", 1.5: 0, "1.5": 0}, "key that raises": {Meta("X", (), {}): 1},
    "our marks": {"$type": "file", "digest": "../../etc/passwd"}, "our marks inside": [{"$type": {"$type": 1}}, {"$truncated": 1}],
    "text subclass": Text("t"), "number subclass": Number(7), "float subclass": Ratio(1.5), "dict subclass": Bag(a=1),
    "list subclass": Row([1]), "endless list": Endless([1]), "endless dict": EndlessDict(a=1),
    "20,000 keys of one text": {Same(): n for n in range(20_000)}, "mapping": Mapping(), "ordered": collections.OrderedDict(a=cycle),
    "default": collections.defaultdict(list, a=[1]), "counter": collections.Counter("aab"), "deque": collections.deque([1], 5),
    "chain": collections.ChainMap({"a": 1}, {"b": 2}), "user dict": collections.UserDict(a=1), "proxy": types.MappingProxyType({"a": 1}),
    "named tuple": collections.namedtuple("T", "a b")(1, 2), "simple": types.SimpleNamespace(a=1),
    "liar": Liar(), "anything": Anything(), "data frame": Frame(), "array like": Array(), "model": Model(),
    "model of itself": ModelOfItself(), "model of text": ModelOfText(), "data class": Data(), "broken data class": Broken(),
    "enum": Colour.RED, "metaclass": OfMeta(), "its class": OfMeta, "unhashable": Unhashable(), "slots": Slots(), "no attributes": Proxy(),
    "repr raises": hostile("__repr__"), "repr exits": hostile("__repr__", error=SystemExit(3)),
    "repr cancels": hostile("__repr__", error=asyncio.CancelledError()), "repr is evil": hostile("__repr__", error=Evil()),
    "repr stops": hostile("__repr__", error=StopIteration()), "repr recurses": type("R", (), {"__repr__": lambda self: repr(self)})(),
    "repr is no text": type("R", (), {"__repr__": lambda self: 42})(), "repr is long": type("R", (), {"__repr__": lambda self: "r" * 5_000_000})(),
    "repr has surrogates": type("R", (), {"__repr__": lambda self: "\ud800\0<script>"})(),
    "all raise": hostile("__repr__", "__str__", "__eq__", "__hash__", "__len__", "__iter__", "__getattr__", "__bool__",
                         "__getitem__", "__contains__", "__dir__", "__reduce_ex__", "__sizeof__", "__format__", "__copy__", "__deepcopy__"),
    "getattribute": hostile("__getattribute__"), "class": type("C", (), {"__class__": property(raises(RuntimeError()))})(),
    "dict": type("C", (), {"__dict__": property(raises(RuntimeError()))})(),
    "generator": generator(), "coroutine": never, "async generator": agenerator(), "future": future, "loop": loop, "task": None,
    "iterator": iter([1]), "map": map(1, []), "lock": threading.Lock(), "thread": threading.current_thread(), "queue": queue.Queue(),
    "closed file": closed_file, "file": open(__file__), "socket": pair[0], "database": sqlite3.connect(":memory:"), "proxy of nothing": dead,
    "mapped file": mmap.mmap(-1, 100_000), "memory": memoryview(b"abc"), "bytearray": bytearray(b"abc"), "doubles": array.array("d", [1.5]),
    "structure": (ctypes.c_int * 3)(1, 2, 3), "code": generator.__code__, "frame": sys._getframe(), "module": sys, "function": generator,
    "class itself": dict, "builtin": len, "ellipsis": [..., NotImplemented], "pattern": re.compile("a+"), "pointer": ctypes.c_void_p(1),
    "decimal": [decimal.Decimal("NaN"), decimal.Decimal("1e999999"), decimal.Decimal("-0")], "fraction": fractions.Fraction(1, 3),
    "times": [datetime.datetime.max, datetime.datetime.min, datetime.date.min, datetime.timedelta.max, datetime.timedelta.min,
              datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=23, minutes=59)))],
    "zone that raises": datetime.datetime(2026, 1, 1, tzinfo=type("Z", (datetime.tzinfo,), {"utcoffset": raises(RuntimeError())})()),
    "sets": [{1, "a", None}, frozenset([(1, "a")]), {float("nan")}], "set of hostile": {hostile("__lt__")},
    "uuid": uuid.UUID(int=0), "context": contextvars.copy_context(), "exception": ValueError(cycle), "group": ExceptionGroup("g", [ValueError()]),
    "markup": "</script><script>evil()</script><img src=x onerror=evil()>", "sql": "'); DROP TABLE calls; --",
    "markdown": kibitz.Markdown("<script>evil()</script>[x](javascript:evil())"), "kibitz file": kibitz.File(b"<svg onload=evil()>", "image/svg+xml"),
    "kibitz itself": [kibitz, step], "ast": ast.parse("1"),
}
"""

PROGRAM = (
    VALUES
    + r"""
kibitz.init("team/app")

class Failed(Exception):
    pass

@kibitz.op
def same(value): return value
@kibitz.op
def inside(*given, **named): return [given, named]
@kibitz.op
def fails(value): raise Failed(value)
@kibitz.op
def stream(value):
    got = yield value
    assert got is value
    return value
@kibitz.op
async def later(value): return value

def awaited(coroutine):
    # By hand, for a loop writes the value into its own messages.
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value

for name, value in VALUES.items():
    with kibitz.attributes({"name": name, "value": value}):
        result, call = same.call(value)
        assert result is value, name
        result = inside(value, [value], {"in": value}, key=value)
        assert result[0][0] is value and result[1]["key"] is value, name
        try:
            fails(value)
        except Failed as error:
            assert error.args[0] is value, name
        else:
            raise AssertionError(name)
        running = stream(value)
        assert next(running) is value, name
        try:
            running.send(value)
        except StopIteration as stop:
            assert stop.value is value, name
        assert awaited(later(value)) is value, name
        call.feedback.add("hostile", {"value": value})
        kibitz.get_current_call()
report = kibitz.finish(50)
assert not report.pending and not report.dropped and not report.running, report
assert report.calls_sent == 5 * len(VALUES) and report.feedback_sent == len(VALUES), report
print(len(VALUES))
never.close()
"""
)


def test_values_that_fight_back_from_the_program_to_the_page(tmp_path: Path):
    """One test, for what it records takes a while and all of it looks at the same."""
    ended = run(PROGRAM, tmp_path, exit_timeout_s=60)

    assert ended.status == 0, ended.err[-4000:]
    assert "kibitz failed" not in ended.err, ended.err
    count = int(ended.out)
    assert count > 100
    _check_store(tmp_path / ".kibitz", count)
    _check_server(tmp_path / ".kibitz", count)


def _check_store(data: Path, count: int) -> None:
    """A bounded record of each is there."""
    found = calls(data)
    assert len(found) == 5 * count
    for call in found:
        assert call.status == ("error" if call.op == "fails" else "success")
        name = call.attributes["name"]
        for value in (call.inputs, call.output, call.attributes):
            # 1 MB each, and the marks of what was cut.
            assert value is msgspec.UNSET or len(msgspec.json.encode(value)) < 2_000_000, name
        assert "incomplete" not in call.attributes.get("kibitz", {}), name


def _places(value: Any) -> list[Any]:
    """A value and everything in it."""
    found: list[Any] = []
    waiting = [value]
    while waiting:
        each = waiting.pop()
        found.append(each)
        if isinstance(each, dict):
            waiting += [*each, *each.values()]
        elif isinstance(each, list):
            waiting += each
    return found


def _check_server(data: Path, count: int) -> None:
    """A server answers for each, in JSON and as a page."""
    with ServerProcess(data) as server:
        page = asking.send(
            server.url,
            "/api/v1/calls/query",
            {"project": PROJECT, "limit": 1000, "filter": {"op": ["same", "fails"]}},
        )
        assert page.status == 200
        items = page.json["items"]
        assert len(items) == 2 * count
        for each in items:
            one = asking.get(server.url, f"/api/v1/calls/{each['id']}?project={PROJECT}")
            assert one.status == 200, one.body[:500]
            texts = [text for text in _places(one.json) if isinstance(text, str)]
            assert not any("\0" in text for text in texts), each["id"]
            assert len(one.body) < 8_000_000
            if each["op"] == "same":
                assert [row["type"] for row in one.json["feedback"]] == ["hostile"]
            shown = asking.get(server.url, f"/p/team~app/calls/{each['id']}", Accept="text/html")
            assert shown.status == 200, shown.body[:500]
            assert len(shown.body) < 3_000_000, one.json["attributes"]["name"]
            assert _made_from_data(markup.read(shown.body)) == []
        for path in ("/p/team~app/calls", "/p/team~app/feedback", "/"):
            assert asking.get(server.url, path, Accept="text/html").status == 200
        for query in (
            {"$contains": {"input": {"$getField": "inputs"}, "substr": {"$literal": "DROP TABLE"}}},
            {"$exists": {"$getField": "feedback.[hostile].payload.value"}},
            {"$gt": [{"$getField": "output"}, {"$literal": 10**18}]},
            {"$eq": [{"$getField": "inputs.value.a␀"}, {"$literal": "␀"}]},
        ):
            asked = {
                "project": PROJECT,
                "query": {"$expr": query},
                "sort": [{"field": "output"}, {"field": "feedback.[hostile].payload.value"}],
            }
            answer = asking.send(server.url, "/api/v1/calls/query", asked)
            assert answer.status == 200, answer.body
            assert answer.json["items"], query
        assert server.log == ""


def _made_from_data(document: markup.Element) -> list[str]:
    """Elements and attributes that the values of this file would make if they were taken for markup."""
    wrong: list[str] = []
    for element in document.walk():
        if element.tag in {"svg", "math"} and "onload" in element.attributes:
            wrong.append(element.tag)
        if element.tag == "script" and "evil" in element.raw_text:
            wrong.append("script")
        for name, value in element.attributes.items():
            if name.startswith("on") or value.strip().lower().startswith("javascript:"):
                wrong.append(f"{element.tag} {name}={value[:40]}")
    return wrong


RECURSION = r"""
kibitz.init("team/app", queue_calls=1_000_000)

@kibitz.op
def down(n): return down(n + 1)
@kibitz.op
def plain(n):
    def further(m): return further(m + 1)
    return further(n)
@kibitz.op
def items(n):
    yield from items(n + 1)

for function, consume in ((down, None), (plain, None), (items, list)):
    for _ in range(3):
        try:
            consume(function(0)) if consume else function(0)
        except RecursionError:
            pass
        else:
            raise AssertionError(function)
assert step(1) == 1
assert kibitz.get_current_call() is None
report = kibitz.finish(30)
assert not report.running and not report.pending and not report.dropped, report
"""


def test_recursion_to_the_limit_ends_in_a_recursion_error_and_every_call_has_ended(tmp_path: Path):
    ended = run(RECURSION, tmp_path)
    assert ended.status == 0, ended.err[-2000:]
    found = calls(tmp_path / ".kibitz")
    assert {each.status for each in found if each.op != "step"} == {"error"}
    assert {each.exception.type for each in found if each.exception} == {"RecursionError"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_memory_is_bounded_while_the_exporter_cannot_keep_up(tmp_path: Path):
    program = Program(
        r"""
        from pathlib import Path
        class Slow:
            def __repr__(self):
                time.sleep(0.2)
                return "slow"
        kibitz.init("team/app", queue_bytes=20_000_000, exit_timeout_s=3)
        slow, text = Slow(), "x" * 100_000
        for n in range(3000):
            step([slow, text + str(n)])
        report = kibitz.flush(0.1)
        assert report.dropped["queue_full"] > 2000, report
        # Not ru_maxrss, which begins with that of the process that started this one.
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        assert int(peak.split()[1]) < 400_000, peak
        os._exit(0)
        """,
        tmp_path,
    )
    ended = program.end()
    assert ended.status == 0, ended.err

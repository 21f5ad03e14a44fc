"""Work in threads belongs to the call that gave it out; conversations are kept together by a thread id."""

import threading

import kibitz

kibitz.init("acme/threads")


@kibitz.op(kind="tool")
def measure(text: str) -> int:
    return len(text)


@kibitz.op(kind="agent")
def measure_all(texts: list[str]) -> int:
    with kibitz.ThreadPoolExecutor(max_workers=2) as pool:
        return sum(pool.map(measure, texts))


@kibitz.op
def in_background() -> None:
    # A bare thread is given the context by hand.
    thread = threading.Thread(target=kibitz.copy_context(lambda: measure("on the side")))
    thread.start()
    thread.join()


with kibitz.thread("conversation 17"), kibitz.attributes({"user": "u-3"}):
    print(measure_all(["one", "three", "seven"]))
    in_background()

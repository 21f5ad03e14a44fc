"""A generator is one call: it ends with its last piece, and its output is put together from them."""

from collections.abc import Iterator

import kibitz

kibitz.init("acme/streaming")


@kibitz.op(kind="llm", accumulate="".join)
def generate(prompt: str) -> Iterator[str]:
    for word in f"You said: {prompt}".split():
        yield word + " "


@kibitz.op
def shout(piece: str) -> str:
    return piece.upper()


@kibitz.op(kind="agent")
def answer(question: str) -> str:
    # `shout` is a child of `answer`, not of `generate`: it runs between its steps.
    return "".join(shout(piece) for piece in generate(question))


print(answer("hello there"))

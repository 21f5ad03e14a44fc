"""The first five minutes: record two functions, judge an answer, look at it with `kibitz serve`."""

import kibitz

kibitz.init("acme/support-bot")  # no server, no key: writes to ./.kibitz

PASSAGES = {
    "cancel": "You can cancel at any time under Settings, Plan.",
    "invoice": "Invoices are sent on the first of each month.",
}


@kibitz.op(kind="retriever")
def retrieve(question: str) -> list[str]:
    return [text for word, text in PASSAGES.items() if word in question.lower()]


@kibitz.op(kind="agent")
def answer(question: str) -> str:
    passages = retrieve(question)
    return passages[0] if passages else "I do not know."


def grounded(question: str, output: str) -> dict[str, object]:
    """Whether the answer is one of our passages."""
    return {"match": output in PASSAGES.values(), "words": len(output.split())}


for question in ("How do I cancel?", "When does my invoice come?", "What is love?"):
    text, call = answer.call(question)
    call.apply_scorer_sync(grounded)
    print(f"{question} {text}")

call.feedback.add_reaction("👎")
call.feedback.add_note("It should have offered to ask a person.")

"""Judge by program: feedback functions that select from records, wanted by a rule, done by a worker.

Run it, then `kibitz worker --until-idle` in the same folder, and ask:

    kibitz calls acme/judging 'op = answer sort feedback.grounded.output' --columns 'inputs,feedback.grounded.output'
"""

import kibitz
from kibitz import Feedback, Select
from kibitz.providers import Local

PASSAGES = {
    "cancel": ["You can cancel at any time under Settings, Plan.", "A plan ends with its month."],
    "invoice": ["Invoices are sent on the first of each month."],
}

local = Local()
# Each sentence of the answer is held to all passages at once; the worst one counts.
grounded = (
    Feedback(local.groundedness, name="grounded")
    .on(source=Select.RecordCalls.retrieve.rets[:].collect())
    .on_output()
    .aggregate("min")
)
# Each passage by itself against the question; how many share words with it.
relevant = (
    Feedback(local.containment, name="relevant")
    .on(response=Select.RecordInput, source=Select.RecordCalls.retrieve.rets[:])
    .aggregate("mean")
)
brief = Feedback(local.shorter_than(words=20), name="brief").on_output()


@kibitz.op(kind="retriever")
def retrieve(question: str) -> list[str]:
    """The passages about a subject that the question names."""
    return [text for word, texts in PASSAGES.items() if word in question for text in texts]


@kibitz.op
def answer(question: str) -> str:
    """The first passage, or a guess."""
    found = retrieve(question)
    return found[0] if found else "Please ask the sales department about discounts."


if __name__ == "__main__":
    kibitz.init("acme/judging")
    kibitz.watch("answer", [grounded, relevant, brief], backfill=True)
    for question in ("How do I cancel?", "When is my invoice sent?", "Is there a discount?"):
        answer(question)

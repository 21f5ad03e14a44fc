"""Run the demo: ask every question, judge every answer, and write down what a reader thought of some."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

import kibitz
from kibitz.base import ids
from kibitz.base.errors import KibitzError
from kibitz.cli.demo import judges
from kibitz.cli.demo.app import Librarian
from kibitz.cli.demo.index import Index
from kibitz.cli.demo.questions import QUESTIONS, Question
from kibitz.tracing.calls import Call

PROJECT = "demo/stdlib"
READER = "demo reader"


class Result(Struct, frozen=True):
    """What a run did."""

    run: str
    """The attribute `run` of its calls."""
    questions: int
    answered: int
    failed: int


def record(library: Index, folder: Path, progress: Callable[[int, int, str], None]) -> Result:
    """Ask the application everything, recorded into a data folder.

    Raises:
        KibitzError: not everything could be stored; the message says what.
    """
    librarian = Librarian(library)
    run = ids.new_id()
    answered = 0
    # Whole settings, so that the environment does not send the demo elsewhere.
    kibitz.init(PROJECT, settings=kibitz.Settings(data=str(folder), print_summary=False))
    try:
        with kibitz.attributes({"run": run, "python": platform.python_version()}):
            for done, question in enumerate(QUESTIONS):
                progress(done, len(QUESTIONS), question.text)
                answered += ask(librarian, question, run)
        progress(len(QUESTIONS), len(QUESTIONS), "")
    finally:
        report = kibitz.finish()
    if report is None or not report.complete:
        raise KibitzError(f"the demo could not store all of its calls: {report}")
    return Result(run, len(QUESTIONS), answered, len(QUESTIONS) - answered)


def ask(librarian: Librarian, question: Question, run: str) -> bool:
    """One question: its answer is judged, or its error is kept. Whether there was an answer."""
    with kibitz.thread(f"{question.subject} {run[-8:]}"):
        try:
            _, call = librarian.answer.call(question.text)
        except ValueError:
            # The call is recorded with its exception; there is nothing to judge.
            return False
    for judge in judges.JUDGES:
        call.apply_scorer_sync(judge)
    comment(call, question)
    return True


def comment(call: Call, question: Question) -> None:
    """What a reader left on an answer."""
    if question.reaction is not None:
        call.feedback.add_reaction(question.reaction, author=READER)
    if question.note is not None:
        call.feedback.add_note(question.note, author=READER)

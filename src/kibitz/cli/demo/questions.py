"""What the demo asks: real questions, some of which the library's docstrings cannot answer well."""

from __future__ import annotations

from msgspec import Struct


class Question(Struct, frozen=True):
    text: str
    subject: str
    """Questions on one subject are one thread."""
    reaction: str | None = None
    """An emoji somebody gave the answer."""
    note: str | None = None
    """What somebody wrote about the answer."""


QUESTIONS = (
    Question("How do I parse a JSON string?", "data formats", reaction="👍"),
    Question("How do I read rows from a CSV file?", "data formats"),
    Question("How can I compress bytes with gzip?", "data formats"),
    Question("How do I read a configuration file with sections?", "data formats"),
    Question("How do I encode binary data as base64?", "data formats"),
    Question("How do I copy a whole directory tree?", "files", reaction="👍"),
    Question("How do I create a temporary directory that is removed afterwards?", "files"),
    Question("How can I find all files that match a pattern?", "files"),
    Question("How do I compare two files?", "files"),
    Question("How do I find out how much disk space is free?", "files"),
    Question("How do I split a shell command into words?", "text"),
    Question("How do I wrap long lines of text?", "text"),
    Question("How can I find close matches for a misspelled word?", "text", reaction="🎉"),
    Question("How do I remove the common indentation from a block of text?", "text"),
    Question("How do I translate a sentence from English into French?", "text", reaction="👎",
             note="Nothing here translates languages; the answer should have said so."),
    Question("How do I compute the median of a list of numbers?", "numbers"),
    Question("How do I pick a random element from a list?", "numbers"),
    Question("How do I work with exact decimal fractions of money?", "numbers"),
    Question("How can I find the greatest common divisor of two integers?", "numbers"),
    Question("How do I multiply two matrices?", "numbers",
             note="There is no matrix product in the library. Is `math` the best we can name?"),
    Question("How do I run a function in a pool of threads?", "concurrency"),
    Question("How do I wait for several coroutines at once?", "concurrency"),
    Question("How do I limit how long an asynchronous operation may take?", "concurrency"),
    Question("How do I share a queue between processes?", "concurrency"),
    Question("How do I parse command line options?", "programs"),
    Question("How do I measure how long a small piece of code takes?", "programs"),
    Question("How do I cache the results of a function?", "programs", reaction="❤️"),
    Question("How do I train a neural network?", "programs", reaction="👎"),
    Question("How do I deploy my web site to the cloud?", "programs"),
    Question("How do I download a web page?", "network"),
    Question("How do I send an email with an attachment?", "network"),
    Question("What is it?", "network"),
)  # fmt: skip

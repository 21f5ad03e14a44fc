"""The demonstration: a small retrieval application over the docstrings of Python's standard library.

`library` gathers the text, `index` finds passages, `app` answers questions with them, `judges` say how good
an answer is, `run` puts them together.
"""

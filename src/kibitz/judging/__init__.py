"""Judging by program: what is selected of a record, what judges it, and what becomes of its answers."""

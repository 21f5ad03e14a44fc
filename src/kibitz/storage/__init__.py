"""Stores behind small protocols; the embedded one is SQLite."""

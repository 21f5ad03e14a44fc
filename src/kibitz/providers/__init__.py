"""Providers of feedback implementations: models behind an endpoint, and what needs no model service."""

"""Keys of the environment go to the service that they are for, and to nobody else."""

from __future__ import annotations

import pytest

from kibitz.providers import keys

OURS = ("https://api.openai.com/v1", "http://proxy.intern:8080/v1", ".openai.azure.com")


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://api.openai.com/v1", "sk-of-the-environment"),
        ("https://api.openai.com:8443/v1", "sk-of-the-environment"),
        ("http://proxy.intern:8080/v1", "sk-of-the-environment"),
        ("http://localhost:11434/v1", "sk-of-the-environment"),
        ("https://mine.openai.azure.com", "sk-of-the-environment"),
        # What anybody on the way reads.
        ("http://api.openai.com/v1", None),
        ("http://mine.openai.azure.com", None),
        ("https://api.openai.com.evil.example/v1", None),
        ("https://evil.example/api.openai.com", None),
    ],
)
def test_a_key_of_the_environment_goes_to_its_service_only(monkeypatch, url, found):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")

    assert keys.key(None, url, ["OPENAI_API_KEY"], OURS) == found
    assert keys.key("sk-given", url, ["OPENAI_API_KEY"], OURS) == "sk-given"

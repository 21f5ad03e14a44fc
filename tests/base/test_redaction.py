"""Which keys and texts are secrets."""

from __future__ import annotations

import pytest

from kibitz.base.redaction import Redaction, scrub

OPEN = """
max_tokens total_tokens prompt_tokens eos_token next_page_token author authors secretary key keyword cookie_count passwordless monkey
"""
SECRET = """
api_key API-KEY apiKey x-api-key OPENAI_API_KEY authorization Proxy-Authorization auth_headers password DB_PASSWORD passwd pwd secret client_secret aws_secret_access_key token access_token refreshToken cookie Set-Cookie private_key credentials session_token
"""


@pytest.mark.parametrize("key", SECRET.split())
def test_secret_keys(key: str):
    assert Redaction().hides(key)


@pytest.mark.parametrize("key", OPEN.split())
def test_keys_that_only_sound_like_secrets(key: str):
    assert not Redaction().hides(key)


def test_keys_of_the_settings_match_without_case_and_separators():
    redaction = Redaction(["Customer Number", ""])

    assert redaction.hides("customerNumber")
    assert not redaction.hides("number")
    assert not redaction.hides("")


def test_what_is_remembered_of_keys_is_bounded():
    redaction = Redaction()
    for number in range(10_000):
        assert not redaction.hides(f"key {number}")

    assert redaction.hides("password")
    assert len(redaction._known) < 5000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sk-proj-" + "aB3" * 10, "[redacted]"),
        ("Authorization: Bearer abcdefgh.ijklmnop-q", "Authorization: Bearer [redacted]"),
        ("ghp_" + "a" * 36, "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("redis://user:hunter2@host:1/0", "redis://[redacted]@host:1/0"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
            "[redacted]",
        ),
        ("risk-based, ask-me, task-sk-1", "risk-based, ask-me, task-sk-1"),
        ("a Bearer of news", "a Bearer of news"),
        ("https://host/path?a=b", "https://host/path?a=b"),
        ("mail me@host", "mail me@host"),
    ],
)
def test_texts_that_look_like_secrets(text: str, expected: str):
    assert scrub(text) == expected

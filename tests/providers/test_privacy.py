"""What should not be in a text is found by its form, and what looks like it is not."""

from __future__ import annotations

import pytest
from faker import Faker

from kibitz.base.errors import UsageError
from kibitz.providers import Local, privacy

LOCAL = Local()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("email", "write to ann.o'neil+x@mail.example.co.uk!"),
        ("phone", "call +49 170 1234567 now"),
        ("phone", "(555) 123-4567"),
        ("phone", "+1-202-555-0143."),
        ("phone", "020 7946 0958"),
        ("card", "4111 1111 1111 1111"),
        ("card", "378282246310005"),
        ("iban", "DE89 3704 0044 0532 0130 00 is mine"),
        ("iban", "GB82WEST12345698765432"),
        ("ip", "from 192.168.0.1, port 80"),
        ("ip", "2001:db8::ff00:42:8329"),
        ("ssn", "SSN 078-05-1120"),
    ],
)
def test_data_about_persons_is_found_and_nothing_else_in_it(kind: str, text: str) -> None:
    score, said = LOCAL.pii_with_reasons(text)

    assert score == 1.0
    assert said["counts"] == {kind: 1}
    assert LOCAL.pii(text, [kind]) == 1.0
    assert LOCAL.no_pii(text) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112 has a wrong check digit",
        "DE00370400440532013000",
        "version 1.2.3.4.5 and 999.1.1.1",
        "10:30:45 on 2024-01-02",
        "pi is 3.14159265358979323846",
        "000-12-3456 and 123-45-67890",
        "user@localhost, @name, a@b",
        "ISBN 978-3-16-148410-0",
        "in 1914-1918 about 17,000,000 people",
        "std::vector and C::D",
        "",
    ],
)
def test_what_only_looks_like_it_is_not(text: str) -> None:
    assert LOCAL.pii_with_reasons(text) == (0.0, {"reason": "nothing was found", "counts": {}})


def test_the_reason_does_not_tell_what_was_found() -> None:
    _, said = LOCAL.pii_with_reasons("ann.secret@example.com and 4111 1111 1111 1111")

    assert said["reason"] == "1 email: an…; 1 card: 41…"


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "en_GB"])
def test_invented_persons_are_found(locale: str) -> None:
    fake = Faker(locale)
    fake.seed_instance(7)
    for _ in range(50):
        assert LOCAL.pii(f"It is {fake.email()}.", ["email"]) == 1.0
        assert LOCAL.pii(f"It is {fake.iban()}.", ["iban"]) == 1.0
        assert LOCAL.pii(f"It is {fake.credit_card_number('visa16')}.", ["card"]) == 1.0
        assert LOCAL.pii(f"It is {fake.ipv4()} or {fake.ipv6()}.", ["ip"]) == 1.0
    if locale == "en_US":
        assert all(LOCAL.pii(f"SSN: {fake.ssn()}", ["ssn"]) for _ in range(50))


def test_check_digits_are_those_of_the_standards() -> None:
    assert privacy.luhn("79927398713")
    assert not any(privacy.luhn(f"7992739871{each}") for each in "012456789")
    assert privacy.is_iban("GB29 NWBK 6016 1331 9268 19")
    assert not privacy.is_iban("GB29 NWBK 6016 1331 9268 18")


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA PRIVATE KEY-----",
        "AKIA" + "IOSFODNN7EXAMPLE",
        "ghp_" + "a1B2" * 9,
        "sk-" + "proj-" + "Ab1_" * 10,
        "postgres://app:hunter2@db.internal/x",
        'api_key = "abcd1234efgh"',
        "password: tr0ub4dor&3",
        "xoxb-" + "123456789012-abc",
        "eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0In0.abcdefghijkl",
    ],
)
def test_secrets_are_found(text: str) -> None:
    assert LOCAL.no_secrets(f"Use {text} please") == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "the password: ask your admin",
        "sk-8",
        "https://example.com/a@b",
        "API key: {your_key_1}",
        "task-" * 9,
    ],
)
def test_talk_about_secrets_is_none(text: str) -> None:
    assert LOCAL.no_secrets(text) == 1.0


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="kinds has 'name'; one of email"):
        LOCAL.pii("x", ["name"])


@pytest.mark.parametrize(
    "piece",
    ["a@", "1 ", "1-", "+1 ", "DE12", ":", "0:", "a.", "eyJ", "(555) ", "password=", "a://b:", "-"],
)
def test_a_huge_hostile_text_ends(piece: str) -> None:
    text = piece * (50_000 // len(piece))

    assert LOCAL.pii(text) in (0.0, 1.0)
    assert LOCAL.no_secrets(text) in (0.0, 1.0)

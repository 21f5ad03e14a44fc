"""Which values are secrets, by the key they stand under or by what they look like."""

from __future__ import annotations

import re
from collections.abc import Iterable

_EXACT = frozenset(
    [
        "auth",
        "authheader",
        "authheaders",
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "csrf",
        "jwt",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "proxyauthorization",
        "pwd",
        "secret",
        "secrets",
        "sessionid",
        "setcookie",
        "token",
        "tokens",
        "xauth",
    ]
)
# The last words of a longer key. `token` alone is not here: `max_token`, `eos_token` and `page_token` are no secrets.
_ENDINGS = (
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "apikey",
    "apikeys",
    "apisecret",
    "apitoken",
    "authkey",
    "authorization",
    "authtoken",
    "bearertoken",
    "bottoken",
    "clientsecret",
    "connectionstring",
    "credentials",
    "csrftoken",
    "encryptionkey",
    "idtoken",
    "oauthtoken",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "refreshtoken",
    "secret",
    "secretkey",
    "secretaccesskey",
    "securitytoken",
    "sessioncookie",
    "sessiontoken",
    "signingkey",
    "xsrftoken",
)
_SEPARATORS = re.compile(r"[^a-z0-9]+")

# By a character that each needs, then by a plain text, then by pattern: most strings are done after the first.
_VALUES: tuple[tuple[str, tuple[tuple[str, re.Pattern[str]], ...]], ...] = (
    (
        "-",
        (
            ("sk-", re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}")),
            ("xox", re.compile(r"xox[abposr]-[A-Za-z0-9-]{10,}")),
            (
                "-----BEGIN ",
                re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(-----END [A-Z ]*-----)?"),
            ),
        ),
    ),
    (
        "_",
        (
            ("ghp_", re.compile(r"ghp_[A-Za-z0-9]{30,}")),
            ("github_pat_", re.compile(r"github_pat_[A-Za-z0-9_]{30,}")),
            ("hf_", re.compile(r"(?<![A-Za-z0-9_])hf_[A-Za-z0-9]{30,}")),
        ),
    ),
    (
        "A",
        (
            ("AKIA", re.compile(r"(?<![A-Z0-9])AKIA[0-9A-Z]{16}(?![A-Z0-9])")),
            ("AIza", re.compile(r"AIza[0-9A-Za-z_-]{35}")),
        ),
    ),
    (
        "B",
        (
            ("Bearer ", re.compile(r"(?<=Bearer )[A-Za-z0-9._~+/-]{16,}=*")),
            ("Basic ", re.compile(r"(?<=Basic )[A-Za-z0-9+/]{16,}=*")),
        ),
    ),
    (":", (("://", re.compile(r"(?<=://)[^\s/:@]{1,256}:[^\s/@]{1,256}(?=@)")),)),
)
_SIGNS = tuple(
    (character.encode(), tuple(sign.encode() for sign, _ in kinds)) for character, kinds in _VALUES
)
REDACTED_TEXT = "[redacted]"
_MAX_REMEMBERED = 4096


class Redaction:
    """The rules for one program: the built-in keys and those of its settings.

    A key matches without regard to case and separators: `API-Key`, `openai_api_key` and `apiKey` are one.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._own = frozenset(_normal(key) for key in keys) - {""}
        self._known: dict[str, bool] = {}

    def hides(self, key: str) -> bool:
        """Whether the value under this key is never stored."""
        known = self._known.get(key)
        if known is None:
            normal = _normal(key)
            known = normal in _EXACT or normal in self._own or normal.endswith(_ENDINGS)
            # Keys may be data; what is remembered of them is bounded.
            if len(self._known) < _MAX_REMEMBERED and len(key) < 200:
                self._known[key] = known
        return known


def may_hold_secret(content: bytes) -> bool:
    """Whether `scrub` may find something in a text of this JSON; False is certain."""
    for character, signs in _SIGNS:
        if character in content:
            for sign in signs:
                if sign in content:
                    return True
    return False


def scrub(text: str) -> str:
    """The text with what looks like a secret replaced: API keys, bearer tokens, passwords in URLs, private keys."""
    for character, kinds in _VALUES:
        if character in text:
            for sign, pattern in kinds:
                if sign in text:
                    text = pattern.sub(REDACTED_TEXT, text)
    return text


def _normal(key: str) -> str:
    return _SEPARATORS.sub("", key.lower())

"""Who may ask: keys, sessions of browsers, and what holds where there are no keys.

With keys, a program sends `Authorization: Bearer KEY` and a browser a cookie that the login gave it: the
time it ends and a signature under a secret made from the keys, so that it ends too when the keys change.
Keys are kept and compared as digests, in constant time.

Without keys the server is for this machine alone. It listens on the loopback address only and answers to
loopback names only, because a page of any site can make its name mean 127.0.0.1 and then read what the
browser reads. With or without keys, a page of another site can change nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from kibitz.base import api, clock
from kibitz.base.errors import SettingsError, Unauthorized
from kibitz.base.settings import ServerSettings

COOKIE = "kibitz_session"
SESSION_S = 30 * 86_400
LOGIN = "/login"
MAKE_A_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(32))'"

_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
_OPEN = re.compile(rf"{api.HEALTH}|{LOGIN}|/static/.*|/favicon\.ico")
"""What may be asked without a key: nothing of it says what is stored."""
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._~-]{1,253}))(?::[0-9]{0,5})?")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys that open the server, as digests."""

    digests: tuple[bytes, ...] = field(default=(), repr=False)

    def __bool__(self) -> bool:
        return bool(self.digests)

    def has(self, key: str) -> bool:
        """Whether it is one of them; how long that takes says nothing of which or how nearly."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = False
        for each in self.digests:
            found |= hmac.compare_digest(each, digest)
        return found

    def session(self) -> str:
        """The value of a cookie for somebody who brought a key."""
        end = str(clock.now_ns() // 1_000_000_000 + SESSION_S)
        return f"{end}.{self._signature(end)}"

    def opens(self, session: str) -> bool:
        """Whether a cookie is one of ours and has not ended."""
        end, _, signature = session.partition(".")
        if not re.fullmatch(r"[0-9]{1,12}", end) or not signature.isascii():
            return False
        if not hmac.compare_digest(self._signature(end), signature):
            return False
        return int(end) > clock.now_ns() // 1_000_000_000

    def _signature(self, end: str) -> str:
        secret = hashlib.sha256(b"kibitz session\0" + b"".join(sorted(self.digests))).digest()
        return hmac.new(secret, end.encode(), "sha256").hexdigest()


def read_keys(settings: ServerSettings) -> Keys:
    """The keys of the settings and of the file that they name.

    Raises:
        SettingsError: the file cannot be read or has no key, or a key cannot be sent in a header.
    """
    keys = list(settings.api_keys)
    if settings.api_keys_file is not None:
        keys += _read_file(Path(settings.api_keys_file))
    for key in keys:
        if not key.isascii() or not key.isprintable() or " " in key or not key:
            raise SettingsError(
                "an API key has spaces or characters that a header cannot carry; "
                f"make one with: {MAKE_A_KEY}",
                setting="api_keys",
            )
    return Keys(tuple(hashlib.sha256(key.encode()).digest() for key in dict.fromkeys(keys)))


def _read_file(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"the file of API keys {str(path)!r} cannot be read: {error}",
            setting="api_keys_file",
            value=str(path),
        ) from error
    keys = [line.strip() for line in lines]
    keys = [key for key in keys if key and not key.startswith("#")]
    if not keys:
        # An empty file is a mistake, and taking it for "no keys" would open the server.
        raise SettingsError(
            f"the file of API keys {str(path)!r} has no key; make one with: {MAKE_A_KEY}",
            setting="api_keys_file",
            value=str(path),
        )
    return keys


def check_bind(host: str, keys: Keys) -> None:
    """Refuse to listen where others reach the server and no key protects it; raises `SettingsError`."""
    if keys or is_loopback(host):
        return
    raise SettingsError(
        f"host {host!r} can be reached from other machines, and there are no API keys; "
        f"make one with: {MAKE_A_KEY} and set it as KIBITZ_API_KEYS, "
        "or name a file of keys in KIBITZ_API_KEYS_FILE; or leave the host at 127.0.0.1",
        setting="host",
        value=host,
    )


def is_loopback(host: str) -> bool:
    """Whether a host to bind to is this machine alone. A name is what it resolves to, all of it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    if not host:
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(
        ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback for *_, address in found
    )


def is_loopback_name(authority: str) -> bool:
    """Whether a Host header names this machine, whatever its port. Nothing is resolved."""
    name = _host_of(authority)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def local_path(target: str | None) -> str:
    """Where to go after the login: a path of this server, else the first page."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return "/"
    if any(character < " " or character == "\x7f" or character == "\\" for character in target):
        return "/"
    return target


class Access:
    """Middleware: lets a request through, or says why not."""

    def __init__(self, app: ASGIApp, *, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            }
            if not _AUTHORITY.fullmatch(headers.get("host", "localhost")):
                raise HTTPException(
                    status_code=400,
                    detail=f"the Host header {headers['host'][:80]!r} is not a name with a port",
                )
            check_origin(scope["method"], headers)
            if not self._keys:
                check_host(headers.get("host", ""))
            elif not self._may_pass(scope["path"], headers):
                if not _is_visit(scope["method"], scope["path"], headers):
                    raise Unauthorized(
                        "this server needs an API key; send it as 'Authorization: Bearer KEY', "
                        "which programs do where KIBITZ_API_KEY is set"
                    )
                await _send_to_login(scope, send)
                return
        await self._app(scope, receive, send)

    def _may_pass(self, path: str, headers: dict[str, str]) -> bool:
        if _OPEN.fullmatch(path):
            return True
        given = headers.get("authorization", "")
        if not given:
            session = _cookie(headers.get("cookie", ""))
            return bool(session) and self._keys.opens(session)
        scheme, _, key = given.partition(" ")
        if scheme.lower() == "bearer" and self._keys.has(key.strip()):
            return True
        raise Unauthorized("the API key is not one of this server's; check KIBITZ_API_KEY")


def check_host(authority: str) -> None:
    """Refuse a request that was sent to a name that is not this machine's."""
    if not is_loopback_name(authority):
        raise HTTPException(
            status_code=403,
            detail=f"the server was asked as {authority[:80]!r} and has no API keys; "
            "ask it as localhost, or start it with KIBITZ_API_KEYS",
        )


def check_origin(method: str, headers: dict[str, str]) -> None:
    """Refuse what a page of another site sends in a visitor's name to change something."""
    if method in _SAFE:
        return
    origin = headers.get("origin")
    if origin is not None:
        # "null" is the origin of sandboxed pages and files: nobody's.
        if _authority_of(origin) == headers.get("host", "").lower():
            return
    elif headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return
    shown = origin if origin is not None else headers.get("sec-fetch-site", "")
    raise HTTPException(
        status_code=403,
        detail=f"a page of {shown[:80]!r} may not change anything here",
    )


def _is_visit(method: str, path: str, headers: dict[str, str]) -> bool:
    """Whether a person wants to see a page, and can be asked to log in."""
    return (
        method == "GET"
        and not path.startswith("/api/")
        and "text/html" in headers.get("accept", "")
    )


async def _send_to_login(scope: HTTPScope, send: Send) -> None:
    query = scope["query_string"]
    wanted = scope["raw_path"] + (b"?" + query if query else b"")
    location = f"{LOGIN}?next={quote(wanted, safe='')}".encode()
    start: Any = {
        "type": "http.response.start",
        "status": 303,
        "headers": [(b"location", location), (b"content-length", b"0")],
    }
    await send(start)
    end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(end)


def _authority_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


def _host_of(authority: str) -> str:
    """The name without port and brackets, in lower case; empty where there is none."""
    match = _AUTHORITY.fullmatch(authority)
    return ((match[1] or match[2]) if match else "").lower().rstrip(".")


def _cookie(header: str) -> str | None:
    for pair in header.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return None

"""Logging a browser in and out. The login page itself is one of the pages."""

from __future__ import annotations

from urllib.parse import parse_qs

from litestar import Response, post
from litestar.datastructures import Cookie
from litestar.params import RawBody

from kibitz.base.errors import Unauthorized, UsageError
from kibitz.server import access
from kibitz.server.inputs import AnyRequest, KeysIn

LOGOUT = "/logout"
MAX_FORM_BYTES = 16_384


@post(access.LOGIN, status_code=303, sync_to_thread=False, include_in_schema=False)
def login(request: AnyRequest, body: RawBody, keys: KeysIn) -> Response[None]:
    """Take the key of a form, give a session for it and go where the visitor wanted to go."""
    form = _form(body)
    if keys and not keys.has(form.get("key", "").strip()):
        raise Unauthorized("this is not one of the server's API keys; try again")
    cookies = [_cookie(request, keys.session(), access.SESSION_S)] if keys else []
    headers = {"Location": access.local_path(form.get("next"))}
    return Response(None, status_code=303, headers=headers, cookies=cookies)


@post(LOGOUT, status_code=303, sync_to_thread=False, include_in_schema=False)
def logout(request: AnyRequest) -> Response[None]:
    """End the browser's session."""
    headers = {"Location": access.LOGIN}
    return Response(None, status_code=303, headers=headers, cookies=[_cookie(request, "", 0)])


def _form(body: bytes) -> dict[str, str]:
    if len(body) > MAX_FORM_BYTES:
        raise UsageError(f"a login form has at most {MAX_FORM_BYTES:,} bytes")
    try:
        found = parse_qs(body.decode(), max_num_fields=16)
    except ValueError as error:
        raise UsageError(f"the login form cannot be read: {error}") from error
    return {name: values[0] for name, values in found.items()}


def _cookie(request: AnyRequest, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        key=access.COOKIE,
        value=value,
        path="/",
        max_age=max_age_s,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


handlers = [login, logout]

"""Who may ask: keys, sessions, and this machine alone where there are no keys."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from asking import JSON, ask, get, send

from kibitz.base import api, clock
from kibitz.base.errors import SettingsError
from kibitz.base.settings import ServerSettings
from kibitz.server import access, serving
from kibitz.testing import serving as testing

KEY = "correct-horse-battery-staple"
OTHER = "another-key-of-some-length"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BATCH = {"project": "p", "calls": [{"id": "c1", "op": "o", "started_at": "2026-01-01T00:00:00Z"}]}


@pytest.fixture(name="open_url", scope="module")
def _open_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with testing.server(tmp_path_factory.mktemp("data")) as url:
        yield url


@pytest.fixture(name="url", scope="module")
def _url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    with testing.server(tmp_path_factory.mktemp("data"), api_keys=(KEY, OTHER)) as url:
        yield url


def log_in(url: str, **form: str) -> tuple[int, str, str]:
    """(status, where to, cookie) of a login."""
    body = "&".join(f"{name}={quote(value, safe='')}" for name, value in form.items())
    answer = ask(url, "POST", "/login", body.encode(), FORM)
    cookie = answer.headers.get("set-cookie", "").partition(";")[0]
    return answer.status, answer.headers.get("location", ""), cookie


@pytest.mark.parametrize("path", [api.PROJECTS, api.OPENAPI, "/api/v1/nothing", "/nothing"])
def test_with_keys_every_request_needs_one(url: str, path: str):
    answer = get(url, path)

    assert (answer.status, answer.error["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert send(url, api.INGEST, BATCH).status == 401


def test_without_a_key_a_large_body_is_refused_unread(url: str):
    for _ in range(10):
        # A reset may overtake the answer, as with any server that does not read what it refuses.
        with contextlib.suppress(ConnectionError):
            assert ask(url, "POST", api.INGEST, b"x" * 3_000_000, JSON).status == 401
            return
    pytest.fail("no answer came through in ten attempts")


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_key_opens(url: str, key: str):
    assert get(url, api.PROJECTS, Authorization=f"Bearer {key}").status == 200
    assert send(url, api.INGEST, BATCH, Authorization=f"bearer {key}").status == 200


@pytest.mark.parametrize(
    "given",
    [
        "Bearer wrong",
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer ",
        "Bearer",
        KEY,
        f"Basic {KEY}",
        f"Bearer {KEY} {KEY}",
        "Bearer \xff\xfe",
    ],
)
def test_what_is_not_a_key_does_not(url: str, given: str):
    answer = get(url, api.PROJECTS, Authorization=given)

    assert (answer.status, answer.error["code"]) == (401, "unauthorized")
    assert KEY not in answer.body.decode()


def test_health_and_the_login_need_no_key(url: str):
    assert get(url, api.HEALTH).status == 200
    assert get(url, "/login", Accept="text/html").status == 200


def test_a_visitor_is_sent_to_log_in_and_back(url: str):
    wanted = "/p/acme~bot/calls?op=a&where=x:eq:1"
    sent = get(url, wanted, Accept="text/html")
    assert sent.status == 303
    target = urlsplit(sent.headers["location"])
    assert (target.path, parse_qs(target.query)["next"]) == ("/login", [wanted])

    status, location, cookie = log_in(url, key=KEY, next=wanted)
    assert (status, location) == (303, wanted)
    assert get(url, api.PROJECTS, Cookie=f"other=1; {cookie}").status == 200
    assert get(url, "/", Accept="text/html", Cookie=cookie).status == 200


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(url: str):
    answer = ask(url, "POST", "/login", f"key={KEY}".encode(), FORM)

    said = answer.headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    assert "path=/" in said
    assert re.search(r"max-age=\d+", said)
    assert KEY not in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"


def test_a_wrong_key_logs_nobody_in(url: str):
    answer = ask(url, "POST", "/login", b"key=wrong", {**FORM, "Accept": "text/html"})

    assert answer.status == 401
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    "session",
    ["", ".", "x", "9999999999.", "9999999999." + "0" * 64, "1e9.abc", "9" * 5000, "\xff.\xff"],
)
def test_a_cookie_that_the_server_did_not_sign_opens_nothing(url: str, session: str):
    assert get(url, api.PROJECTS, Cookie=f"{access.COOKIE}={session}").status == 401


def test_a_session_ends_with_its_time_and_with_its_keys(monkeypatch: pytest.MonkeyPatch):
    keys = access.read_keys(ServerSettings(api_keys=(KEY,)))
    session = keys.session()
    assert keys.opens(session)
    assert not access.read_keys(ServerSettings(api_keys=(OTHER,))).opens(session)

    later_ns = clock.now_ns() + (access.SESSION_S + 1) * 1_000_000_000
    monkeypatch.setattr(clock, "now_ns", lambda: later_ns)
    assert not keys.opens(session)


def test_logging_out_takes_the_cookie_away(url: str):
    _, _, cookie = log_in(url, key=KEY)
    answer = ask(url, "POST", "/logout", b"", {**FORM, "Cookie": cookie})

    assert (answer.status, answer.headers["location"]) == (303, "/login")
    assert "max-age=0" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/a\nSet-Cookie: x=1",
        "javascript:alert(1)",
        "",
    ],
)
def test_the_login_leads_nowhere_else(url: str, target: str):
    assert log_in(url, key=KEY, next=target)[1] == "/"


@pytest.mark.parametrize("body", [b"", b"key", b"\xff=\xff", b"&" * 1000, b"k=v&" * 100])
def test_a_login_that_is_no_form_is_refused(url: str, body: bytes):
    assert ask(url, "POST", "/login", body, FORM).status in {400, 401}


def test_without_keys_this_machine_may_ask(open_url: str):
    port = open_url.rpartition(":")[2]
    for host in (
        "localhost",
        f"localhost:{port}",
        "127.0.0.1",
        "127.9.9.9:1",
        f"[::1]:{port}",
        "a.localhost",
        "LOCALHOST.",
    ):
        assert get(open_url, api.PROJECTS, Host=host).status == 200, host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1:80:80",
        "[localhost",
        "localhost:port",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "",
        "localhost@evil.example",
    ],
)
def test_without_keys_a_name_of_elsewhere_is_refused(open_url: str, host: str):
    """A site can make its own name mean 127.0.0.1 (DNS rebinding); its pages still send its name."""
    answer = get(open_url, api.PROJECTS, Host=host)

    assert answer.status in {400, 403}
    assert answer.error["code"] in {"forbidden", "usage"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://[broken"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(url: str, open_url: str, headers: dict[str, str]):
    answer = send(open_url, api.INGEST, {**BATCH, "project": "stolen"}, **headers)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")
    _, _, cookie = log_in(url, key=KEY)
    answer = send(url, api.INGEST, {**BATCH, "project": "stolen"}, Cookie=cookie, **headers)
    assert (answer.status, answer.error["code"]) == (403, "forbidden")

    assert "stolen" not in get(open_url, api.PROJECTS).body.decode()
    assert "stolen" not in get(url, api.PROJECTS, Cookie=cookie).body.decode()


def test_its_own_pages_may_change_things(open_url: str):
    for headers in ({"Origin": open_url}, {"Sec-Fetch-Site": "same-origin"}):
        assert send(open_url, api.INGEST, BATCH, **headers).status == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "no-such-host.invalid"])
def test_an_open_bind_without_keys_is_refused_with_the_way_out(host: str):
    with pytest.raises(SettingsError) as caught:
        serving.listen(ServerSettings(host=host, port=0))

    assert caught.value.facts["setting"] == "host"
    for word in ("KIBITZ_API_KEYS", "secrets.token_urlsafe", "127.0.0.1"):
        assert word in caught.value.message


def test_an_open_bind_with_a_key_works_and_asks_for_it():
    listening = serving.listen(ServerSettings(host="0.0.0.0", port=0, api_keys=(KEY,)))
    assert listening.url == f"http://localhost:{listening.port}"
    listening.close()


def test_keys_come_from_a_file(tmp_path: Path):
    file = tmp_path / "keys"
    file.write_text(f"# for the team\n\n  {KEY}  \n{OTHER}\n", encoding="utf-8")

    with testing.server(tmp_path / "data", api_keys_file=str(file)) as url:
        assert get(url, api.PROJECTS).status == 401
        assert get(url, api.PROJECTS, Authorization=f"Bearer {KEY}").status == 200
        assert get(url, api.PROJECTS, Authorization=f"Bearer {OTHER}").status == 200
        assert get(url, api.PROJECTS, Authorization="Bearer # for the team").status == 401


@pytest.mark.parametrize(
    "content", [None, b"", b"# nothing\n\n", b"\xff\xfe", b"two words\n", "schlüssel\n".encode()]
)
def test_a_file_without_usable_keys_opens_nothing(tmp_path: Path, content: bytes | None):
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError):
        serving.listen(ServerSettings(port=0, api_keys_file=str(file)))


def test_keys_are_not_in_what_is_printed_of_them():
    keys = access.read_keys(ServerSettings(api_keys=(KEY,)))

    assert KEY not in repr(keys)
    assert keys.digests[0].hex() not in repr(keys)


@pytest.mark.parametrize("host", ["a:1:2", "[x", "a b", "\xff", "a" * 10_000])
def test_a_host_that_is_no_name_is_an_error_of_the_request_also_with_keys(url: str, host: str):
    for accept in ("*/*", "text/html"):
        answer = get(url, "/p/a/calls", Host=host, Accept=accept, Authorization=f"Bearer {KEY}")
        assert 400 <= answer.status < 500

"""The feedback pages: what charts say is what was said, and each part of a chart leads to exactly the calls it counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from markup import Element
from sites import EVIL, PATH, START, Counting, Site, judged, part, served, write

from kibitz.base import clock
from kibitz.server.pages import feedback
from kibitz.storage import sqlite

SCORES = (0.05, 0.11, 0.5, 0.52, 0.9, 1.0, 1.0)


@pytest.fixture(name="site")
def _site(tmp_path: Path) -> Generator[Site]:
    store = sqlite.open_store(tmp_path)
    asked: Counter[str] = Counter()
    with served(Counting(store, asked)) as url:
        yield Site(url, store, asked)
    store.close()


def ids(page: Element) -> set[str]:
    """The calls that a list shows; without any there is no table."""
    tables = page.all("table", "calls")
    return {row["data-row"] for table in tables for row in table.all("tr", data_row=None)}


def card(site: Site, name: str, query: str = "") -> Element:
    page = site.page(f"{PATH}/feedback{query}")
    return next(each for each in page.all("article") if each.one("h2").text == name)


def marks(chart: Element) -> list[tuple[str, str]]:
    """What the marks of a chart say and where they lead."""
    return [(each["aria-label"], each["href"]) for each in chart.all("a", "mark")]


def chart(page: Element, label: str) -> Element:
    return next(each for each in page.all("", "chart") if each["aria-label"].startswith(label))


def parts(page: Element) -> dict[str, tuple[int, str]]:
    """The named bars: how many each counts, and where it leads."""
    return {
        each.one("", "part-name").text: (
            int(each.all("", "num")[-1].text.replace(",", "")),
            each["href"],
        )
        for each in page.all("a", "part")
    }


def whiskers(page: Element) -> dict[str, tuple[str, int, str]]:
    """The compared values: what each is, how many it is of, and where it leads."""
    return {
        each.one("", "clip").text: (
            each.all("", "num")[0].text,
            int(each.all("", "num")[1].text),
            each["href"],
        )
        for each in page.all("a", "whisker")
    }


def scored(site: Site, type_: str = "score", key: str = "value") -> None:
    write(
        site,
        *(part(f"c{n}", n) for n in range(len(SCORES) + 1)),
        *(judged(f"c{n}", type_, {key: score}) for n, score in enumerate(SCORES)),
    )


def test_each_bar_of_numbers_counts_the_calls_that_it_leads_to(site: Site) -> None:
    scored(site)

    bars = marks(chart(card(site, "score"), "Distribution"))

    counts = [int(re.search(r": ([\d,]+) judgement", said)[1]) for said, _ in bars]  # type: ignore[index] all say it
    assert sum(counts) == len(SCORES)
    assert [len(ids(site.page(url))) for _, url in bars] == counts
    assert counts[-1] >= 2, "the last bar has its upper end too"


def test_numbers_are_said_beside_the_chart(site: Site) -> None:
    scored(site)
    shown = card(site, "score")

    mean = sum(SCORES) / len(SCORES)
    assert f"mean {mean:.2f} [" in shown.text
    assert "range 0.05 to 1" in shown.text
    assert "7 judgements" in shown.text
    rows = shown.all("table")[0].all("tbody")[0].all("tr")
    assert sum(int(row.all("td")[0].text) for row in rows) == len(SCORES)


def test_few_whole_numbers_have_a_bar_each_also_those_nobody_said(site: Site) -> None:
    write(
        site,
        *(part(f"c{n}", n) for n in range(4)),
        *(judged(f"c{n}", "stars", {"value": stars}) for n, stars in enumerate((1, 4, 4))),
    )

    bars = marks(chart(card(site, "stars"), "Distribution"))

    assert [said for said, _ in bars] == [
        "1: 1 judgement",
        "2: 0 judgements",
        "3: 0 judgements",
        "4: 2 judgements",
    ]
    assert [ids(site.page(url)) for _, url in bars] == [{"c0"}, set(), set(), {"c1", "c2"}]


def test_truths_and_texts_are_counted_by_value(site: Site) -> None:
    write(
        site,
        *(part(f"c{n}", n) for n in range(5)),
        *(judged(f"c{n}", "ok", {"value": n != 1}) for n in range(4)),
        *(
            judged(f"c{n}", "tone", {"value": tone})
            for n, tone in enumerate(("kind", "true", "kind"))
        ),
    )

    truths, texts = parts(card(site, "ok")), parts(card(site, "tone"))

    assert {name: count for name, (count, _) in truths.items() if name in ("yes", "no")} == {
        "yes": 3,
        "no": 1,
    }
    assert ids(site.page(truths["no"][1])) == {"c1"}
    assert ids(site.page(truths["yes"][1])) == {"c0", "c2", "c3"}
    assert "75 %" in card(site, "ok").text
    assert texts["kind"][0] == 2
    assert ids(site.page(texts["true"][1])) == {"c1"}, "the text, not the truth"


def test_authors_stand_beside_each_other_and_lead_to_what_they_judged(site: Site) -> None:
    write(
        site,
        *(part(f"c{n}", n) for n in range(3)),
        judged("c0", "score", {"value": 1}, author="ana"),
        judged("c0", "score", {"value": 5}, author="bo"),
        judged("c1", "score", {"value": 3}, author="ana"),
        judged("c2", "score", {"value": 2}, author="bo", created_at=START + timedelta(hours=1)),
    )

    compared = whiskers(card(site, "score"))

    assert compared["ana"][1] == 2
    assert compared["ana"][0].startswith("2")
    assert ids(site.page(compared["ana"][2])) == {"c0", "c1"}
    assert ids(site.page(compared["bo"][2])) == {"c0", "c2"}


def test_days_lead_to_what_was_judged_then(site: Site) -> None:
    write(
        site,
        *(part(f"c{n}", n) for n in range(4)),
        *(
            judged(f"c{n}", "score", {"value": n}, created_at=START + timedelta(days=n // 2))
            for n in range(4)
        ),
    )

    points = marks(chart(card(site, "score"), "score, By day"))

    assert [said.partition(":")[0] for said, _ in points] == ["1 Mar 2026", "2 Mar 2026"]
    assert [ids(site.page(url)) for _, url in points] == [{"c0", "c1"}, {"c2", "c3"}]


@pytest.mark.parametrize(("by", "expected"), [("op", {"answer": {"c0", "c1"}, "ask": {"c2"}})])
def test_type_is_compared_by_what_the_address_says(
    site: Site, by: str, expected: dict[str, set[str]]
) -> None:
    write(
        site,
        part("c0"),
        part("c1", 1),
        part("c2", 2, op="ask"),
        *(judged(f"c{n}", "score", {"value": n}) for n in range(3)),
    )
    page = site.page(f"{PATH}/feedback/score?by={by}")

    assert {name: ids(site.page(url)) for name, (_, _, url) in whiskers(page).items()} == expected
    current = [e.text for e in page.one("nav", aria_label="Compare by").all("a", aria_current=None)]
    assert current == [by.capitalize()]


def test_time_cuts_charts_and_their_links_alike(site: Site) -> None:
    now = clock.now()
    write(
        site,
        part("c0"),
        part("c1", 1),
        judged("c0", "score", {"value": 1}, created_at=now - timedelta(days=20)),
        judged("c1", "score", {"value": 1}, created_at=now - timedelta(hours=2)),
    )

    assert "2 judgements" in card(site, "score").text
    week = card(site, "score", "?time=7d")
    assert "1 judgement" in week.text
    (author,) = whiskers(week).values()
    assert ids(site.page(author[2])) == {"c1"}
    assert site.answer(f"{PATH}/feedback?time=nonsense").status == 400


def test_many_types_draw_their_charts_when_they_are_asked_for(site: Site) -> None:
    write(site, part("c0"), *(judged("c0", f"type{n}", {"value": n}) for n in range(6)))

    waiting = [e for e in site.page(f"{PATH}/feedback").all("article") if "hx-get" in e.attributes]

    assert len(waiting) == 3
    for each in waiting:
        drawn = site.page(each["hx-get"]).one("article")
        assert drawn["id"] == each["id"]
        assert drawn.all("svg")
        assert site.page(each.one("h2").one("a")["href"]).one("h1").text == each.one("h2").text


def test_very_many_judgements_are_shown_from_sums_by_their_calls(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "AT_ONCE_CALLS", 0)
    scored(site)
    write(
        site,
        part("later", 86_400),
        judged("later", "score", {"value": 0.3}, author="ana"),
        judged(
            "later", "score", {"value": 0.7}, author="bo", created_at=START + timedelta(hours=1)
        ),
        *(judged(f"c{n}", "ok", {"value": n > 0}) for n in range(4)),
        *(judged(f"c{n}", "tone", {"value": "kind"}) for n in range(2)),
    )

    waiting = card(site, "score")
    shown = site.page(waiting["hx-get"]).one("article")

    bars = marks(chart(shown, "Distribution"))
    counts = [int(re.search(r": ([\d,]+) judgement", said)[1]) for said, _ in bars]  # type: ignore[index] all say it
    assert sum(counts) == len(SCORES) + 1
    assert [len(ids(site.page(url))) for _, url in bars] == counts
    days = marks(chart(shown, "score, By day of the call"))
    assert [ids(site.page(url)) for _, url in days][1:] == [{"later"}]
    assert "8 calls" in shown.text
    everybody = whiskers(site.page(shown.link("Compare authors")["href"]))
    assert ids(site.page(everybody["ana"][2])) == {"later"}
    truths = parts(site.page(card(site, "ok")["hx-get"]))
    assert {name: count for name, (count, _) in truths.items()} == {"yes": 3, "no": 1}
    assert parts(site.page(card(site, "tone")["hx-get"]))["kind"][0] == 2


def test_leaves_of_a_type_each_have_an_address(site: Site) -> None:
    write(
        site,
        part("c0"),
        judged("c0", "custom", {"score": 0.5, "why": "because", "a.b": {"ok": True}}),
    )
    page = site.page(f"{PATH}/feedback/custom")

    leaves = page.one("nav", aria_label="What it says").all("a")
    assert len(leaves) == 3
    for each in leaves:
        shown = site.page(urljoin(f"{PATH}/feedback/custom", each["href"]))
        assert "1 judgement" in shown.text
    assert site.answer(f"{PATH}/feedback/custom?path=nowhere").status == 400
    assert site.answer(f"{PATH}/feedback/nothing").status == 404


def test_history_is_listed_and_told_from_what_stands(site: Site) -> None:
    write(site, part("c0"), judged("c0", "score", {"value": 1}, author="ana", id="f1"))
    write(
        site,
        judged(
            "c0",
            "score",
            {"value": 2},
            author="ana",
            id="f2",
            created_at=START + timedelta(hours=1),
        ),
    )

    rows = site.page(f"{PATH}/feedback/score").one("ul", "recent").all("li", "recent-row")

    assert [row.has_class("is-history") for row in rows] == [False, True]
    history = site.page(f"{PATH}/calls/c0/history/score").one("ol", id="history")
    said = [each.one("span", "judgement-value").text for each in history.all("li", "judgement")]
    assert said == ["2", "1"]


def test_names_of_all_kinds_are_text_and_their_links_lead_somewhere(site: Site) -> None:
    write(
        site,
        part("c0", op=EVIL[:200]),
        judged("c0", "custom", {EVIL: EVIL, "n": 1}, author=EVIL),
    )
    page = site.page(f"{PATH}/feedback/custom")

    for link in page.one("nav", aria_label="What it says").all("a"):
        shown = site.page(link["href"])
        assert not [each for each in shown.all("script") if not each["src"].startswith("/")]
    for by in ("author", "op", "version"):
        assert site.answer(f"{PATH}/feedback/custom?by={by}").status == 200
    (author,) = whiskers(site.page(f"{PATH}/feedback/custom?by=author&path=n")).values()
    assert ids(site.page(author[2])) == {"c0"}


def every(page: Any) -> list[Element]:
    return page.all("a")


def test_addresses_of_charts_are_ours(site: Site) -> None:
    scored(site)

    for link in every(site.page(f"{PATH}/feedback")) + every(site.page(f"{PATH}/feedback/score")):
        assert link.attributes.get("href", "/").startswith(("/", "#"))

"""The status page from values: what it shows, that nothing in it is taken for markup, and how its history is kept."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from osg_site_iaas.ops.finding import FOUND, SKIPPED, Finding, Result
from osg_site_iaas.ops.status import history
from osg_site_iaas.ops.status.gather import Picture, Records, Server
from osg_site_iaas.ops.status.history import Sample
from osg_site_iaas.ops.status.page import page
from osg_site_iaas.ops.usage import Use
from tests.status_picture import NOW, picture, samples

DAY = 86400


class Seen(HTMLParser):
    """The tags of a page, and whether they are closed in their order."""

    VOID = ("meta", "link", "br", "line", "path", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name == "href":
                self.links.append(str(value))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_it_is_sound_html_without_a_script_whose_links_lead_somewhere() -> None:
    seen = Seen(page(picture(), samples(), days=35))
    assert seen.open == []
    assert "script" not in seen.tags
    assert len(seen.ids) == len(set(seen.ids))
    assert [link for link in seen.links if link.startswith("#") and link[1:] not in seen.ids] == []
    assert [link for link in seen.links if not link.startswith(("#", "data:"))] == []


def test_it_shows_use_quota_servers_findings_and_records() -> None:
    text = page(picture(), samples(), days=35)
    for words in (
        "120 of 200", "cms: 120 cores in use now, 200 at most, with a quota of 200", "(disabled)", "ERROR",
        "the revocation list of CN=CA ended", "Usage on record up to", "1,234",
    ):  # fmt: skip
        assert words in text, words


def test_what_others_have_named_is_never_markup() -> None:
    evil = "<script>alert(1)</script>"
    found = Result("quotas", FOUND, findings=(Finding(evil, evil, evil),))
    text = page(
        Picture(
            NOW, evil, evil, {evil: (Use("compute", "cores", 1, 2),)}, (), {evil: {evil: 1}},
            (Server(evil, evil, evil, evil, evil),), Records(0, None, None, 0), (found, Result("ec2", SKIPPED, evil)),
        ),
        [Sample(NOW, {evil: {"cores": (1, 2)}})],
        days=1,
    )  # fmt: skip
    assert evil not in text
    assert "script" not in Seen(text).tags


def test_a_site_of_which_nothing_is_known_has_a_page_all_the_same() -> None:
    text = page(Picture(NOW, "S", "s.example.org", {}, (), {}, (), None, ()), [], days=35)
    assert Seen(text).open == []
    assert "Not known now." in text


def test_history_keeps_every_look_of_two_days_and_one_an_hour_before() -> None:
    looks = [Sample(at, {}) for at in range(NOW - 40 * DAY, NOW, 900)]
    kept = history.thin(looks, NOW, days=35)
    assert min(one.at for one in kept) >= NOW - 35 * DAY
    assert sum(one.at > NOW - 2 * DAY for one in kept) == 2 * 96 - 1
    assert sum(one.at <= NOW - 2 * DAY for one in kept) == pytest.approx(33 * 24, abs=2)
    assert history.thin(kept, NOW, days=35) == kept


def test_history_survives_a_line_that_a_crash_has_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "history.jsonl"
    history.write(file, samples())
    whole = history.read(file)
    file.write_text(file.read_text() + '{"at": 5, "vos": {"cms"')
    assert history.read(file) == whole == samples()

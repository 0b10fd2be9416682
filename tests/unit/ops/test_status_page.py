"""The status page from values: what it shows, that nothing in it is taken for markup, and how its history is kept."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, UNKNOWN, Finding, Result
from osg_site_iaas.ops.status import history
from osg_site_iaas.ops.status.gather import Picture, Records, Server
from osg_site_iaas.ops.status.history import Sample
from osg_site_iaas.ops.status.page import page
from osg_site_iaas.ops.usage import Use
from tests.status_picture import DAY, NOW, crowd, nothing, picture, samples

MEGABYTE = 1_000_000


class Seen(HTMLParser):
    """The tags of a page, and whether they are closed in their order."""

    VOID = ("meta", "link", "br", "path", "rect")

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
    assert {link for link in seen.links if not link.startswith(("#", "data:"))} == {
        ""
    }  # the page itself, anew
    assert "refresh" not in page(picture(), samples(), days=35)  # it would close what a reader has opened


def test_it_shows_use_quota_servers_findings_and_records() -> None:
    text = page(picture(), samples(), days=35)
    for words in (
        "120 of 200", "cms: 120 cores in use now, 200 at most, with a quota of 200", "(disabled)", "servers in ERROR",
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
    text = page(nothing(), [], days=35)
    assert Seen(text).open == []
    assert "Not known now." in text
    assert "<svg" not in text


def test_in_an_outage_the_charts_stay_and_say_since_when_nothing_is_known() -> None:
    text = page(nothing(), [one for one in samples() if one.at < NOW - DAY], days=35)
    (label,) = re.findall('role="img" aria-label="([^"]+)"', text)
    assert re.fullmatch(
        r"cms: \d+ cores in use on 2\d Nov .*; no data from 2\d Nov \d\d:\d\d UTC to now", label
    )


def test_a_first_look_draws_no_chart_and_says_that_the_history_begins() -> None:
    text = page(picture(), [Sample(NOW, {"cms": {"cores": (1, 200)}})], days=35)
    assert "<svg" not in text
    assert "cms: 1 core in use now, with a quota of 200. The history begins with this look" in text


def test_what_is_used_up_is_said_in_words_too() -> None:
    uses = (
        Use("compute", "instances", 0, 0),
        Use("compute", "cores", 4, 4),
        Use("network", "floatingip", 5, 0),
    )
    text = page(dataclasses.replace(picture(), vos={"cms": uses}), [], days=35)
    assert re.findall(r'class="n mark" data-label="([^"]+)">([^<]+)', text) == [
        ("cores", "4 of 4, full"), ("addresses", "5 of 0, over"), ("ERROR", "2"),
    ]  # fmt: skip
    assert 'data-label="servers">0 of 0<' in text


def test_no_two_columns_of_a_table_have_the_same_name() -> None:
    heads = re.findall("<thead.*?</thead>", page(picture(), samples(), days=35))
    assert len(heads) == 3
    for head in heads:
        names = re.findall('role="columnheader"[^>]*>([^<]+)', head)
        assert len(names) == len(set(names)), names


def test_one_thing_is_not_called_many() -> None:
    one = dataclasses.replace(
        picture(), vos={"cms": (Use("compute", "cores", 1, 4),)}, states={"cms": {"ERROR": 1}},
        records=Records(1, None, None, 0), servers=picture().servers[:1],
    )  # fmt: skip
    text = page(one, [Sample(at, {"cms": {"cores": (1, 4)}}) for at in (NOW - 900, NOW)], days=1)
    wrong = r"\b1(?:</b><span>| )(?:VOs|servers|cores|findings|records|days|minutes)\b"
    assert re.findall(wrong, text) == []


def test_a_page_says_when_it_was_made_and_when_it_is_stale() -> None:
    text = " ".join(re.sub("<[^>]+>", "", page(picture(), samples(), days=35)).split())
    assert "Made 2026-11-24 00:26 UTC. The next one is due at 00:41 UTC. If it is past 01:01 UTC" in text
    data = picture().as_data()
    assert (data["made"], data["next"], data["stale"]) == (
        "2026-11-24T00:26:40Z", "2026-11-24T00:41:40Z", "2026-11-24T01:01:40Z",
    )  # fmt: skip
    assert "compare that with your clock" in page(nothing(), [], days=35)
    assert nothing().as_data()["next"] is None


def test_a_page_for_everybody_has_no_word_for_administrators() -> None:
    results = (Result("ec2", FOUND), Result("front", SKIPPED))
    seen = dataclasses.replace(picture(), public=True, servers=(), results=results)
    _, _, body = page(seen, samples(), days=35).partition("<body>")
    text = re.sub("<[^>]+>", " ", body)
    assert "Not as it should be: EC2." in text
    for words in (
        "dministrator",
        "doctor",
        "called as",
        "inding",
        "skipped",
        "grid logins",
        "probe",
        "osg-site-iaas-",
    ):
        assert words not in text, words


def test_what_could_not_be_looked_at_is_not_as_it_should_be() -> None:
    for results in ((Result("ec2", UNKNOWN),), (Result("ec2", UNKNOWN), Result("keystone", OK))):
        seen = dataclasses.replace(picture(), public=True, servers=(), results=results)
        said = [line for line in page(seen, samples(), days=35).splitlines() if "As they should be" in line]
        assert "EC2" not in " ".join(said)
        assert bool(said) is (len(results) > 1)


def test_120_vos_and_35_days_are_less_than_a_megabyte() -> None:
    text = page(*crowd(120), days=35)
    assert text.count("<svg") == 120
    assert len(text.encode()) < MEGABYTE


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_everything_can_be_read_in_either_scheme(dark: bool) -> None:
    """WCAG 2 AA: 4.5 for text, 3 for what is drawn."""
    css = re.search("<style>(.*?)</style>", page(picture(), [], days=35), re.DOTALL)
    assert css
    day, _, night = css[1].partition("prefers-color-scheme: dark")
    assert night
    colours: dict[str, str] = {}
    for block in re.findall(r":root \{(.*?)\}", day + (night if dark else ""), re.DOTALL):
        colours.update(re.findall(r"--(\w+): (#\w{6});", block + ";"))
    for text in ("ink", "soft", "blue", "warn", "good"):
        for ground in ("paper", "pale"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line, ground in (("blue", "area"), ("warn", "area"), ("warn", "paper"), ("blue", "pale")):
        assert contrast(colours[line], colours[ground]) >= 3, (line, ground)
    assert not re.search(r"(?:^|[ ;{])(?:color|fill|stroke): #", css[1]), "a colour that no scheme can change"


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

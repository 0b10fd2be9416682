"""The status page in a real browser: no message on its console, all of it by keyboard, nothing cut off when narrow."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests
import websocket

from osg_site_iaas.ops.status.page import page
from tests.status_picture import LONG, crowd, picture, samples

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
KEYS = {"Tab": 9, "Enter": 13}
LEAST = 11  # pixels, of any text


class Browser:
    """One tab, by Chrome's DevTools protocol."""

    def __init__(self, address: str) -> None:
        self.socket = websocket.create_connection(address, timeout=120, suppress_origin=True)
        self.numbers = itertools.count(1)
        self.told: list[dict[str, Any]] = []  # whatever the console and the network said
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self.told.append(message)

    def open(self, url: str) -> None:
        self.ask("Page.navigate", url=url)
        limit = time.monotonic() + 120
        while self.run("document.readyState + ' ' + location.href") != f"complete {url}":
            assert time.monotonic() < limit, "the page is not loaded"

    def run(self, script: str) -> Any:
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        common = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        text = {"text": "\r"} if key == "Enter" else {}
        self.ask("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **common)

    def width(self, pixels: int) -> None:
        self.ask(
            "Emulation.setDeviceMetricsOverride", width=pixels, height=900, deviceScaleFactor=1, mobile=False
        )

    def scheme(self, name: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.ask("Emulation.setEmulatedMedia", features=features)

    def picture(self, file: Path) -> None:
        data = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    @property
    def complaints(self) -> list[dict[str, Any]]:
        bad = (
            "Runtime.exceptionThrown",
            "Runtime.consoleAPICalled",
            "Log.entryAdded",
            "Network.loadingFailed",
        )
        return [message for message in self.told if message["method"] in bad]

    @property
    def asked_for(self) -> list[str]:
        return [
            message["params"]["request"]["url"]
            for message in self.told
            if message["method"] == "Network.requestWillBeSent"
        ]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.fail("no chromium on this machine: scripts/distribution-packages test", pytrace=False)
    profile = tmp_path_factory.mktemp("profile")
    words = [
        "--headless",
        "--disable-gpu",
        "--no-first-run",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    if os.getuid() == 0:
        words.append("--no-sandbox")
    process = subprocess.Popen(
        [program, *words, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        limit = time.monotonic() + 120
        while not (profile / "DevToolsActivePort").exists():
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < limit, "the browser does not start"
            time.sleep(0.2)
        port = (profile / "DevToolsActivePort").read_text().split()[0]
        tabs: list[dict[str, Any]] = []
        while not tabs:
            with contextlib.suppress(requests.RequestException):
                listed = requests.get(f"http://127.0.0.1:{port}/json/list", timeout=30).json()
                tabs = [tab for tab in listed if tab["type"] == "page"]
            assert time.monotonic() < limit, "the browser opens no tab"
        yield Browser(tabs[0]["webSocketDebuggerUrl"])
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture
def shown(browser: Browser, tmp_path: Path) -> Browser:
    return show(browser, tmp_path, page(picture(), samples(), days=35))


@pytest.fixture
def crowded(browser: Browser, tmp_path: Path) -> Browser:
    return show(browser, tmp_path, page(*crowd(3), days=35))


def show(browser: Browser, folder: Path, text: str) -> Browser:
    file = folder / "index.html"
    file.write_text(text, encoding="utf-8")
    browser.told.clear()
    browser.width(1000)
    browser.scheme("light")
    browser.open(file.as_uri())
    return browser


def test_the_console_is_silent_and_nothing_is_loaded_from_elsewhere(shown: Browser) -> None:
    assert shown.run("document.querySelectorAll('svg.chart path.used').length") == 1
    assert shown.complaints == []
    assert [url for url in shown.asked_for if not url.startswith(("file:", "data:"))] == []


def test_everything_can_be_reached_and_opened_by_keyboard(shown: Browser) -> None:
    wanted = shown.run("document.querySelectorAll('a[href], summary').length")
    reached = []
    for _ in range(wanted):
        shown.press("Tab")
        reached.append(shown.run("document.activeElement.textContent"))
        assert shown.run("document.activeElement.matches(':focus-visible')")
        if shown.run("document.activeElement.tagName") == "SUMMARY":
            shown.press("Enter")
    assert len(set(reached)) == wanted
    assert reached[0] == "Skip to the content"
    assert shown.run("[...document.querySelectorAll('details')].every(one => one.open)")


def test_the_first_key_can_skip_to_the_content(shown: Browser) -> None:
    shown.press("Tab")
    assert shown.run("document.activeElement.getBoundingClientRect().left") >= 0
    shown.press("Enter")
    assert shown.run("location.hash") == "#main"


@pytest.mark.parametrize("pixels", [360, 800, 1000, 1130, 1400])
def test_everything_is_seen_at_a_width_without_scrolling_sideways(
    crowded: Browser, pixels: int, tmp_path: Path
) -> None:
    crowded.width(pixels)
    crowded.picture(tmp_path / f"{pixels}.png")
    crowded.run("document.querySelector('details:has(table)').open = true")
    assert crowded.run("document.documentElement.scrollWidth <= window.innerWidth")
    cells = "[...document.querySelectorAll('table td, .times span, .values span')].filter(one => one.offsetParent)"
    assert crowded.run(f"{cells}.length") > 100
    outside = f"{cells}.filter(one => one.getBoundingClientRect().right > window.innerWidth).length"
    assert crowded.run(outside) == 0
    assert (
        crowded.run(f"{cells}.filter(one => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).length")
        == 0
    )
    sizes = f"Math.min(...{cells}.map(one => parseFloat(getComputedStyle(one).fontSize)))"
    assert crowded.run(sizes) >= LEAST
    assert crowded.run("document.querySelectorAll('svg text').length") == 0, (
        "it would shrink with the drawing"
    )


def test_a_long_name_is_whole_on_a_phone_and_hides_no_number_on_a_screen(crowded: Browser) -> None:
    link = f"[...document.querySelectorAll('th a')].find(one => one.textContent == '{LONG}')"
    crowded.width(360)
    assert crowded.run(
        f"{link}.scrollWidth <= {link}.clientWidth || getComputedStyle({link}).overflow != 'hidden'"
    )
    crowded.width(1400)
    assert crowded.run(f"{link}.closest('th').offsetWidth") < 300
    assert crowded.run(f"{link}.closest('th').title") == LONG


@pytest.mark.parametrize("pixels", [360, 1400])
def test_a_table_is_one_for_who_hears_it_however_it_is_laid_out(shown: Browser, pixels: int) -> None:
    shown.width(pixels)
    nodes = [node for node in shown.ask("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
    roles = [node["role"]["value"] for node in nodes]
    assert roles.count("rowheader") >= 3
    names = [node["name"]["value"] for node in nodes if node["role"]["value"] == "columnheader"]
    assert {"VO", "servers", "cores", "ERROR"} <= set(names)


def test_it_is_dark_where_that_is_asked_for(shown: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    assert shown.run(ground) == "rgb(255, 255, 255)"
    shown.scheme("dark")
    assert max(int(part) for part in shown.run(ground)[4:-1].split(",")) < 60


def test_a_page_that_is_long_open_asks_to_be_loaded_again(shown: Browser) -> None:
    old = "document.querySelector('.old')"
    assert shown.run(f"getComputedStyle({old}).visibility") == "hidden"
    shown.run(f"{old}.getAnimations()[0].finish()")
    assert shown.run(f"getComputedStyle({old}).visibility") == "visible"


def test_what_is_drawn_has_a_name_for_who_cannot_see_it(shown: Browser) -> None:
    nodes = shown.ask("Accessibility.getFullAXTree")["nodes"]
    images = [
        node["name"]["value"] for node in nodes if node.get("role", {}).get("value") in ("image", "img")
    ]
    assert images == ["cms: 120 cores in use now, 200 at most, with a quota of 200"]

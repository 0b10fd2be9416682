"""``osg-site-iaas init``: from a folder or a server, to a file that was not there, or an error in words."""

from __future__ import annotations

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from osg_site_iaas.cli import topology_source
from osg_site_iaas.cli.main import main
from osg_site_iaas.declaration import load

CASES = Path(__file__).resolve().parents[3] / "tests" / "cases" / "topology"


@pytest.fixture(autouse=True)
def no_installed_lists(monkeypatch, tmp_path):
    monkeypatch.setattr(topology_source, "_INSTALLED", (tmp_path / "none", tmp_path / "none"))


def init(*words: str, topology: object = CASES, resource: str = "Example-Cloud") -> int:
    return main(["init", "--topology", str(topology), "--resource", resource, *words])


def test_the_file_passes_the_check_and_is_the_same_each_time(tmp_path, capsys):
    one, other = tmp_path / "one.yml", tmp_path / "other.yml"
    assert init("--all", "--output", str(one)) == 0
    assert "16 VOs, 13 access lines, 2 token issuers; 2 switched off" in capsys.readouterr().err
    assert init("--all", "--output", str(other)) == 0
    assert main(["check", str(one)]) == 0
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.yml", "other.yml"]


def test_standard_output_holds_the_file_alone(capsys):
    assert init("--vo", "nova", "--vo", "CMS", "--cloud", "mine") == 0
    shown = capsys.readouterr()
    site = load.report_bytes("site.yml", shown.out.encode()).site
    assert [vo.name for vo in site.vos] == ["cms", "nova"]
    assert site.cloud.name == "mine"
    assert "2 VOs" in shown.err


def test_the_supported_vos_are_those_that_own_the_resource_or_its_group(capsys):
    assert init("--all-supported", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert [(vo["name"], vo["reason"]) for vo in summary["vos"]] == [
        ("cms", "owns 60 % of Example-Cloud"),
        ("ligo", "owns 100 % of Example-CE"),
    ]
    assert "Gone owns 30 % of Example-Cloud, and Topology has no such VO" in summary["reviews"]
    assert summary["text"].startswith("# site.yml of Example-Cloud")
    assert (summary["output"], summary["fqdn"]) == (None, "cloud.example.org")


def test_a_file_that_is_there_is_left_alone_unless_forced_and_then_kept(tmp_path, capsys):
    path = tmp_path / "site.yml"
    path.write_text("mine")
    assert init("--all", "--output", str(path)) == 1
    assert "it exists already" in capsys.readouterr().err
    assert path.read_text() == "mine"
    for spare in ("site.yml.bak", "site.yml.bak2"):
        assert init("--vo", "cms", "--output", str(path), "--force") == 0
        assert (tmp_path / spare).exists()
    assert (tmp_path / "site.yml.bak").read_text() == "mine"
    assert load.check(path) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_the_file_is_as_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        assert init("--vo", "cms", "--output", str(tmp_path / "site.yml")) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "site.yml").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "no VO was asked for"),
        (["--vo", "Novva", "--vo", "zzz"], "'Novva': did you mean 'Nova'?; 'zzz': nothing like it"),
        (["--vo", "cms", "--output", "/nonexistent/site.yml"], "its folder does not exist"),
        (["--vo", "cms", "--output", "/"], "it is a folder"),
        (["--vo", "cms", "--vo-client", "/nonexistent"], "voms-mapfile-default: it cannot be read"),
        (["--vo", "cms", "--fqdn", "not a host"], "its host name 'not a host' is none"),
        (["--vo", "cms", "--cloud", ""], "nothing was"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(words, said, capsys):
    assert init(*words) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_without_owners_all_supported_is_an_error(capsys):
    assert init("--all-supported", resource="Lonely Squid") == 1
    assert "names no VO that owns 'Lonely Squid'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "topology, said",
    [
        ("/nonexistent", "it is no folder"),
        ("http://topology.example.org", "is not served over https"),
        ("https://me:secret@topology.example.org", "has no user, password"),
        ("https://topology.example.org/?a=b", "has no user, password"),
        ("gopher://topology.example.org", "is not served over https"),
    ],
)
def test_where_topology_cannot_be_read_from(topology, said, capsys):
    assert init("--vo", "cms", topology=topology) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert "secret" not in shown.err


def test_a_folder_that_lacks_a_document_names_it(tmp_path, capsys):
    (tmp_path / "rgsummary.xml").write_bytes((CASES / "rgsummary.xml").read_bytes())
    assert init("--vo", "cms", topology=tmp_path) == 1
    assert (
        f"{tmp_path}/vosummary.xml: it cannot be read: No such file or directory" in capsys.readouterr().err
    )


class Topology(BaseHTTPRequestHandler):
    """The two documents as Topology serves them, and a few ways to serve them badly."""

    def do_GET(self):
        how, _, path = self.path.lstrip("/").partition("/")
        name = path.split("/")[0]
        if how == "gone":
            self.send_error(503)
        elif how == "away":
            self.send_response(302)
            self.send_header("Location", "http://192.0.2.1/")
            self.end_headers()
        elif how == "round":
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
        elif how == "moved":
            self.send_response(302)
            self.send_header("Location", f"/good/{path}")
            self.end_headers()
        else:
            body = (
                b"<!DOCTYPE html><html>down</html>" if how == "page" else (CASES / f"{name}.xml").read_bytes()
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + (99 if how == "short" else 0)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Topology)
    thread = threading.Thread(target=serving.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{serving.server_port}"
    serving.shutdown()
    serving.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["good", "good/", "good/rgsummary/xml", "moved"])
def test_topology_is_read_from_its_service(server, path, capsys):
    lists = ["--vo-client", str(CASES / "vo-client")]
    assert init("--vo", "cms", *lists, topology=f"{server}/{path}") == 0
    words = capsys.readouterr().out
    assert "/cms/*" in words
    assert f"from OSG Topology ({server}/{path.split('/')[0]})" in words.replace("\n# ", " ")


def test_without_vo_client_that_is_said(server, capsys):
    assert init("--vo", "cms", topology=f"{server}/good") == 0
    assert "vo-client was not at hand" in capsys.readouterr().out


@pytest.mark.parametrize(
    "how, said",
    [
        ("gone", "the server answers 503"),
        ("page", "it is a web page"),
        ("short", "it cannot be read: "),
        ("round", "it redirects without an end"),
        ("away", "http://192.0.2.1/: it decides who may enter, and is not served over https"),
    ],
)
def test_a_service_that_serves_badly_is_said_in_words(server, how, said, capsys):
    assert init("--vo", "cms", topology=f"{server}/{how}") == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""


def test_a_service_that_serves_too_much_or_too_slowly_is_cut_off(server, monkeypatch, capsys):
    monkeypatch.setattr(topology_source, "LARGEST", 1000)
    assert init("--vo", "cms", topology=f"{server}/good") == 1
    assert "it is larger than" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setattr(topology_source, "_WHOLE", -1.0)
    assert init("--vo", "cms", topology=f"{server}/good") == 1
    assert "it took longer than" in capsys.readouterr().err


def test_a_service_that_is_not_there_is_said_in_words(capsys):
    assert init("--vo", "cms", topology="http://127.0.0.1:9") == 1
    assert "Connection refused" in capsys.readouterr().err

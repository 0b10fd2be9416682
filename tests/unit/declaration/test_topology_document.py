"""XML from elsewhere: what is no document of Topology is refused in words, whatever it is."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.declaration.topology import document, organisations, resources, voclient
from osg_site_iaas.errors import SiteError

BOMB = b"""<?xml version="1.0"?><!DOCTYPE VOSummary [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><VOSummary><VO><Name>&b;</Name></VO></VOSummary>"""
FILE = b'<!DOCTYPE VOSummary [<!ENTITY x SYSTEM "file:///etc/hostname">]><VOSummary><VO>&x;</VO></VOSummary>'


@pytest.mark.parametrize(
    "data, why",
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b"<VOSummary><VO>", "its XML breaks off at line 1, column 16: no element found"),
        (b"<VOSummary></VO>", "mismatched tag"),
        (b"plain words", "its XML breaks off at line 1, column 1"),
        (b"<VOSummary>\x00</VOSummary>", "its XML breaks off"),
        (b"<VOSummary>\xff</VOSummary>", "its XML breaks off"),
        (b"<VOSummary/><VOSummary/>", "junk after document element"),
        (b"<ResourceSummary/>", "its root element is <ResourceSummary>, not <VOSummary>"),
        (b"<!DOCTYPE html><html><body>503</body></html>", "it is a web page"),
        (b"<html><body>Moved</body></html>", "it is a web page, not <VOSummary>"),
        (
            b'<?xml version="1.0" encoding="klingon"?><VOSummary/>',
            "its encoding cannot be read: unknown encoding: klingon",
        ),
        (b"<VOSummary>&nbsp;</VOSummary>", "undefined entity"),
        (BOMB, "it declares a document type"),
        (FILE, "it declares a document type"),
        (b"<VOSummary>" + b"<a>" * 100 + b"</a>" * 100 + b"</VOSummary>", "nested more than 64 deep"),
    ],
)
def test_what_is_no_document_of_topology_is_refused_with_the_reason(data, why):
    with pytest.raises(SiteError) as refused:
        document.parse(data, "vosummary.xml", "VOSummary")
    assert why in refused.value.what
    assert refused.value.where == "vosummary.xml"
    assert "/vosummary/xml" in str(refused.value.todo)


def test_a_document_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(document, "LARGEST", 1024 * 1024)
    with pytest.raises(SiteError, match="larger than 1 MiB"):
        document.parse(b"<VOSummary>" + b" " * 1024 * 1024 + b"</VOSummary>", "x", "VOSummary")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_every_usual_encoding_is_read(encoding):
    words = f'<?xml version="1.0" encoding="{encoding}"?><VOSummary><VO><Name>São</Name></VO></VOSummary>'
    (vo,) = organisations.read(words.encode(encoding), "x")
    assert vo.name == "São"


@pytest.mark.parametrize(
    "read, root", [(resources.read, "ResourceSummary"), (organisations.read, "VOSummary")]
)
def test_a_document_with_nothing_in_it_is_refused(read, root):
    with pytest.raises(SiteError, match=r"it has no (resource|VO)"):
        read(f"<{root}/>".encode(), "x")


def test_what_topology_does_not_know_is_absent():
    root = document.parse(
        b"<VOSummary><a>(Information not available)</a><b/><c> x\n y </c></VOSummary>", "x", "VOSummary"
    )
    assert [document.text(root, name) for name in "abcd"] == [None, None, "x y", None]


def test_a_line_of_text_has_no_line_ends_and_no_control_characters():
    assert document.clean(" a\r\n\tb\x85c\u2028d\x07e\ud800") == "a b c d\ufffde\ufffd"


@given(st.text(max_size=80))
def test_cleaned_text_is_one_printable_line(words):
    made = document.clean(words)
    assert made.isprintable()
    assert made == made.strip()
    assert len(made.splitlines()) <= 1


TAGS = ["VOSummary", "VO", "Name", "ID", "ParentVO", "ReportingGroups", "ReportingGroup", "FQANs", "FQAN", "GroupName",
        "Role",
        "Credentials", "TokenIssuers", "TokenIssuer", "URL", "Subject", "Active", "ResourceSummary", "ResourceGroup",
        "Resources", "Resource", "VOOwnership", "Ownership", "Percent", "FQDN", "html"]  # fmt: skip
pieces = st.one_of(
    st.sampled_from(TAGS).map(lambda tag: f"<{tag}>"),
    st.sampled_from(TAGS).map(lambda tag: f"</{tag}>"),
    st.sampled_from(TAGS).map(lambda tag: f"<{tag}/>"),
    st.sampled_from(
        ["<!DOCTYPE a [", "]>", "<![CDATA[", "]]>", "<!--", "-->", "&amp;", "&#0;", "&x;", "<?xml ?>"]
    ),
    st.text(max_size=8),
)


@given(st.lists(pieces, max_size=30).map("".join), st.sampled_from(["utf-8", "utf-16", "latin-1"]))
def test_no_bytes_bring_anything_but_a_site_error(words, encoding):
    data = words.encode(encoding, "replace")
    for read in (resources.read, organisations.read):
        for wrapped in (data, b"<VOSummary>" + data + b"</VOSummary>"):
            with contextlib.suppress(SiteError):
                assert read(wrapped, "x")


@given(st.binary(max_size=200))
def test_no_mapfile_brings_anything_but_a_site_error(data):
    with contextlib.suppress(SiteError):
        assert voclient.read(data, ["a", "..", "", "b/c"], "mapfile").voms == ("a",)


def test_a_mapfile_is_read_as_lcmaps_reads_it():
    words = (
        b'\xef\xbb\xbf# comment\r\n"/cms/*" cmsuser\r\n\r\n  /atlas/Role=pilot   usatlas \n"/b/*"\n"/*" all\n'
    )
    client = voclient.read(words, [], "map")
    assert [(line.pattern, line.account, line.line) for line in client.lines] == [
        ("/cms/*", "cmsuser", 2),
        ("/atlas/Role=pilot", "usatlas", 4),
    ]
    assert [words.split(": ")[0] for words in client.strange] == ["map:5", "map:6"]

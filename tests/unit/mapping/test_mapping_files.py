"""The table as files of other software: read as they are read, they let in nobody else and refuse nobody else."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.declaration import fqan
from osg_site_iaas.mapping import files
from osg_site_iaas.mapping.bans import Ban, Bans
from osg_site_iaas.mapping.credential import Certificate, Token
from osg_site_iaas.mapping.table import Table

BOOK = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "cases" / "mapping" / "decisions.yml").read_text("utf-8")
)
LINE = re.compile(r'"((?:[^"\\]|\\.)*)" (\S+)')


def read(words: str) -> list[tuple[str, str]]:
    lines = [line for line in words.splitlines() if not line.startswith("#")]
    return [(re.sub(r"\\(.)", r"\1", LINE.fullmatch(line)[1]), LINE.fullmatch(line)[2]) for line in lines]


def as_lcmaps_does(table: Table, bans: Bans, credential: Certificate):
    """What a compute element does with the files: bans, then persons, then FQANs, the first line that fits."""
    longs = [long for long in map(fqan.long_form, credential.fqans) if long is not None]
    banned = [name for name, _ in read(files.ban_voms_mapfile(table, bans))]
    if any(credential.dn == dn for dn, _ in read(files.ban_mapfile(table, bans))):
        return None
    if any(fnmatch.fnmatchcase(long, name) for name in banned for long in longs):
        return None
    for dn, account in read(files.grid_mapfile(table, bans)):
        if dn == credential.dn:
            return account
    for long in longs:
        for name, account in read(files.voms_mapfile(table, bans)):
            if fnmatch.fnmatchcase(long, name):
                return None if account == files.SHUT else account
    return None


def as_the_site_does(table: Table, bans: Bans, credential):
    who = table.who(credential)
    return who.vo if who is not None and bans.hit(credential, who.vo) is None else None


fqans = st.sampled_from([case["fqans"] for case in BOOK["cases"] if "fqans" in case]).flatmap(st.sampled_from)
dns = st.sampled_from([case["dn"] for case in BOOK["cases"] if "dn" in case] + ["/CN=x"])
some_bans = st.lists(
    st.one_of(
        st.builds(Ban, dn=dns),
        st.builds(Ban, fqan=st.sampled_from(["/cms/Role=production", "/fermilab/*", "/atlas/*Role=*"])),
        st.builds(Ban, vo=st.sampled_from(["cms", "fermilab", "ligo", "open"])),
        st.builds(
            Ban,
            issuer=st.just("https://issuer.example.org/igwn"),
            subject=st.sampled_from([None, "pilot@example.org"]),
        ),
    ),
    max_size=2,
).map(lambda found: Bans(tuple(found)))


@given(st.lists(fqans, max_size=3), dns, some_bans)
def test_a_compute_element_with_these_files_decides_as_the_table(site_of, names, dn, bans):
    table = Table.of(site_of(BOOK["vos"]))
    credential = Certificate(dn.replace("/Email=", "/emailAddress="), tuple(names))
    assert as_lcmaps_does(table, bans, credential) == as_the_site_does(table, bans, credential)


def test_a_token_that_htcondor_maps_is_one_that_the_table_maps_so(site_of):
    issuers = [
        "https://a.example.org",
        "https://a.example.org/b",
        "https://aXexample.org",
        "https://c.example.org",
    ]
    vos = {
        "one": [{"issuer": issuers[0], "subject": "p.ilot@x"}, {"issuer": issuers[0]}],
        "two": [
            {"issuer": issuers[1], "subject": "s"},
            {"issuer": issuers[1], "scope": "w"},
            {"issuer": issuers[1]},
        ],
        "off": {"enabled": False, "access": [{"issuer": issuers[3]}]},
    }
    table = Table.of(site_of(vos))
    bans = Bans((Ban(issuer=issuers[0], subject="bad"),))
    words = files.scitokens_mapfile(table, bans)
    rules = [
        re.fullmatch(r"SCITOKENS /(.*)/ (\S+)", line).groups()
        for line in words.splitlines()
        if line[0] != "#"
    ]
    mapped = {}
    for issuer in issuers:
        for subject in ("p.ilot@x", "pXilot@x", "s", "t", "bad"):
            name = f"{issuer},{subject}"
            account = next((to for rule, to in rules if re.search(rule, name)), None)
            expected = as_the_site_does(table, bans, Token(issuer, subject))
            assert account in (expected, None, files.SHUT)
            mapped[name] = account
    assert mapped["https://a.example.org,pXilot@x"] == "one"
    assert mapped["https://a.example.org/b,s"] == "two"
    assert mapped["https://a.example.org/b,t"] is None
    assert mapped["https://c.example.org,s"] == files.SHUT
    assert words.count("# left out") == 2


def test_what_a_mapfile_would_misread_is_left_out_or_quoted(site_of):
    table = Table.of(site_of({"a": [{"dn": "/CN=*"}, {"dn": '/CN=say "hi" \\ bye'}, {"dn": "/CN=São"}]}))
    words = files.grid_mapfile(table)
    assert [dn for dn, _ in read(words)] == ['/CN=say "hi" \\ bye', "/CN=S\\xC3\\xA3o"]
    assert "# left out, as * ? and [ stand for other letters in this file: /CN=*" in words


def test_accounts_may_be_chosen(site_of):
    table = Table.of(
        site_of({"cms": [{"fqan": "/cms/Role=production", "role": "manager"}, {"fqan": "/cms/*"}]})
    )
    words = files.voms_mapfile(
        table, account=lambda line: f"{line.vo.name}{'prod' if line.access.role == 'manager' else ''}"
    )
    assert read(words) == [("/cms/Role=production/Capability=NULL", "cmsprod"), ("/cms/*", "cms")]


@pytest.mark.parametrize("name", sorted(files.FILES))
def test_every_file_says_who_wrote_it_and_ends_with_a_line_end(name, site_of):
    words = files.FILES[name](Table.of(site_of(BOOK["vos"])), Bans())
    assert words.startswith("# Written by osg-site-iaas")
    assert words.endswith("\n")

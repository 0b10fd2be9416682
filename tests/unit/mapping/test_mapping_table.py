"""Who a credential is: the order of the table, and what may never match."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.declaration import fqan
from osg_site_iaas.errors import DeclarationError
from osg_site_iaas.mapping.credential import Certificate, Credential, Token, usual_dn
from osg_site_iaas.mapping.table import Table, group_fits, problems, unreachable

BOOK = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "cases" / "mapping" / "decisions.yml").read_text("utf-8")
)


def credential(case: dict) -> Credential:
    if "issuer" in case:
        groups, scopes = tuple(case.get("groups", ())), tuple(case.get("scopes", ()))
        return Token(case["issuer"], case.get("subject", "somebody"), groups, scopes)
    return Certificate(case.get("dn", "/DC=org/DC=example/CN=Somebody"), tuple(case.get("fqans", ())))


@pytest.mark.parametrize("case", BOOK["cases"], ids=lambda case: case["says"])
def test_decisions(case, site_of):
    decision = Table.of(site_of(BOOK["vos"])).decide(credential(case))
    line = decision.match.at.line if decision.match else None
    assert case["line"] == line, decision.reason
    assert case.get("allowed", case["line"] is not None) == decision.allowed
    for name in ("role", "project", "ec2_keys"):
        if name in case:
            assert case[name] == getattr(decision.match, name)


def test_who_is_nobody_for_a_disabled_vo(site_of):
    table = Table.of(site_of({"dune": {"enabled": False, "access": [{"fqan": "/dune/*"}]}}))
    assert table.who(Certificate("/CN=x", ("/dune",))) is None
    assert "disabled" in table.decide(Certificate("/CN=x", ("/dune",))).reason


@pytest.mark.parametrize(
    "pattern, why",
    [
        ("cms/*", "starts with /"),
        ("/*", "name one VO in full"),
        ("/cms*", "name one VO in full"),
        ("/*/Role=pilot", "name one VO in full"),
        ("/c*s/Role=pilot", "name one VO in full"),
        ("/Role=pilot", "name one VO in full"),
        ("/cms/[a-z]*", "* stands for any characters"),
        ("/cms/?", "* stands for any characters"),
        ("/cms/\n", "* stands for any characters"),
        ("/cms//x", "empty part"),
        ("/cms/", "empty part"),
        ("/cms/Capability=NULL/Role=pilot", "the order is"),
    ],
)
def test_a_pattern_that_would_let_in_others_is_refused_with_its_place(pattern, why, site_of):
    site = site_of({"other": [{"fqan": "/other/*"}], "cms": [{"fqan": pattern}]})
    (found,) = problems(site)
    assert (found.line, found.path) == (2, "vos.cms.access[0].fqan")
    assert why in found.what
    with pytest.raises(DeclarationError, match=r"site\.yml:2"):
        Table.of(site)


def test_lines_that_never_decide_are_found(site_of):
    lines = {
        "fermilab": [{"fqan": "/fermilab/*"}, {"dn": "/CN=a"}, {"issuer": "https://i.example.org"}],
        "nova": [
            {"fqan": "/fermilab/nova/*"},
            {"dn": "/CN=a"},
            {"issuer": "https://i.example.org", "subject": "s"},
            {"issuer": "https://j.example.org", "subject": "s"},
            {"issuer": "https://j.example.org"},
            {"fqan": "/nova/*"},
        ],
    }
    found = unreachable(Table.of(site_of(lines)))
    assert [problem.line for problem in found] == [4, 5, 6]
    assert "fqan /fermilab/* of VO fermilab, line 1" in found[0].what


word = st.sampled_from(["cms", "cmsfake", "uscms", "a", "cm", "Role", "x-y.z_1"])
fqans = st.builds(
    lambda groups, role, capability: (
        "".join(f"/{g}" for g in groups)
        + (f"/Role={role}" if role else "")
        + (f"/Capability={capability}" if capability else "")
    ),
    st.lists(word, min_size=1, max_size=4),
    st.sampled_from(["", "NULL", "production", "pilot"]),
    st.sampled_from(["", "NULL"]),
)
patterns = st.builds(
    lambda first, rest: f"/{first}{rest}",
    word,
    st.text("/*cmsux=RolepitRNUL", max_size=14),
).filter(lambda text: not fqan.problem(text))


@given(lines=st.lists(patterns, max_size=8), names=st.lists(fqans, max_size=4))
def test_the_first_line_wins_as_in_a_naive_reading(site_of, lines, names):
    table = Table.of(site_of({f"vo{number}": [{"fqan": pattern}] for number, pattern in enumerate(lines)}))
    expected = next(
        (
            number
            for name in names
            for number, pattern in enumerate(lines)
            if fnmatch.fnmatchcase(str(fqan.long_form(name)), fqan.Pattern.of(pattern).long)
        ),
        None,
    )
    match = table.who(Certificate("/CN=x", tuple(names)))
    assert expected == (match.line.order if match else None)


# Many lines that begin and end alike: the index goes by the ends, so that is where it could go wrong.
alike = st.builds(
    lambda middle, end: f"/cms/{middle}{end}",
    st.text("*ab/", max_size=8),
    st.sampled_from(["", "*", "/Role=a", "*a/Role=a", "/Role=a*"]),
).filter(lambda text: not fqan.problem(text))
members = st.builds(
    lambda groups, role: "/cms" + "".join(f"/{g}" for g in groups) + role,
    st.lists(st.text("ab", min_size=1, max_size=4), max_size=3),
    st.sampled_from(["", "/Role=a", "/Role=ab"]),
)


@given(lines=st.lists(alike, max_size=30), names=st.lists(members, max_size=5))
def test_the_index_finds_what_a_loop_over_all_lines_finds_first(site_of, lines, names):
    table = Table.of(site_of({"cms": [{"fqan": pattern} for pattern in lines]}))
    asked = Certificate("/CN=x", tuple(names))
    assert table.decide(asked).match == next(iter(table.fitting(asked)), None)


groups = st.text("/ab*", max_size=6)
scopes = st.lists(st.sampled_from(["a", "b", "c"]), max_size=3)
token_lines = st.builds(
    lambda subject, group, scope: {
        "issuer": "https://i.example.org", "subject": subject, "group": group,
        "scope": None if scope is None else " ".join(scope),
    },
    st.sampled_from([None, "s", "t"]),
    st.none() | groups,
    st.none() | scopes,
)  # fmt: skip


@given(
    lines=st.lists(token_lines, max_size=20),
    asked=st.builds(
        Token,
        st.just("https://i.example.org"),
        st.sampled_from(["s", "u"]),
        st.lists(st.text("/ab", max_size=6), max_size=4).map(tuple),
        scopes.map(tuple),
    ),
)
def test_the_index_finds_what_a_loop_over_all_lines_of_tokens_finds_first(site_of, lines, asked):
    table = Table.of(site_of({"cms": lines}))
    assert table.decide(asked).match == next(iter(table.fitting(asked)), None)


@given(patterns, fqans)
def test_no_pattern_takes_an_fqan_of_another_vo(pattern, name):
    made = fqan.Pattern.of(pattern)
    if made.matches(str(fqan.long_form(name))):
        assert name == f"/{made.vo}" or name.startswith(f"/{made.vo}/")


@given(patterns, patterns, fqans)
def test_a_pattern_that_covers_another_takes_whatever_it_takes(one, other, name):
    wide, narrow = fqan.Pattern.of(one), fqan.Pattern.of(other)
    long = str(fqan.long_form(name))
    if wide.covers(narrow) and narrow.matches(long):
        assert wide.matches(long)


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), st.text("ab", max_size=12))
def test_pieces_fit_as_a_glob_does(pieces, text):
    assert fnmatch.fnmatchcase(text, "*".join(pieces)) == fqan.fits(tuple(pieces), text)


@given(st.text(max_size=40))
def test_any_text_is_an_fqan_or_is_not_and_nothing_breaks(text):
    long = fqan.long_form(text)
    assert long is None or (long.startswith("/") and fqan.long_form(long) == long)
    assert isinstance(fqan.problem(text), str)


@given(st.text(max_size=60))
def test_the_usual_spelling_of_a_dn_is_stable_and_printable(text):
    once = usual_dn(text)
    assert once.isascii()
    assert once.isprintable()
    assert once == usual_dn(once)


def test_a_group_of_a_token_is_no_group_that_begins_alike():
    assert group_fits("/cms/*", "/cms")
    assert group_fits("/cms/*", "/cms/pilots/")
    assert group_fits("/cms", "/cms")
    assert not group_fits("/cms/*", "/cmsfake")
    assert not group_fits("/cms", "/cms/pilots")

"""From Topology to a first site.yml: whose an FQAN is, in which order, and that the file is in order."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osg_site_iaas.declaration.load import report_bytes
from osg_site_iaas.declaration.topology import naming, organisations, resources, text, voclient
from osg_site_iaas.declaration.topology.draft import draft, supported
from osg_site_iaas.declaration.topology.organisations import Attribute, Issuer, Organisation
from osg_site_iaas.declaration.topology.resources import Resource
from osg_site_iaas.declaration.topology.voclient import MapLine, VOClient
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping.credential import Certificate
from osg_site_iaas.mapping.table import Table, unreachable

ROOT = Path(__file__).resolve().parents[3]
CASES = ROOT / "tests" / "cases" / "topology"
REAL = ROOT.parent / "shared" / "data" / "osg"
HERE = Resource("Example-Cloud", "Example", "Example University", "cloud.example.org", services=("CE",))


def read(folder: Path):
    client = voclient.read(
        (folder / "vo-client" / "voms-mapfile-default").read_bytes(),
        [entry.name for entry in (folder / "vo-client" / "vomsdir").iterdir()],
        "voms-mapfile-default",
    )
    every = resources.read((folder / "rgsummary.xml").read_bytes(), "rgsummary.xml")
    return every, organisations.read((folder / "vosummary.xml").read_bytes(), "vosummary.xml"), client


@pytest.fixture(scope="module")
def real():
    if not (REAL / "vosummary.xml").is_file():
        pytest.skip("the real documents of Topology are not beside the repository")
    return read(REAL)


NOTHING = VOClient()


def written(vos, client=NOTHING, chosen=None, **more):
    return text.render(draft(HERE, chosen or vos, vos, client, **more), source="a snapshot", cloud="example")


def site(words: str):
    report = report_bytes("site.yml", words.encode())
    assert report.problems == ()
    return report.site


def access(words: str, vo: str):
    return [line.fqan or (line.issuer, line.subject) for line in site(words).vo(vo).access]


def test_the_small_documents_give_exactly_this_file():
    every, vos, client = read(CASES)
    resource = resources.find(every, "Example-Cloud", "x")
    words = text.render(
        draft(resource, vos, vos, client, reasons=supported(resource, every)),
        source="a snapshot",
        cloud="openstack",
    )
    assert words == (CASES / "site.yml").read_text("utf-8")
    assert unreachable(Table.of(site(words))) == []


def test_all_122_vos_of_the_real_file_are_taken_and_pass_the_check(real):
    every, vos, client = real
    words = text.render(
        draft(resources.find(every, "CIT_CMS_T2", "x"), vos, vos, client), source="x", cloud="x"
    )
    declared = site(words)
    assert len(declared.vos) == 122
    assert unreachable(Table.of(declared)) == []
    assert {vo.reporting_name or vo.name for vo in declared.vos} == {vo.name for vo in vos}
    assert sorted(vo.name for vo in declared.vos if not vo.enabled) == sorted(
        naming.slug(vo.name) for vo in vos if not vo.active
    )


@pytest.mark.parametrize(
    "fqan, vo",
    [
        ("/fermilab/nova/Role=pilot", "nova"),
        ("/fermilab/Role=pilot", "fermilab"),
        ("/fermilab/uboone", "microboone"),
        ("/osg/ligo/Role=x", "ligo"),
        ("/osg", "osg"),
        ("/ops/Role=lcgadmin", "ops"),
        ("/enmr.eu/amber", "enmr"),
        ("/vo.cta.in2p3.fr", "cta"),
        ("/cms/uscms/Role=pilot", "cms"),
        ("/GLOW", "glow"),
        ("/glow", None),
        ("/amber", None),
        ("/belle/Role=production", "belle"),
        ("/belle/Role=lcgadmin", None),
        ("/virgo", None),
    ],
)
def test_real_members_come_to_their_own_vo(real, fqan, vo):
    every, vos, client = real
    words = text.render(
        draft(resources.find(every, "CIT_CMS_T2", "x"), vos, vos, client), source="x", cloud="x"
    )
    who = Table.of(site(words)).who(Certificate("/CN=x", (fqan,)))
    assert (who.vo if who else None) == vo


def test_every_kind_of_real_resource_gives_a_file_or_a_reason(real):
    every, vos, client = real
    for resource in every[::40]:
        owners = supported(resource, every)
        chosen = [vo for vo in vos if vo.name in owners] or list(vos[:3])
        if (resource.fqdn or "").replace(".", "").isdigit():
            continue  # an address: the test for those is below
        made = draft(resource, chosen, vos, client, reasons=owners)
        assert site(text.render(made, source="x", cloud="x")).site.resource == resource.name


def vo(number, name, *fqans, parent=None, issuers=(), active=True):
    attributes = tuple(
        Attribute(*(fqan if isinstance(fqan, tuple) else (fqan, "")), "group") for fqan in fqans
    )
    return Organisation(number, name, None, parent, active, attributes, tuple(issuers))


def test_an_fqan_of_two_vos_goes_to_the_one_it_is_named_after():
    vos = (vo(1, "Fermilab", "/fermilab"), vo(2, "Grid", "/fermilab", parent="Fermilab"))
    assert access(written(vos), "fermilab") == ["/fermilab/*"]
    assert access(written(vos), "grid") == []
    assert "/fermilab/* is claimed by Fermilab too, and was given to it" in written(vos)


def test_else_to_the_child_and_else_to_the_first():
    vos = (vo(1, "Parent", "/x/test"), vo(2, "Child", "/x/test", parent="Parent"), vo(3, "Other", "/x/test"))
    assert access(written(vos), "child") == ["/x/test/*"]
    assert access(written(vos[:1] + vos[2:]), "parent") == ["/x/test/*"]


def test_a_vo_that_was_not_chosen_takes_nothing_and_its_members_are_spoken_of():
    vos = (vo(1, "Fermilab", "/fermilab"), vo(2, "Nova", "/fermilab/nova"))
    words = written(vos, chosen=vos[:1])
    assert access(words, "fermilab") == ["/fermilab/*"]
    assert "members of VOs that are not in this file get in here: Nova" in words


def test_a_narrower_vo_stands_first_and_a_cycle_ends():
    vos = (vo(1, "A", "/a", "/b/in"), vo(2, "B", "/b", "/a/in"), vo(3, "C", "/a/in/deep"))
    names = [entry.name for entry in site(written(vos)).vos]
    assert sorted(names) == ["a", "b", "c"]
    assert names.index("c") < names.index("a")


def test_a_word_without_a_slash_never_lets_in_another_vo():
    vos = (vo(1, "ENMR", "ops", ("mars", "pilot")), vo(2, "Ops", "/ops"))
    words = written(vos, VOClient((MapLine("/ops/*", "ops", 1),)))
    assert access(words, "enmr") == []
    assert "Topology's groups ops, mars were left out" in words


@pytest.mark.parametrize(
    "fqan, pattern",
    [
        ("/x/y", "/x/y/*"),
        (("/x/y", "pilot"), "/x/y/Role=pilot"),
        (("/x/y", "/Role=pilot"), "/x/y/Role=pilot"),
        ("/x/y/Role=pilot", "/x/y/Role=pilot"),
        ("/x/y/", "/x/y/*"),
        ("x/y", "/x/y/*"),
        ("it", "/it/*"),
    ],
)
def test_an_fqan_is_read_in_each_way_that_topology_writes_it(fqan, pattern):
    vos = (vo(1, "It", fqan), vo(2, "X"))
    assert access(written(vos, VOClient(voms=("x",)), chosen=vos[:1]), "it") == [pattern]


def test_a_subject_that_is_not_named_is_said():
    issuers = (Issuer("https://i.example.org", None, "acc"), Issuer("https://i.example.org", "s", "acc"))
    words = written((vo(1, "T", issuers=issuers),))
    assert access(words, "t") == [("https://i.example.org", "s"), ("https://i.example.org", None)]
    assert "every token it issues gets in" in words


def test_an_inactive_vo_is_taken_and_switched_off():
    words = written((vo(1, "Old", "/old", active=False),))
    assert site(words).vo("old").enabled is False
    assert "Topology calls it inactive" in words


def test_a_parent_is_written_as_its_own_entry_would_be():
    vos = (vo(1, "São Root"), vo(2, "Child", parent="São Root"), vo(3, "Lost", parent="Gone"))
    declared = site(written(vos, chosen=vos[1:]))
    assert [entry.parent for entry in declared.vos] == ["sao-root", None]


def test_a_resource_that_is_no_cloud_is_spoken_of():
    resource = Resource("R", "G", None, "r.example.org", services=("Squid",), active=False)
    made = draft(resource, [vo(1, "A")], [vo(1, "A")], VOClient(), fqdn="other.example.org")
    assert len(made.reviews) == 4
    assert made.fqdn == "other.example.org"


@pytest.mark.parametrize("host", [None, "192.0.2.7", "host", "-x.example.org"])
def test_a_resource_without_a_host_name_asks_for_one(host):
    with pytest.raises(SiteError, match="--fqdn"):
        draft(Resource("R", "G", None, host), [vo(1, "A")], [vo(1, "A")], VOClient())


def test_names_that_clash_keep_the_oldest_and_do_not_depend_on_who_was_chosen():
    vos = (vo(7, "A b"), vo(3, "a-b"), vo(9, "A/B"))
    assert naming.slugs((one.id, one.name) for one in vos) == {"a-b": "a-b", "A b": "a-b-7", "A/B": "a-b-9"}
    assert [entry.name for entry in site(written(vos, chosen=[vos[2]])).vos] == ["a-b-9"]


@pytest.mark.parametrize(
    "name, made",
    [("CMS", "cms"), ("São Paulo/T2", "sao-paulo-t2"), ("glast.org", "glast.org"), ("--a  b--", "a-b"), ("!!!", "vo"),
     ("日本", "vo"), ("x" * 70, "x" * 48), ("x" * 47 + " y", "x" * 47)],
)  # fmt: skip
def test_slugs(name, made):
    assert naming.slug(name) == made


def test_a_resource_is_found_by_name_in_any_case_or_by_host_and_else_the_nearest_are_named():
    every, _, _ = read(CASES)
    for name in (
        "Example-Cloud",
        "example-cloud",
        " Example-Cloud ",
        "cloud.example.org",
        "IAAS.example.org",
    ):
        assert resources.find(every, name, "x").name == "Example-Cloud"
    for name, what in [
        ("Exmple-Cloud", "did you mean 'Example-Cloud'"),
        ("Example", "is a resource group.*\n.*'Example-Cloud', 'Example-CE'"),
        ("zzzzz", "Topology has no resource 'zzzzz'"),
        ("ce.example.org", "2 resources are 'ce.example.org'.*\n.*'Example-CE', 'Lonely Squid'"),
    ]:
        with pytest.raises(SiteError, match=what):
            resources.find(every, name, "x")


def test_a_resource_of_a_disabled_group_is_inactive():
    every, _, _ = read(CASES)
    assert [r.active for r in every] == [True, True, False, False]


names = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["CMS", "cms", "no", "1e3", "a: b", "- x", "#", "'", '"', "{", "x y"]),
)
vos_of_anybody = st.lists(
    st.builds(
        Organisation,
        id=st.integers(0, 9),
        name=names.filter(lambda name: name.strip() != ""),
        long_name=st.none() | names,
        parent=st.none() | names,
        active=st.booleans(),
        attributes=st.lists(
            st.builds(
                Attribute,
                group=names | st.sampled_from(["/cms", "/a/b", "/*", "/a/Role=b"]),
                role=names,
                reporting_group=names,
            ),
            max_size=3,
        ).map(tuple),
        issuers=st.lists(
            st.builds(
                Issuer,
                url=names
                | st.sampled_from(["https://a.example.org", "https://a.example.org/b c", "https://é/"]),
                subject=st.none() | names.filter(lambda name: name.strip() != ""),
                account=names,
                description=st.none() | names,
            ),
            max_size=2,
        ).map(tuple),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda one: one.name,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(vos_of_anybody, st.text(min_size=1, max_size=20))
def test_whatever_topology_says_the_file_is_yaml_with_every_vo_and_passes_the_check(vos, source):
    vos = [clean(one) for one in vos]
    vos = list({one.name: one for one in vos}.values())
    words = text.render(draft(HERE, vos, vos, VOClient()), source=source, cloud="x")
    assert len(yaml.safe_load(words)["vos"]) == len(vos)
    declared = site(words)
    assert sorted(entry.reporting_name or entry.name for entry in declared.vos) == sorted(
        one.name for one in vos
    )
    Table.of(declared)


def clean(one: Organisation) -> Organisation:
    """The VO as reading a document gives it: every text on one line, and none of it empty."""
    from dataclasses import replace

    from osg_site_iaas.declaration.topology.document import clean as line

    issuers = tuple(
        replace(
            i,
            url=line(i.url),
            subject=line(i.subject) or None if i.subject else None,
            account=line(i.account),
        )
        for i in one.issuers
    )
    attributes = tuple(
        Attribute(line(a.group), line(a.role), line(a.reporting_group)) for a in one.attributes
    )
    long_name, parent = line(one.long_name or "") or None, line(one.parent or "") or None
    return replace(
        one,
        name=line(one.name) or "x",
        long_name=long_name,
        parent=parent,
        attributes=attributes,
        issuers=issuers,
    )

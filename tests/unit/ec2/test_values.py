"""Ids, filters, pages, tags, rules and launches: values in, values out."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.filters import compile_filters, page
from osg_site_iaas.ec2.ids import Clash, check_id, ec2_id, index, key_pair_id, resolve
from osg_site_iaas.ec2.launch import block_devices, counts, user_data
from osg_site_iaas.ec2.rules import neutron_rules, permissions

UUID = "9356e159-dbe3-4663-9211-ce71f7554bbf"


def code(call) -> str:
    with pytest.raises(Ec2Error) as caught:
        call()
    return caught.value.code


def test_an_id_is_the_start_of_the_uuid():
    assert ec2_id("i", UUID) == "i-9356e159dbe346639"
    assert resolve("i", "i-9356e159dbe346639", [UUID]) == UUID


def test_ids_with_one_start_are_a_clash_and_not_a_guess():
    other = UUID[:-4] + "0000"
    assert code(lambda: resolve("i", ec2_id("i", UUID), [UUID, other])) == "InternalError"
    with pytest.raises(Clash):
        index("i", [UUID, other])


@pytest.mark.parametrize(
    "given_id", ["", "i-", "i-xyz", "vol-9356e159dbe346639", "i-9356e159dbe34663", UUID, "i-1\n"]
)
def test_a_malformed_id_is_said_to_be_so(given_id):
    assert code(lambda: check_id("i", given_id)) == "InvalidInstanceID.Malformed"


def test_key_pairs_of_two_users_have_two_ids():
    assert key_pair_id("a", "k") != key_pair_id("b", "k")


TABLE = {"name": lambda one: one["n"], "many": lambda one: one.get("m"), "flag": lambda one: True}


def passing(*filters, elements=({"n": "abc"}, {"n": "ABC"}, {"n": "a*c", "m": ["x", "y"]})):
    asked = {"Filters": [{"Name": name, "Values": list(values)} for name, values in filters]}
    passes = compile_filters(asked, TABLE, lambda one: one.get("t", {}))
    return [one["n"] for one in elements if passes(one)]


@pytest.mark.parametrize(
    "filters, expected",
    [
        ([], ["abc", "ABC", "a*c"]),
        ([("name", ["abc"])], ["abc"]),
        ([("name", ["a*c"])], ["abc", "a*c"]),
        ([("name", ["a\\*c"])], ["a*c"]),
        ([("name", ["a?c", "ABC"])], ["abc", "ABC", "a*c"]),
        ([("many", ["y"])], ["a*c"]),
        ([("flag", ["true"])], ["abc", "ABC", "a*c"]),
        ([("flag", ["false"])], []),
        ([("name", ["a*"]), ("many", ["x"])], ["a*c"]),
        ([("tag:x", ["1"])], []),
    ],
)
def test_filters_are_anded_and_their_values_ored(filters, expected):
    assert expected == passing(*filters)


def test_tags_are_filtered_by_key_and_value():
    elements = [{"n": "1", "t": {"Name": "x"}}, {"n": "2", "t": {"VO": "x"}}]
    assert passing(("tag:Name", ["x"]), elements=elements) == ["1"]
    assert passing(("tag-key", ["VO"]), elements=elements) == ["2"]
    assert passing(("tag-value", ["x"]), elements=elements) == ["1", "2"]


def test_filters_that_make_no_sense_are_refused():
    assert code(lambda: passing(("colour", ["red"]))) == "InvalidParameterValue"
    assert code(lambda: passing(("name", []))) == "InvalidParameterValue"
    assert code(lambda: passing(("name", ["x"] * 201))) == "FilterLimitExceeded"
    assert code(lambda: passing(("name", ["*a" * 30]))) == "InvalidParameterValue"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30), st.text(max_size=30))
def test_a_value_without_wildcards_matches_itself_only(value, other):
    plain = value.replace("*", "").replace("?", "").replace("\\", "") or "x"
    found = passing(("name", [plain]), elements=[{"n": plain}, {"n": other}])
    assert found == [plain] + ([other] if other == plain else [])


@settings(max_examples=60, deadline=None)
@given(st.sets(st.text("abc", min_size=1, max_size=4), max_size=40), st.integers(5, 9))
def test_pages_together_are_the_whole(elements, size):
    whole, seen, token = sorted(elements), [], None
    while True:
        chosen, token = page({"MaxResults": size, "NextToken": token}, whole, str)
        seen.extend(chosen)
        if token is None:
            break
    assert whole == seen


def test_a_page_goes_on_after_an_element_that_is_gone():
    _, token = page({"MaxResults": 5}, list("abcdefg"), str)
    assert page({"NextToken": token}, list("abcdfg"), str)[0] == ["f", "g"]


@pytest.mark.parametrize(
    "token", ["x", "", "e30=", base64.b64encode(json.dumps({"after": 1}).encode()).decode()]
)
def test_a_token_that_was_never_given_is_refused(token):
    if token:
        assert code(lambda: page({"NextToken": token}, ["a"], str)) == "InvalidNextToken"


@pytest.mark.parametrize("limit", [0, 4, 1001, -1])
def test_a_page_has_a_size_that_ec2_allows(limit):
    assert code(lambda: page({"MaxResults": limit}, ["a"], str)) == "InvalidParameterValue"


tag_keys = st.text(min_size=1, max_size=127).filter(
    lambda key: not key.lower().startswith(("aws:", "osg-ec2:"))
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(tag_keys, st.text(max_size=255), max_size=8))
def test_tags_survive_novas_metadata(tags):
    metadata = marks.tags_as_metadata(tags)
    assert tags == marks.tags_of({**metadata, marks.TOKEN: "t"})
    assert all(len(name) <= 255 and len(value) <= 255 for name, value in metadata.items())


@settings(max_examples=150, deadline=None)
@given(tag_keys.filter(lambda key: len(key) < 15), st.text(max_size=15))
def test_tags_survive_neutrons(key, value):
    assert {key: value} == neutron_tags.tags_of({"tags": [neutron_tags.encode(key, value), "not-ec2s"]})


@pytest.mark.parametrize(
    "key, value", [("", "x"), ("aws:x", "x"), ("osg-ec2:token", "x"), ("k", "x" * 256), ("k" * 128, "")]
)
def test_a_tag_that_does_not_fit_is_refused(key, value):
    assert code(lambda: marks.check_tag(key, value)) == "InvalidParameterValue"


def test_more_than_50_tags_are_too_many():
    assert code(lambda: marks.tags_as_metadata({f"k{n}": "" for n in range(51)})) == "TagLimitExceeded"


def test_a_tag_that_finds_a_client_token_fits_nova():
    assert len(marks.token_tag("x" * 64)) <= 60


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["tcp", "udp"]),
    st.tuples(st.integers(1, 65535), st.integers(1, 65535)).map(sorted),
    st.ip_addresses(v=4),
)
def test_a_rule_is_the_same_there_and_back(protocol, ports, address):
    given_one = {
        "IpProtocol": protocol,
        "FromPort": ports[0],
        "ToPort": ports[1],
        "IpRanges": [{"CidrIp": f"{address}/32"}],
    }
    (rule,) = neutron_rules([given_one], "ingress", lambda pair: "")
    (back,) = permissions([{**rule, "id": "1"}], "ingress", {})
    assert given_one == {key: value for key, value in back.items() if value != []}


@pytest.mark.parametrize(
    "low, high, expected",
    [(1, 1, (1, 1)), (2, 5, (2, 5)), (0, 1, None), (3, 2, None), (1, 1001, None), (None, 1, None)],
)
def test_counts_are_ec2s(low, high, expected):
    given_counts = {"MinCount": low, "MaxCount": high}
    if expected is None:
        assert code(lambda: counts(given_counts)) in ("InvalidParameterValue", "MissingParameter")
    else:
        assert expected == counts(given_counts)


def test_user_data_is_base64_of_a_bounded_size():
    text = base64.b64encode(b"x" * 100).decode()
    assert user_data({"UserData": text[:40] + "\n" + text[40:]}) == text
    assert user_data({}) is None
    assert code(lambda: user_data({"UserData": "%%%"})) == "InvalidUserData.Malformed"
    assert (
        code(lambda: user_data({"UserData": base64.b64encode(b"x" * 16385).decode()}))
        == "InvalidParameterValue"
    )


def devices(*mappings, ephemeral=0):
    return block_devices(mappings, "image", {"snap-1": "s1"}, ephemeral, 8)


@pytest.mark.parametrize(
    "mappings, ephemeral, expected",
    [
        ([], 0, []),
        ([{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}], 0, []),
        ([{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}], 5, ["local image", "local blank"]),
        ([{"DeviceName": "/dev/vda", "Ebs": {"DeleteOnTermination": True}}], 0, []),
        ([{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}], 0, ["volume image 20"]),
        ([{"DeviceName": "/dev/vda", "Ebs": {"DeleteOnTermination": False}}], 0, ["volume image 8"]),
        ([{"DeviceName": "/dev/vdb", "Ebs": {"VolumeSize": 3}}], 0, ["local image", "volume blank 3"]),
        (
            [{"DeviceName": "/dev/vdb", "Ebs": {"SnapshotId": "snap-1"}}],
            0,
            ["local image", "volume snapshot"],
        ),
        ([{"DeviceName": "/dev/vdb", "NoDevice": ""}], 0, []),
    ],
)
def test_block_devices_are_novas(mappings, ephemeral, expected):
    found = [
        " ".join(
            str(one[key])
            for key in ("destination_type", "source_type", "volume_size")
            if one.get(key) is not None
        )
        for one in devices(*mappings, ephemeral=ephemeral)
    ]
    assert expected == found


@pytest.mark.parametrize(
    "mapping",
    [
        {"Ebs": {"VolumeSize": 1}},
        {"DeviceName": "/dev/vdb"},
        {"DeviceName": "/dev/vdb", "Ebs": {"Encrypted": False}},
    ],
)
def test_a_mapping_without_what_it_needs_is_refused(mapping):
    assert code(lambda: devices(mapping)) == "MissingParameter"

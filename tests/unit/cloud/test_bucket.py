"""What the members of a VO may have written on its account and buckets."""

import pytest

from osg_site_iaas.cloud.kinds.bucket import REGISTER, names_in, register_header
from osg_site_iaas.cloud.kinds.quota import limit_in


def test_the_register_gives_the_names_that_were_written():
    assert names_in({}) == set()
    names = {"cms-data", "a.b.c", "x00", "y" * 63}
    headers = {register_header(name).title(): name for name in names}
    assert names_in({**headers, "X-Account-Meta-Quota-Bytes": "77", "X-Timestamp": "abc"}) == names


@pytest.mark.parametrize(
    "name", ["%00", "..", "%2e%2e", "a/b", "?x=y", "Data", "ab", "x" * 64, "\x1b[2J", "abc\n", "²³¹", " "]
)
def test_a_name_that_no_bucket_can_have_is_not_in_the_register(name):
    assert names_in({register_header("a"): "cms-data", REGISTER + "b": name}) == {"cms-data"}


@pytest.mark.parametrize(
    "header,limit",
    [("0", 0), ("5242880", 5242880), ("", -1), ("-7", -1), ("²", -1), ("1²", -1), ("٣", -1), ("5 MiB", -1)],
)
def test_a_quota_is_a_number_in_ascii_or_none(header, limit):
    assert limit_in(header) == limit

"""An image's last piece is only given away when the checksum is right."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.cloud import upload
from osg_site_iaas.cloud.upload import Checked, WrongData


def stream(data, checksum, size=None):
    return Checked(io.BytesIO(data), size, checksum, "image")


@given(st.binary(max_size=5000), st.integers(1, 700))
def test_right_data_passes_unchanged(data, block):
    before, upload.BLOCK = upload.BLOCK, block
    try:
        passed = b"".join(stream(data, "sha256:" + hashlib.sha256(data).hexdigest(), len(data)))
    finally:
        upload.BLOCK = before
    assert passed == data


def test_wrong_data_never_passes_whole():
    passed = []
    with pytest.raises(WrongData, match="not the declared one"):
        passed.extend(stream(b"x" * 3 * upload.BLOCK, "sha256:" + "0" * 64))
    assert sum(map(len, passed)) < 3 * upload.BLOCK


def test_data_that_ends_early_is_refused():
    with pytest.raises(WrongData, match="ended after 10 of 20 bytes"):
        list(stream(b"x" * 10, None, 20))


def test_without_a_checksum_anything_of_the_right_length_passes():
    assert b"".join(stream(b"abc", None, 3)) == b"abc"


def test_an_upper_case_checksum_is_the_same():
    assert b"".join(stream(b"abc", "md5:" + hashlib.md5(b"abc").hexdigest().upper())) == b"abc"

"""Secrets are written once, whole, and for their owner alone."""

import stat

import pytest

from osg_site_iaas.cloud import secrets
from osg_site_iaas.declaration.model import Secret
from osg_site_iaas.errors import SiteError


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_generated_password_stays_the_same(tmp_path):
    folder = tmp_path / "new"
    first = secrets.password(folder, "cms-demo", Secret("generated"))
    assert secrets.password(folder, "cms-demo", Secret("generated")) == first
    assert len(first) >= 32


def test_files_and_folder_are_for_the_owner_alone(tmp_path):
    folder = tmp_path / "new"
    secrets.ec2_key(folder, "cms-pilot")
    assert (mode(folder), mode(secrets.key_file(folder, "cms-pilot"))) == (0o700, 0o600)


def test_a_key_comes_back_as_it_was_kept(tmp_path):
    assert secrets.kept_ec2_key(tmp_path, "cms-pilot") is None
    pair = secrets.ec2_key(tmp_path, "cms-pilot")
    assert secrets.kept_ec2_key(tmp_path, "cms-pilot") == pair
    assert len(set(pair)) == 2


def test_a_key_file_is_one_that_aws_tools_read(tmp_path):
    import botocore.session

    access, secret = secrets.ec2_key(tmp_path, "cms-pilot")
    session = botocore.session.Session(profile="cms-pilot")
    session.set_config_variable("credentials_file", str(secrets.key_file(tmp_path, "cms-pilot")))
    found = session.get_credentials()
    assert (found.access_key, found.secret_key) == (access, secret)


def test_a_broken_key_file_is_named_and_not_overwritten(tmp_path):
    path = secrets.key_file(tmp_path, "cms-pilot")
    path.write_text("not a credentials file")
    with pytest.raises(SiteError, match=r"cms-pilot\.ec2"):
        secrets.ec2_key(tmp_path, "cms-pilot")
    assert path.read_text() == "not a credentials file"


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SiteError, match="cannot write the secret"):
        secrets.write(tmp_path / "file" / "x", "y")


def test_secrets_are_taken_from_where_the_declaration_says(tmp_path, monkeypatch):
    (tmp_path / "pw").write_text("from a file\n")
    monkeypatch.setenv("OSG_TEST_SECRET", "from the environment")
    assert secrets.resolve(Secret(f"file:{tmp_path / 'pw'}")) == "from a file"
    assert secrets.resolve(Secret("env:OSG_TEST_SECRET")) == "from the environment"
    monkeypatch.delenv("OSG_TEST_SECRET")
    with pytest.raises(SiteError, match="OSG_TEST_SECRET is not set"):
        secrets.resolve(Secret("env:OSG_TEST_SECRET"))

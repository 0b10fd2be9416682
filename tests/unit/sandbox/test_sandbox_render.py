from __future__ import annotations

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import render
from osg_site_iaas.sandbox.service import ini
from tests.unit.sandbox.boxes import box


def test_ini_writes_truth_in_the_words_services_read():
    assert ini({"DEFAULT": {"a": True, "b": 3}, "empty": {}}) == "[DEFAULT]\na = true\nb = 3\n\n[empty]\n"


def test_options_are_replaced_and_added_without_touching_the_others():
    text = ini({"DEFAULT": {"Keep": "this", "x": 1}, "mapped": {"y": 2}})
    changed = render.override(text, {"DEFAULT": {"x": "9"}, "new": {"z": "a=b%c"}})
    expected = "[DEFAULT]\nKeep = this\nx = 9\n\n[mapped]\ny = 2\n\n[new]\nz = a=b%c\n\n"
    assert changed == expected


def test_overrides_are_read_from_words():
    words = [
        "nova/nova.conf:DEFAULT.cpu=2",
        "nova/nova.conf:DEFAULT.empty=",
        "a/b.conf:filter:s3api.location=x=y.z",
    ]
    assert render.read_overrides(words) == {
        "nova/nova.conf": {"DEFAULT": {"cpu": "2", "empty": ""}},
        "a/b.conf": {"filter:s3api": {"location": "x=y.z"}},
    }


@pytest.mark.parametrize(
    "word", ["", "nova.conf", "nova/nova.conf:cpu=2", "nova/nova.conf:DEFAULT.cpu", ":a.b=c"]
)
def test_a_word_that_is_no_override_is_refused(word):
    with pytest.raises(SandboxError, match=r"FILE:SECTION\.OPTION=VALUE"):
        render.read_overrides([word])


def test_clouds_yaml_has_the_admin_with_a_project_and_of_the_system(tmp_path):
    clouds = render.clouds(box(tmp_path))["clouds"]
    assert set(clouds) == {"sandbox", "sandbox-system"}
    assert clouds["sandbox"]["auth"]["project_name"] == "admin"
    assert clouds["sandbox-system"]["auth"]["system_scope"] == "all"
    assert "project_name" not in clouds["sandbox-system"]["auth"]


def test_the_shell_gets_no_password_and_passes_by_its_proxy(tmp_path):
    plain = render.environment(box(tmp_path), {})
    assert "no_proxy" not in plain
    assert not any(secret in render.exports(plain) for secret in box(tmp_path).secrets.values())
    behind = render.environment(box(tmp_path), {"http_proxy": "x", "no_proxy": "example.org"})
    assert behind["no_proxy"] == "example.org,127.0.0.1"
    again = render.environment(box(tmp_path), {"http_proxy": "x", **behind})
    assert again["no_proxy"] == behind["no_proxy"]


def test_exports_survive_the_shell():
    assert render.exports({"A": "it's $HOME"}) == "export A='it'\"'\"'s $HOME'\n"

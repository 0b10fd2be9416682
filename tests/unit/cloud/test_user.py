"""What Keystone is told of a service user: its description says whether it has a password of ours."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from osg_site_iaas.cloud.kinds.user import User, user_ref
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.model import Change, Op

SITE = """\
version: 1
site: {resource: Test, fqdn: cloud.example.org}
cloud: {name: here}
vos: {cms: {service_users: {pilot: {password: "env:PILOT"}}}}
"""


def body(tmp_path: Path, op: Op, **after: Any) -> dict[str, Any]:
    file = tmp_path / "site.yml"
    file.write_text(SITE)
    work: Any = SimpleNamespace(site=load(file), secrets=tmp_path)
    return User().body(work, Change(op, user_ref("cms-pilot"), after=after))


def test_a_password_that_becomes_declared_is_set_and_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("PILOT", "a word")
    said = body(tmp_path, Op.UPDATE, password=True)
    assert said == {"password": "a word", "description": "service user (password) of cms [osg-site-iaas osg]"}


def test_adopting_a_user_leaves_its_password_and_does_not_say_that_it_is_ours(tmp_path):
    said = body(tmp_path, Op.ADOPT, description="service user of cms [osg-site-iaas osg]")
    assert said == {"description": "service user of cms [osg-site-iaas osg]"}

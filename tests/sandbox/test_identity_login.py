"""A proxy or a token becomes a Keystone token in the right project, through a real Keystone."""

from __future__ import annotations

from tests.sandbox.identity_fixtures import CMS, PILOT, GridSite, grid_site  # noqa: F401


def test_a_voms_proxy_ends_in_its_vos_project(grid_site: GridSite) -> None:  # noqa: F811
    jane = grid_site.user("Jane")
    found = grid_site.proxy_session(grid_site.proxy(jane, CMS))
    token = found.get(
        "/auth/tokens",
        endpoint_filter={"service_type": "identity"},
        headers={"X-Subject-Token": found.get_token()},
    ).json()["token"]
    assert token["project"]["name"] == "cms"
    assert token["user"]["name"] == jane.dn
    assert [role["name"] for role in token["roles"] if role["name"] != "reader"] == ["member"]

"""Signing policies and namespaces files, as grid CAs write them."""

from __future__ import annotations

import pytest

from osg_site_iaas.identity.policy import PolicyError, namespaces, signing_policy

CA = "/C=CH/O=Example/CN=Example CA"
TWO = f"""
# comment
 access_id_CA   X509         '{CA}'
 pos_rights     globus        CA:sign
 cond_subjects  globus     '"/C=CH/O=Example/*" "/DC=ch/DC=example/?U=Users/*"'
 access_id_CA   X509         '/CN=Other CA'
 pos_rights     globus        CA:sign
 cond_subjects  globus     '"/*"'
"""
NAMESPACES = f"""
#NAMESPACES-VERSION: 1.0
TO Issuer "{CA}" \\
  DENY Subject "/C=CH/O=Example/CN=Robot.*"
TO Issuer "{CA}" \\
  PERMIT Subject "/C=CH/O=Example/.*"
TO Issuer SELF PERMIT Subject "/DC=ch/.*"
"""


@pytest.mark.parametrize(
    "subject,allowed",
    [
        ("/C=CH/O=Example/CN=Jane", True),
        ("/DC=ch/DC=example/OU=Users/CN=Jane", True),
        ("/C=CH/O=Example2/CN=Jane", False),
        ("/C=CH/O=Example", False),
        ("/X=1/C=CH/O=Example/CN=Jane", False),
    ],
)
def test_signing_policies_anchor_their_patterns_and_name_their_ca(subject: str, allowed: bool) -> None:
    assert signing_policy(TWO, "f").allows(CA, subject) is allowed


def test_a_block_speaks_only_for_the_ca_it_names() -> None:
    assert signing_policy(TWO, "f").allows("/CN=Other CA", "/DC=org/CN=x")
    assert not signing_policy(TWO, "f").allows("/CN=Third CA", "/DC=org/CN=x")


def test_older_spellings_of_mail_are_the_same_name() -> None:
    text = "access_id_CA X509 '/C=US/Email=ca@example.org'\npos_rights globus CA:sign\n"
    text += "cond_subjects globus '/C=US/*'"
    assert signing_policy(text, "f").allows("/C=US/emailAddress=ca@example.org", "/C=US/CN=x")


def test_without_the_right_to_sign_a_block_allows_nothing() -> None:
    text = f"access_id_CA X509 '{CA}'\ncond_subjects globus '/*'"
    assert not signing_policy(text, "f").allows(CA, "/CN=x")


@pytest.mark.parametrize(
    "text", ["access_id_CA X509", "what is this", "access_id_CA X509 'open", "neg_rights a b"]
)
def test_what_cannot_be_understood_is_an_error(text: str) -> None:
    with pytest.raises(PolicyError, match="f:1"):
        signing_policy(text, "f")


@pytest.mark.parametrize(
    "subject,allowed",
    [
        ("/C=CH/O=Example/CN=Jane", True),
        ("/C=CH/O=Example/CN=Robot 1", False),
        ("/DC=ch/CN=x", True),
        ("/DC=de/DC=ch/CN=x", False),
    ],
)
def test_the_first_namespace_that_matches_decides(subject: str, allowed: bool) -> None:
    assert namespaces(NAMESPACES, "f").allows(CA, subject) is allowed


@pytest.mark.parametrize("text", ["TO Issuer PERMIT", 'TO Issuer SELF PERMIT Subject "("'])
def test_a_namespaces_line_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(PolicyError):
        namespaces(text, "f")

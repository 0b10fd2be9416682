"""Signatures as botocore makes them are verified; anything changed, late or odd is refused in EC2's words."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode, urlsplit

import pytest
from botocore.auth import SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.ec2.auth.request import HttpRequest
from osg_site_iaas.ec2.auth.verify import read_claim, verify
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.protocol.query import parse_form

ACCESS, SECRET = "a1b2c3", "s3cr3t/+x"
HOST = "ec2.example.org:8788"
FORM = {"Action": "DescribeInstances", "Version": "2016-11-15", "Filter.1.Name": "tag:a b", "X": "~é+*/"}


def wire(prepared) -> HttpRequest:
    url = urlsplit(prepared.url)
    body = prepared.body or b""
    body = body.encode() if isinstance(body, str) else body
    headers = {name.lower(): str(value) for name, value in prepared.headers.items()}
    headers.setdefault("host", HOST)
    form = parse_form(url.query.encode())
    form.update(parse_form(body))
    return HttpRequest(prepared.method, url.path, url.query, headers, body, form)


def signed_v4(region="0", service="127", path="/", form=FORM) -> HttpRequest:
    request = AWSRequest("POST", f"https://{HOST}{path}", data=urlencode(form), headers={"Host": HOST})
    SigV4Auth(Credentials(ACCESS, SECRET), service, region).add_auth(request)
    return wire(request.prepare())


def presigned_v4(expires=60) -> HttpRequest:
    request = AWSRequest("GET", f"https://{HOST}/?{urlencode(FORM)}", headers={"Host": HOST})
    SigV4QueryAuth(Credentials(ACCESS, SECRET), "ec2", "RegionOne", expires=expires).add_auth(request)
    return wire(request.prepare())


def signed_v2() -> HttpRequest:
    request = AWSRequest("POST", f"https://{HOST}/", data=dict(FORM), headers={"Host": HOST})
    SigV2Auth(Credentials(ACCESS, SECRET)).add_auth(request)
    return wire(request.prepare())


def check(request: HttpRequest, secret: str = SECRET, at: timedelta = timedelta()) -> str:
    claim = read_claim(request, datetime.now(timezone.utc) + at)
    verify(claim, secret, request)
    return claim.access_key


SIGNED = [signed_v4, presigned_v4, signed_v2]


@pytest.mark.parametrize("sign", SIGNED)
def test_what_botocore_signs_is_accepted(sign):
    assert check(sign()) == ACCESS


@pytest.mark.parametrize("region, service", [("RegionOne", "ec2"), ("0", "127"), ("us-east-1", "sts")])
def test_the_scope_is_the_clients(region, service):
    assert check(signed_v4(region, service)) == ACCESS


def test_a_path_is_part_of_the_signature():
    assert check(signed_v4(path="/services/Cloud/")) == ACCESS


@pytest.mark.parametrize("sign", SIGNED)
def test_another_secret_is_refused(sign):
    with pytest.raises(Ec2Error) as caught:
        check(sign(), secret="other")
    assert (caught.value.code, caught.value.status) == ("SignatureDoesNotMatch", 403)


def changed(request: HttpRequest, **fields) -> HttpRequest:
    return HttpRequest(**{**request.__dict__, **fields})


@pytest.mark.parametrize("sign", SIGNED)
@pytest.mark.parametrize("part", ["method", "path", "host", "content"])
def test_a_request_changed_on_the_way_is_refused(sign, part):
    request = sign()
    altered = {
        "method": {"method": "PUT"},
        "path": {"path": "/other"},
        "host": {"headers": {**request.headers, "host": "evil.example.org"}},
        "content": {
            "body": request.body + b"&Force=true",
            "query": request.query + "&Force=true" if request.method == "GET" else request.query,
            "form": {**request.form, "Force": "true"},
        },
    }[part]
    with pytest.raises(Ec2Error) as caught:
        check(changed(request, **altered))
    assert caught.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "sign, at, code",
    [
        (signed_v4, timedelta(seconds=290), None),
        (signed_v4, timedelta(seconds=310), "RequestExpired"),
        (signed_v4, timedelta(seconds=-310), "SignatureDoesNotMatch"),
        (signed_v2, timedelta(seconds=310), "RequestExpired"),
        (presigned_v4, timedelta(seconds=50), None),
        (presigned_v4, timedelta(seconds=70), "RequestExpired"),
    ],
)
def test_time_is_bounded_both_ways(sign, at, code):
    if code is None:
        assert check(sign(), at=at) == ACCESS
        return
    with pytest.raises(Ec2Error) as caught:
        check(sign(), at=at)
    assert code == caught.value.code


def test_an_unsigned_request_says_so():
    with pytest.raises(Ec2Error) as caught:
        check(HttpRequest("POST", "/", "", {"host": HOST}, b"Action=X", {"Action": "X"}))
    assert caught.value.code == "MissingAuthenticationToken"


@pytest.mark.parametrize(
    "change, code",
    [
        (("SignedHeaders=host;", "SignedHeaders="), "IncompleteSignature"),
        (("host;x-amz-date", "host"), "IncompleteSignature"),
        (("Signature=", "Signature=zz"), "IncompleteSignature"),
        (("/aws4_request", "/aws4"), "IncompleteSignature"),
        (("Credential=a1b2c3", "Credential="), "IncompleteSignature"),
    ],
)
def test_a_signature_that_covers_too_little_or_is_odd_is_refused(change, code):
    request = signed_v4()
    text = request.headers["authorization"].replace("host;x-amz-date", "host;x-amz-date")
    headers = {**request.headers, "authorization": text.replace(*change)}
    if change[0] not in text:
        pytest.skip(f"botocore does not sign so: {text}")
    with pytest.raises(Ec2Error) as caught:
        check(changed(request, headers=headers))
    assert code == caught.value.code


def test_a_session_token_is_refused_in_words():
    request = changed(signed_v4(), headers={**signed_v4().headers, "x-amz-security-token": "x"})
    with pytest.raises(Ec2Error, match="Session tokens"):
        check(request)


def test_a_presigned_request_lives_a_week_at_most():
    with pytest.raises(Ec2Error, match="604800"):
        check(presigned_v4(expires=604801))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=12), max_size=5))
def test_any_parameters_survive_signing(extra):
    printable = {
        key: value
        for key, value in extra.items()
        if (key + value).isprintable() and key not in FORM and not key.lower().startswith("x-amz")
    }
    assert check(signed_v4(form={**FORM, **printable})) == ACCESS

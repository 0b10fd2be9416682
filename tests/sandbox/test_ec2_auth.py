"""Who is let in, in both of the door's modes, and for how long; asked through real signatures against Keystone."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode, urlsplit

import boto3
import pytest
import requests
from botocore.auth import SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from ec2_fixtures import Vo, make_vo, running_door, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox

FORM = {"Action": "DescribeKeyPairs", "Version": "2012-10-01"}


@pytest.fixture(scope="module", params=["secrets", "service"])
def either(request, door_users, tmp_path_factory):
    """A door in each of the two modes, with a short trust so that a test can wait for its end."""
    folder = tmp_path_factory.mktemp(request.param)
    with running_door(door_users, folder, keystone=request.param, grant_seconds=4) as started:
        yield started


def send(door, signer, vo: Vo, form=FORM, secret=None, method="POST") -> requests.Response:
    host = urlsplit(door.url).netloc
    url = f"{door.url}/" + (f"?{urlencode(form)}" if method == "GET" else "")
    data = None if method == "GET" else dict(form)
    request = AWSRequest(method, url, data=data, params=None, headers={"Host": host})
    signer(Credentials(vo.access, secret or vo.secret)).add_auth(request)
    prepared = request.prepare()
    return requests.request(
        method, prepared.url, data=prepared.body, headers=dict(prepared.headers), timeout=60
    )


def v4(credentials):
    return SigV4Auth(credentials, "127", "0")  # as HTCondor derives them from 127.0.0.1


SIGNERS = [v4, SigV2Auth]


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_signed_request_is_let_in(either, vo, signer):
    answer = send(either, signer, vo)
    assert (answer.status_code, "<keySet>" in answer.text) == (200, True)
    assert answer.headers["Server"] == "AmazonEC2"
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?>')
    assert "<requestId>" in answer.text


def test_a_presigned_request_is_let_in(either, vo):
    url = either.client(vo).generate_presigned_url("describe_key_pairs", ExpiresIn=60, HttpMethod="GET")
    assert requests.get(url, timeout=60).status_code == 200


@pytest.mark.parametrize("signer", SIGNERS)
def test_a_wrong_secret_is_refused(either, vo, signer):
    send(either, signer, vo)
    answer = send(either, signer, vo, secret="wrong")
    assert answer.status_code == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text


def test_an_unknown_key_is_refused_with_401(either, vo):
    stranger = Vo("x", "x", "x", "0" * 32, "x", None)
    answer = send(either, v4, stranger)
    assert (answer.status_code, "<Code>AuthFailure</Code>" in answer.text) == (401, True)
    logged = json.loads(either.log.read_text().splitlines()[-1])
    assert (logged["code"], logged["access_key"], logged["project"]) == ("AuthFailure", "0" * 32, "")


def test_an_unsigned_request_is_refused(either):
    answer = requests.post(either.url, data=FORM, timeout=60)
    assert "<Code>MissingAuthenticationToken</Code>" in answer.text


def test_an_old_signature_is_refused(either, vo):
    moment = datetime.now(timezone.utc) - timedelta(minutes=6)
    body, host = urlencode(FORM), urlsplit(either.url).netloc
    date = f"{moment:%Y%m%dT%H%M%SZ}"
    scope = f"{date[:8]}/0/127/aws4_request"
    digest = hashlib.sha256(body.encode()).hexdigest()
    canonical = f"POST\n/\n\nhost:{host}\nx-amz-date:{date}\n\nhost;x-amz-date\n{digest}"
    text = f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{vo.secret}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers = {
        "X-Amz-Date": date,
        "Content-Type": "application/x-www-form-urlencoded",
        "Authorization": f"AWS4-HMAC-SHA256 Credential={vo.access}/{scope}, SignedHeaders=host;x-amz-date,"
        f" Signature={signature}",
    }
    answer = requests.post(either.url + "/", data=body, headers=headers, timeout=60)
    assert "<Code>RequestExpired</Code>" in answer.text


def test_a_changed_body_is_refused(either, vo):
    host = urlsplit(either.url).netloc
    request = AWSRequest("POST", f"{either.url}/", data=dict(FORM), headers={"Host": host})
    v4(Credentials(vo.access, vo.secret)).add_auth(request)
    prepared = request.prepare()
    changed = prepared.body.replace("DescribeKeyPairs", "DescribeInstances")
    answer = requests.post(f"{either.url}/", data=changed, headers=dict(prepared.headers), timeout=60)
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text or "<Code>AuthFailure</Code>" in answer.text


def test_a_revoked_key_is_refused_within_its_trust(either, box, admin):
    vo = make_vo(box, admin, f"revoked-{either.pid}")
    try:
        assert send(either, v4, vo).status_code == 200
        url = vo.cloud.session.get_endpoint(service_type="identity").rstrip("/")
        vo.cloud.session.delete(f"{url}/users/{vo.user}/credentials/OS-EC2/{vo.access}")
        wait_for(lambda: send(either, v4, vo).status_code == 401, 8)
    finally:
        _drop(admin, vo)


def test_a_banned_user_is_refused_within_its_trust(either, box, admin):
    vo = make_vo(box, admin, f"banned-{either.pid}")
    try:
        assert send(either, v4, vo).status_code == 200
        admin.identity.update_user(vo.user, is_enabled=False)
        wait_for(lambda: send(either, v4, vo).status_code == 401, 8)
    finally:
        _drop(admin, vo)


def _drop(admin, vo):
    for network in admin.network.networks(project_id=vo.project):
        admin.network.delete_network(network)
    admin.identity.delete_user(vo.user)
    admin.identity.delete_project(vo.project)


def test_a_key_that_asks_too_often_is_told_to_wait(door_users, tmp_path, vo, other_vo):
    with running_door(door_users, tmp_path, rate=0.1, burst=3) as slow:
        client = slow.client(vo)
        for _ in range(3):
            client.describe_key_pairs()
        with pytest.raises(ClientError) as caught:
            client.describe_key_pairs()
        assert caught.value.response["Error"]["Code"] == "RequestLimitExceeded"
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        slow.client(other_vo).describe_key_pairs()


@pytest.mark.parametrize(
    "form, code, status",
    [
        ({"Version": "2016-11-15"}, "MissingAction", 400),
        ({"Action": "MakeCoffee"}, "InvalidAction", 400),
        ({"Action": "DescribeKeyPairs", "KeyNam.1": "x"}, "UnknownParameter", 400),
        ({"Action": "RunInstances", "BlockDeviceMapping.1.Ebs": "x"}, "InvalidParameterValue", 400),
    ],
)
def test_a_query_that_makes_no_sense_is_the_clients_error(door, vo, form, code, status):
    answer = send(door, v4, vo, form)
    assert (status, True) == (answer.status_code, f"<Code>{code}</Code>" in answer.text)


def test_what_is_not_a_query_is_refused_and_leaves_no_traceback(door):
    for sent, headers in (
        (b"\xff\xfe=%ff", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"{}", {"Content-Type": "application/json"}),
        (b"a" * (600 * 1024), {"Content-Type": "application/x-www-form-urlencoded"}),
    ):
        answer = requests.post(door.url, data=sent, headers=headers, timeout=60)
        assert 400 <= answer.status_code < 500
    assert requests.put(door.url, timeout=60).status_code == 405
    assert "Traceback" not in door.log.read_text()


def test_no_secret_is_in_the_log(door, vo, ec2):
    ec2.describe_key_pairs()
    text = door.log.read_text()
    assert vo.access in text
    assert vo.secret not in text


def test_health_and_metrics_need_no_key(door, ec2):
    ec2.describe_key_pairs()
    assert requests.get(f"{door.url}/health", timeout=60).text == "ok\n"
    assert 'calls_total{action="DescribeKeyPairs"' in requests.get(f"{door.url}/metrics", timeout=60).text


def test_an_s3_style_session_token_is_refused(door, vo):
    client = boto3.client(
        "ec2",
        endpoint_url=door.url,
        region_name="RegionOne",
        aws_access_key_id=vo.access,
        aws_secret_access_key=vo.secret,
        aws_session_token="x",
    )
    with pytest.raises(ClientError, match="InvalidClientTokenId"):
        client.describe_key_pairs()


@pytest.mark.parametrize("mode", ["secrets", "service"])
def test_a_key_goes_on_with_its_token_until_a_service_refuses_it(box, admin, door_users, tmp_path, mode):
    """Renewed trust costs the services no new token; one that is revoked is replaced within the same call."""
    vo = make_vo(box, admin, f"renewed-{mode}-{secrets.token_hex(2)}")
    try:
        with running_door(door_users, tmp_path, keystone=mode, grant_seconds=1) as door:
            client = door.client(vo)
            client.describe_key_pairs()
            time.sleep(1.1)
            mark = box.mark()
            client.describe_key_pairs()
            asked = [f"{one.method} {one.path}" for one in box.requests(mark) if one.service == "keystone"]
            assert asked == ["POST /v3/ec2tokens"], "nobody asks Keystone about a token that is known"
            admin.identity.update_user(vo.user, password=secrets.token_hex(8))
            time.sleep(1.1)
            client.describe_key_pairs()
    finally:
        _drop(admin, vo)

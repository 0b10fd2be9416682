"""Key pairs through boto3, against what Nova then has."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from ec2_fixtures import backend_requests

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox


def test_a_created_rsa_key_is_the_one_nova_holds(ec2, vo):
    made = ec2.create_key_pair(KeyName="rsa one")
    public = load_pem_private_key(made["KeyMaterial"].encode(), None).public_key()
    text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert text == vo.cloud.compute.get_keypair("rsa one").public_key.strip()
    assert backend_requests(made) == 1
    ec2.delete_key_pair(KeyName="rsa one")


def test_an_ed25519_key_can_be_created(ec2, vo):
    made = ec2.create_key_pair(KeyName="ed", KeyType="ed25519")
    public = load_ssh_private_key(made["KeyMaterial"].encode(), None).public_key()
    text = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert text == vo.cloud.compute.get_keypair("ed").public_key.strip()
    assert ec2.describe_key_pairs(KeyNames=["ed"])["KeyPairs"][0]["KeyType"] == "ed25519"
    ec2.delete_key_pair(KeyPairId=made["KeyPairId"])
    assert ec2.describe_key_pairs(Filters=[{"Name": "key-name", "Values": ["ed"]}])["KeyPairs"] == []


def test_an_imported_key_is_described_by_name_id_and_filter(ec2):
    material = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPlJBxQEeH1VFiFZAiQ/Qg2HEXRYQPbcBvnBJkxWuJ8k me"
    made = ec2.import_key_pair(KeyName="mine", PublicKeyMaterial=material)
    for asked in (
        {"KeyNames": ["mine"]},
        {"KeyPairIds": [made["KeyPairId"]]},
        {"Filters": [{"Name": "key-name", "Values": ["mi?e"]}]},
    ):
        found = ec2.describe_key_pairs(**asked)
        assert [key["KeyName"] for key in found["KeyPairs"]] == ["mine"]
        assert backend_requests(found) == 1
    ec2.delete_key_pair(KeyName="mine")


@pytest.mark.parametrize(
    "call, code",
    [
        (lambda ec2: ec2.describe_key_pairs(KeyNames=["absent"]), "InvalidKeyPair.NotFound"),
        (lambda ec2: ec2.import_key_pair(KeyName="x", PublicKeyMaterial=b"junk"), "InvalidKey.Format"),
        (lambda ec2: ec2.create_key_pair(KeyName="x", KeyType="dsa"), "InvalidParameterValue"),
        (lambda ec2: ec2.create_key_pair(KeyName="a/b"), "InvalidParameterValue"),
        (lambda ec2: ec2.create_key_pair(KeyName="x", KeyFormat="ppk"), "UnsupportedOperation"),
        (lambda ec2: ec2.create_key_pair(KeyName="x", DryRun=True), "DryRunOperation"),
        (
            lambda ec2: ec2.describe_key_pairs(Filters=[{"Name": "no", "Values": ["x"]}]),
            "InvalidParameterValue",
        ),
    ],
)
def test_what_cannot_be_done_is_ec2s_error(ec2, call, code):
    with pytest.raises(ClientError) as caught:
        call(ec2)
    assert code == caught.value.response["Error"]["Code"]


def test_a_name_twice_is_a_duplicate_and_an_absent_one_is_deleted_without_error(ec2):
    ec2.create_key_pair(KeyName="twice")
    with pytest.raises(ClientError, match=r"InvalidKeyPair\.Duplicate"):
        ec2.create_key_pair(KeyName="twice")
    ec2.delete_key_pair(KeyName="twice")
    ec2.delete_key_pair(KeyName="twice")

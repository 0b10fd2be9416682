"""Key pairs. Nova's belong to a user, and since microversion 2.92 it makes none: the door does, and keeps nothing."""

from __future__ import annotations

from typing import Any, Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.backend.http import RefusedError
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, missing, not_found, unsupported
from osg_site_iaas.ec2.filters import compile_filters
from osg_site_iaas.ec2.ids import check_id, key_pair_id
from osg_site_iaas.ec2.protocol.parse import decode_base64, parse_timestamp

FILTERS = {
    "key-name": lambda key: key["KeyName"],
    "key-pair-id": lambda key: key["KeyPairId"],
    "fingerprint": lambda key: key["KeyFingerprint"],
}


def _as_ec2(call: Call, key: Mapping[str, Any], *, public: bool = False) -> dict[str, Any]:
    answer = {
        "KeyName": key["name"],
        "KeyPairId": key_pair_id(call.grant.user_id, key["name"]),
        "KeyFingerprint": key["fingerprint"],
        "KeyType": "ed25519" if str(key.get("public_key", "")).startswith("ssh-ed25519") else "rsa",
        "Tags": [],
    }
    if public:
        answer["PublicKey"] = key.get("public_key")
    if key.get("created_at"):
        answer["CreateTime"] = parse_timestamp(str(key["created_at"]).partition(".")[0])
    return answer


def _duplicate(name: str) -> Ec2Error:
    return Ec2Error("InvalidKeyPair.Duplicate", f"The keypair '{name}' already exists.")


def _store(call: Call, name: str, public: str) -> Mapping[str, Any]:
    if not 0 < len(name) <= 255:
        raise invalid_value("KeyName", name[:300], "It must have 1 to 255 characters")
    try:
        answer = call.cloud.json(
            "POST",
            "compute",
            "/os-keypairs",
            body={"keypair": {"name": name, "public_key": public, "type": "ssh"}},
        )
    except RefusedError as error:
        if error.status == 409:
            raise _duplicate(name) from error
        if error.status == 400 and "name" in error.message.lower():
            raise invalid_value("KeyName", name, error.message) from error
        if error.status == 400:
            raise Ec2Error(
                "InvalidKey.Format", f"Key is not in valid OpenSSH public key format: {error.message}"
            ) from error
        raise
    key: Mapping[str, Any] = answer["keypair"]
    return key


@action(
    "KeyNames KeyPairIds IncludePublicKey",
    filters=FILTERS,
    tags=True,
    requests="1",
    notes="Key pairs cannot be tagged, so the tag filters find none. CreateTime only where Nova lists it.",
)
def describe_key_pairs(call: Call, parameters: Parameters) -> Answer:
    listed = [
        one["keypair"] for one in call.cloud.pages("compute", "/os-keypairs", "keypairs", {"limit": 1000})
    ]
    keys = [_as_ec2(call, key, public=bool(parameters.get("IncludePublicKey"))) for key in listed]
    for wanted, field in (("KeyNames", "KeyName"), ("KeyPairIds", "KeyPairId")):
        if parameters.get(wanted):
            have = {key[field] for key in keys}
            for one in parameters[wanted]:
                if one not in have:
                    raise not_found("key", one)
            keys = [key for key in keys if key[field] in parameters[wanted]]
    passes = compile_filters(parameters, FILTERS, tags=lambda key: {})
    return {"KeyPairs": sorted(filter(passes, keys), key=lambda key: key["KeyName"])}


def _pem(key: Any, style: serialization.PrivateFormat) -> str:
    return str(
        key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption()).decode("ascii")
    )


@action("KeyName KeyType KeyFormat", requests="1", notes="RSA (2048 bit) and ED25519, PEM only; no tags.")
def create_key_pair(call: Call, parameters: Parameters) -> Answer:
    name = parameters.get("KeyName")
    if not name:
        raise missing("KeyName")
    kind = parameters.get("KeyType") or "rsa"
    if (parameters.get("KeyFormat") or "pem") != "pem":
        raise unsupported("KeyFormat can only be pem in this cloud.")
    if kind == "ed25519":
        own: Any = ed25519.Ed25519PrivateKey.generate()
        material = _pem(own, serialization.PrivateFormat.OpenSSH)
    elif kind == "rsa":
        own = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        material = _pem(own, serialization.PrivateFormat.TraditionalOpenSSL)
    else:
        raise invalid_value("KeyType", kind, "It must be rsa or ed25519")
    public = own.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    key = _store(call, name, public.decode("ascii"))
    return {
        "KeyName": key["name"],
        "KeyPairId": key_pair_id(call.grant.user_id, key["name"]),
        "KeyFingerprint": key["fingerprint"],
        "KeyMaterial": material,
    }


@action("KeyName PublicKeyMaterial", requests="1", notes="No tags.")
def import_key_pair(call: Call, parameters: Parameters) -> Answer:
    name, material = parameters.get("KeyName"), parameters.get("PublicKeyMaterial")
    if not name:
        raise missing("KeyName")
    if not material:
        raise missing("PublicKeyMaterial")
    try:
        public = material.decode("ascii").strip()
        decode_base64(public.split()[1])
    except (UnicodeDecodeError, ValueError, IndexError):
        raise Ec2Error("InvalidKey.Format", "Key is not in valid OpenSSH public key format") from None
    key = _store(call, name, public)
    return {
        "KeyName": key["name"],
        "KeyPairId": key_pair_id(call.grant.user_id, key["name"]),
        "KeyFingerprint": key["fingerprint"],
    }


@action(
    "KeyName KeyPairId", requests="1, by id 2", notes="A name that does not exist is no error, as in EC2."
)
def delete_key_pair(call: Call, parameters: Parameters) -> Answer:
    name, wanted = parameters.get("KeyName"), parameters.get("KeyPairId")
    if not name and not wanted:
        raise missing("KeyName")
    if not name and wanted:
        check_id("key", wanted)
        for one in call.cloud.pages("compute", "/os-keypairs", "keypairs", {"limit": 1000}):
            if key_pair_id(call.grant.user_id, one["keypair"]["name"]) == wanted:
                name = one["keypair"]["name"]
        if not name:
            raise not_found("key", wanted)
    name = str(name)
    try:
        call.cloud.request("DELETE", "compute", f"/os-keypairs/{_quoted(name)}")
    except RefusedError as error:
        if error.status not in (404, 400):  # 400: no key pair can have such a name
            raise
    return {"Return": True, "KeyPairId": wanted or key_pair_id(call.grant.user_id, name)}


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")

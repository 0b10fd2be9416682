"""A token issuer to rehearse with. Run as ``python -m osg_site_iaas.sandbox.issuer``.

It publishes one key, under as many issuers as are asked for: ``https://127.0.0.1:N/VO`` is the issuer of VO. Nobody
gets a token from it over the network; ``sandbox.grid`` signs them with the key in the folder.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.server
import json
import os
import signal
import ssl
import threading
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

KEY_FILE = "signing.pem"
ALGORITHM = "ES256"
_DISCOVERY = "/.well-known/openid-configuration"
_KEYS = "/jwks"


def signing_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """The issuer's key; made the first time."""
    file = folder / KEY_FILE
    if not file.exists():
        fresh = file.with_name(f".{KEY_FILE}.{os.getpid()}")
        fresh.touch(mode=0o600)
        key = ec.generate_private_key(ec.SECP256R1())
        fresh.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        fresh.replace(file)
    found = serialization.load_pem_private_key(file.read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)  # noqa: S101
    return found


def key_id(key: ec.EllipticCurvePrivateKey) -> str:
    """Another key has another id, so that doors ask for it."""
    point = key.public_key().public_numbers()
    return hashlib.sha256(f"{point.x} {point.y}".encode()).hexdigest()[:16]


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """The public half, as issuers publish it."""
    point = key.public_key().public_numbers()
    x, y = (
        base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
        for number in (point.x, point.y)
    )
    return {
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": ALGORITHM, "kid": key_id(key), "x": x, "y": y,
    }  # fmt: skip


def document(path: str, host: str, key: ec.EllipticCurvePrivateKey) -> Any:
    """What is published at an address; None for nothing."""
    if path == _KEYS:
        return {"keys": [jwk(key)]}
    issuer, found, rest = path.partition(_DISCOVERY)
    return (
        {"issuer": f"https://{host}{issuer}", "jwks_uri": f"https://{host}{_KEYS}"}
        if found and not rest
        else None
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m osg_site_iaas.sandbox.issuer", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of its signing key")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    args = parser.parse_args()
    key = signing_key(args.state)
    host = f"127.0.0.1:{args.port}"

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = document(self.path, host, key)
            body = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.certificate, args.key)
    # The handshake is the handler's thread's: one slow client keeps nobody waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()

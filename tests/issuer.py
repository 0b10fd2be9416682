"""A token issuer that really answers over https: discovery, keys, rotation, and being down."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading
import time
from pathlib import Path
from typing import Any, Optional

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from tests import pki


def _number(value: int, size: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()


def jwk(key: Any, kid: str) -> dict[str, Any]:
    """The public half of an RSA or P-256 key."""
    numbers = key.public_key().public_numbers()
    if isinstance(key, ec.EllipticCurvePrivateKey):
        point = {"x": _number(numbers.x, 32), "y": _number(numbers.y, 32)}
        return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256", **point}
    n = _number(numbers.n, (numbers.n.bit_length() + 7) // 8)
    return {"kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": n, "e": _number(numbers.e, 3)}


class Issuer:
    """Listens on a free port of 127.0.0.1 while it is entered; ``ca_file`` is what vouches for its TLS."""

    def __init__(self, folder: Path) -> None:
        authority = pki.ca(f"{pki.ORG}/CN=Issuer Test CA")
        host = pki.end_entity(f"{pki.ORG}/CN=localhost", authority, hosts=["localhost", "127.0.0.1"])
        self.ca_file = folder / "issuer-ca.pem"
        self.ca_file.write_bytes(pki.cert_pem(authority.certificate))
        self._pem = host.write(folder / "issuer.pem")
        self.key: Any = pki.rsa_key()
        self.kid = "first"
        self.documents: dict[str, Any] = {}
        self.requests: list[str] = []
        self.url = ""

    def __enter__(self) -> Issuer:
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.requests.append(self.path)
                found = issuer.documents.get(self.path)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(404 if found is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pem)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"https://localhost:{self._server.server_address[1]}"
        self.publish()
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def publish(self) -> None:
        """Serve the discovery document and the current key."""
        self.documents = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"},
            "/jwks": {"keys": [jwk(self.key, self.kid)]},
        }

    def rotate(self, kid: str, key: Optional[Any] = None) -> None:
        """Sign with a new key from now on, and publish it alone."""
        self.key, self.kid = key or ec.generate_private_key(ec.SECP256R1()), kid
        self.publish()

    def go_down(self) -> None:
        self.documents = {}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What a good WLCG pilot token says; None leaves a claim out."""
        now = int(time.time())
        claims = {
            "wlcg.ver": "1.0",
            "iss": self.url,
            "sub": "pilot",
            "aud": "https://cloud.example.org",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": "1",
            "scope": "compute.create compute.read",
            "wlcg.groups": ["/cms", "/cms/pilots"],
        }
        claims.update({name.replace("__", "."): value for name, value in changed.items()})
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, *, key: Any = None, kid: Optional[str] = None, algorithm: str = "", **changed: Any) -> str:
        """A signed token; ``wlcg__groups`` stands for wlcg.groups."""
        signer = key or self.key
        algorithm = algorithm or ("ES256" if isinstance(signer, ec.EllipticCurvePrivateKey) else "RS256")
        return self.sign_claims(self.claims(**changed), signer, kid or self.kid, algorithm)

    @staticmethod
    def sign_claims(claims: dict[str, Any], key: Any, kid: str, algorithm: str) -> str:
        """Any claims at all, right or wrong."""
        payload = json.dumps(claims).encode()
        return jwt.PyJWS().encode(payload, key, algorithm, {"kid": kid, "typ": "JWT"})

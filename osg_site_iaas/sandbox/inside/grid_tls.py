"""TLS for grid credentials: a client may show a certificate or an RFC 3820 proxy; the verified chain is kept.

The application finds what mod_ssl would give it: SSL_CLIENT_VERIFY, SSL_CLIENT_CERT and
SSL_CLIENT_CERT_CHAIN_n, the last being the authority. These names cannot come from a request: headers arrive
as HTTP_*.
"""

import ssl

from cheroot.ssl.builtin import BuiltinSSLAdapter


class Adapter(BuiltinSSLAdapter):
    """Asks for a certificate, and goes on without one; a bad one ends the connection."""

    def __init__(self, certificate, key, authorities):
        super().__init__(certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
        self.context = context

    def get_environ(self, sock):
        environ = super().get_environ(sock)
        if environ["SSL_CLIENT_VERIFY"] == "SUCCESS":
            for number, certificate in enumerate(_verified_chain(sock)[1:]):
                environ[f"SSL_CLIENT_CERT_CHAIN_{number}"] = certificate
        return environ


def _verified_chain(sock):
    if hasattr(sock, "get_verified_chain"):  # Python 3.13
        return [ssl.DER_cert_to_PEM_cert(der) for der in sock.get_verified_chain()]
    return [certificate.public_bytes() for certificate in sock._sslobj.get_verified_chain()]

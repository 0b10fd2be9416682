"""keystoneauth plugins: ``v3gridproxy`` logs in with a VOMS proxy, ``v3gridtoken`` with a SciToken or WLCG token.

Both look for the credential at each login, so that one which was renewed on disk is taken up.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Mapping, Optional

from keystoneauth1 import access, exceptions, loading, session
from keystoneauth1.identity import v3

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import find

PROTOCOL = "mapped"
GRID_CERTIFICATES = Path("/etc/grid-security/certificates")


class NoCredential(exceptions.AuthPluginException):  # type: ignore[misc]
    """There is no proxy or token that could be used; keystoneauth's callers show the text."""


class _Grid(v3.FederationBaseAuth):  # type: ignore[misc]
    """What both have in common: with a project it is one request, without one federation's own address."""

    def get_unscoped_auth_ref(self, session: session.Session, **_: Any) -> access.AccessInfoV3:
        return self._answer(self._send(session, "GET", self.federated_token_url))

    def get_auth_ref(self, session: session.Session, **more: Any) -> access.AccessInfoV3:
        scope = self._scope()
        if scope is None:
            return super().get_auth_ref(session, **more)
        one = {"identity_provider": self.identity_provider, "protocol": self.protocol}
        body = {"auth": {"identity": {"methods": [PROTOCOL], PROTOCOL: one}, "scope": scope}}
        return self._answer(
            self._send(session, "POST", f"{self.auth_url.rstrip('/')}/auth/tokens", json=body)
        )

    def _scope(self) -> Optional[dict[str, Any]]:
        """The project asked for, in Keystone's words; None for anything else."""
        if self.project_id:
            return {"project": {"id": self.project_id}}
        if not self.project_name:
            return None
        named = (
            {"id": self.project_domain_id} if self.project_domain_id else {"name": self.project_domain_name}
        )
        return {"project": {"name": self.project_name, "domain": named}}

    def _send(self, session: session.Session, method: str, url: str, **more: Any) -> Any:
        raise NotImplementedError

    def _answer(self, answer: Any) -> access.AccessInfoV3:
        try:
            return access.create(auth_token=answer.headers["X-Subject-Token"], body=answer.json())
        except (KeyError, ValueError) as error:
            raise exceptions.InvalidResponse(response=answer) from error


class GridProxy(_Grid):
    """Logs in with the proxy of X509_USER_PROXY, of the usual file, or of ``proxy``."""

    def __init__(self, *args: Any, proxy: Optional[str] = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.proxy = proxy

    def _send(self, session: session.Session, method: str, url: str, **more: Any) -> Any:
        environ, uid = find.here()
        file = Path(self.proxy).expanduser() if self.proxy else find.proxy_file(environ, uid)
        try:
            find.read_proxy(file, dt.datetime.now(dt.timezone.utc))
        except SiteError as error:
            raise NoCredential(str(error)) from error
        return session.request(
            url,
            method,
            authenticated=False,
            cert=(str(file), str(file)),
            redirect=False,
            # A connection that stays open would go on with the proxy of its beginning.
            headers={"Connection": "close"},
            **ca_for(environ, session),
            **more,
        )


class GridToken(_Grid):
    """Logs in with the token found in WLCG's order, or with ``token_file``."""

    def __init__(self, *args: Any, token_file: Optional[str] = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.token_file = token_file

    def _send(self, session: session.Session, method: str, url: str, **more: Any) -> Any:
        environ, uid = find.here()
        if self.token_file:
            environ = {"BEARER_TOKEN_FILE": str(Path(self.token_file).expanduser())}
        try:
            token = find.bearer_token(environ, uid)
        except SiteError as error:
            raise NoCredential(str(error)) from error
        if token is None:
            raise NoCredential("no token: set BEARER_TOKEN_FILE, or use oidc-token or htgettoken")
        if not url.startswith("https:"):
            raise NoCredential(f"a token is not sent in the clear: {self.auth_url} is not https")
        headers = {"Authorization": f"Bearer {token}"}
        return session.request(
            url, method, authenticated=False, headers=headers, redirect=False, log=False,
            **ca_for(environ, session), **more,
        )  # fmt: skip


def ca_for(environ: Mapping[str, str], session: session.Session) -> dict[str, str]:
    """What vouches for the site's own certificate: the session's CA file, else the grid's CAs if they are here."""
    if session.verify is not True:
        return {}
    directory = Path(environ.get("X509_CERT_DIR") or GRID_CERTIFICATES)
    return {"verify": str(directory)} if directory.is_dir() else {}


class _Loader(loading.BaseFederationLoader):  # type: ignore[misc]
    provider: str

    def get_options(self) -> list[Any]:
        """keystoneauth's own, with the provider and protocol that a site has unless it says otherwise."""
        options = super().get_options()
        for option in options:
            if option.dest == "identity_provider":
                option.default = self.provider
            elif option.dest == "protocol":
                option.default = PROTOCOL
        return list(options)


class ProxyLoader(_Loader):
    """``v3gridproxy``."""

    provider = "grid"

    @property
    def plugin_class(self) -> type[GridProxy]:
        return GridProxy

    def get_options(self) -> list[Any]:
        help_ = "proxy file; X509_USER_PROXY or /tmp/x509up_uUID unless given"
        return [*super().get_options(), loading.Opt("proxy", help=help_)]


class TokenLoader(_Loader):
    """``v3gridtoken``."""

    provider = ""

    @property
    def plugin_class(self) -> type[GridToken]:
        return GridToken

    def get_options(self) -> list[Any]:
        help_ = "file with the token; found as WLCG's discovery says unless given"
        return [*super().get_options(), loading.Opt("token-file", help=help_)]

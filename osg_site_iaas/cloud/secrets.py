"""Secrets that apply creates: each written once, readable by its owner alone, and never shown.

A secret is on disk before the service hears of it, so that a run killed in between can go on with the same one.
"""

from __future__ import annotations

import configparser
import contextlib
import io
import os
import secrets as random
from pathlib import Path
from typing import Optional

from osg_site_iaas.declaration.model import Secret
from osg_site_iaas.errors import SiteError


def password_file(folder: Path, user: str) -> Path:
    """Where a generated password of a service user is kept."""
    return folder / f"{user}.password"


def key_file(folder: Path, user: str) -> Path:
    """Where a user's EC2 key is kept, as an AWS credentials file."""
    return folder / f"{user}.ec2"


def password(folder: Path, user: str, secret: Secret) -> str:
    """The password that ``secret`` names. A generated one is made and put aside at the first call.

    It has its place only after ``password_is_set``: until then a killed run leaves it to be set by the next.
    """
    if secret.source != "generated":
        return resolve(secret)
    path = password_file(folder, user)
    if path.exists():
        return read(path).strip()
    aside = _aside(path)
    if not aside.exists():
        write(aside, random.token_urlsafe(24) + "\n")
    return read(aside).strip()


def password_is_set(folder: Path, user: str) -> None:
    """Keystone has the password: put a generated one in its place."""
    path = password_file(folder, user)
    with contextlib.suppress(FileNotFoundError):
        _aside(path).replace(path)


def there(path: Path) -> bool:
    """Whether a secret is kept there; SiteError for who may not know."""
    try:
        return path.exists()
    except OSError as error:
        raise SiteError(
            f"cannot look for the secret {path}: {error.strerror}",
            todo="run this as the folder's owner; plan can do without: --without-secrets",
        ) from error


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.not-yet-set")


def resolve(secret: Secret) -> str:
    """The text behind ``file:PATH`` or ``env:NAME``."""
    scheme, _, rest = secret.source.partition(":")
    if scheme == "env":
        value = os.environ.get(rest)
        if not value:
            raise SiteError(
                f"the environment variable {rest} is not set", todo="site.yml takes a secret from it"
            )
        return value
    return read(Path(rest)).rstrip("\n")


def ec2_key(folder: Path, user: str) -> tuple[str, str]:
    """Access and secret key kept for a user, made at the first call."""
    kept = kept_ec2_key(folder, user)
    if kept is None:
        kept = (random.token_hex(16), random.token_hex(16))
        write_ec2_key(folder, user, *kept)
    return kept


def kept_ec2_key(folder: Path, user: str) -> Optional[tuple[str, str]]:
    """Access and secret key kept for a user, or None."""
    path = key_file(folder, user)
    if not there(path):
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read(path))
        section = parser[user]
        return section["aws_access_key_id"], section["aws_secret_access_key"]
    except (configparser.Error, KeyError) as error:
        raise SiteError(
            f"{path} is not a credentials file with a section [{user}]",
            todo="move it away: the next apply writes it anew",
        ) from error


def write_ec2_key(folder: Path, user: str, access: str, secret: str) -> None:
    """Keep a key pair so that AWS_SHARED_CREDENTIALS_FILE and AWS_PROFILE can name it."""
    parser = configparser.ConfigParser(interpolation=None)
    parser[user] = {"aws_access_key_id": access, "aws_secret_access_key": secret}
    text = io.StringIO()
    parser.write(text)
    write(key_file(folder, user), text.getvalue())


def read(path: Path) -> str:
    """A secret's file."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SiteError(
            f"cannot read the secret {path}: {why}", todo="check the path and its owner"
        ) from error


def write(path: Path, text: str) -> None:
    """Put a file in place whole or not at all, mode 0600, in a folder of mode 0700."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # always the same name, so that what a killed run leaves is written over by the next; apply has a lock
        aside = path.with_name(f".{path.name}.new")
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SiteError(
            f"cannot write the secret {path}: {error.strerror or error}",
            todo="nothing was created for it; check cloud.secrets in site.yml",
        ) from error


def forget(path: Path) -> None:
    """Remove a secret that no longer opens anything."""
    path.unlink(missing_ok=True)
    _aside(path).unlink(missing_ok=True)

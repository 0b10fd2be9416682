"""The files that clouds' tools read, as text: values in, text out."""

from __future__ import annotations

import configparser
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

import yaml

APP = "-app"  # what the name of the cloud with the application credential ends in


@dataclass(frozen=True)
class Keys:
    """All that the files hold of one membership."""

    name: str  # of the cloud, the profile and the remote
    auth_url: str
    ca: Optional[str]
    plugin: str  # v3gridproxy or v3gridtoken
    provider: str
    protocol: str
    credential: Optional[str]  # file of the proxy or token, if one was named
    project_id: str
    project: str
    region: str
    access: Optional[str]  # of the EC2 key; None without one
    secret: Optional[str]
    ec2_url: Optional[str]
    s3_url: Optional[str]
    image: Optional[str] = None  # EC2 id
    flavour: Optional[str] = None
    application_credential: Optional[tuple[str, str]] = None  # id and secret


def clouds_yaml(keys: Keys) -> str:
    """For the openstack client and SDK: the plugin and where to go, no secret.

    With an application credential there is a second entry, for tools that know no plugin of ours; it holds the secret.
    """
    auth: dict[str, Any] = {
        "auth_url": keys.auth_url,
        "identity_provider": keys.provider,
        "protocol": keys.protocol,
        "project_id": keys.project_id,
    }
    if keys.credential:
        auth["proxy" if keys.plugin == "v3gridproxy" else "token_file"] = keys.credential
    cloud: dict[str, Any] = {
        "auth_type": keys.plugin,
        "auth": auth,
        "region_name": keys.region,
        "identity_api_version": 3,
    }
    if keys.ca:
        cloud["cacert"] = keys.ca
    clouds = {keys.name: cloud}
    if keys.application_credential:
        id_, secret = keys.application_credential
        own = {
            "auth_url": keys.auth_url, "application_credential_id": id_, "application_credential_secret": secret,
        }  # fmt: skip
        clouds[keys.name + APP] = {**cloud, "auth_type": "v3applicationcredential", "auth": own}
    return yaml.safe_dump({"clouds": clouds}, sort_keys=False)


def aws_config(keys: Keys, command: str) -> str:
    """For boto3 and awscli: keys come from ``command``, which renews them."""
    text = f"[profile {keys.name}]\nregion = {keys.region}\ncredential_process = {command}\nservices = {keys.name}\n"
    if keys.s3_url:
        text += "s3 =\n    addressing_style = path\n"
    text += f"\n[services {keys.name}]\n"
    for service, url in (("ec2", keys.ec2_url), ("s3", keys.s3_url)):
        if url:
            text += f"{service} =\n    endpoint_url = {url}\n"
    return text


def rclone_conf(keys: Keys) -> str:
    """For rclone: the site's S3, with the key in it."""
    remote = {
        "type": "s3",
        "provider": "Other",
        "access_key_id": keys.access or "",
        "secret_access_key": keys.secret or "",
        "endpoint": keys.s3_url or "",
        "region": keys.region,
        "force_path_style": "true",
    }
    return _ini(keys.name, remote)


def submit_file(keys: Keys, folder: Path) -> str:
    """For HTCondor: one server as a grid job; what the site did not tell is left to fill in."""
    url = keys.ec2_url or "https://ec2.REGION.SITE:8788/"
    return f"""\
# condor_submit starts one server at {keys.name}; condor_rm ends it.
universe = grid
grid_resource = ec2 {url}
ec2_access_key_id = {folder / "access_key_id"}
ec2_secret_access_key = {folder / "secret_access_key"}
ec2_ami_id = {keys.image or "ami-FILL-IN"}
ec2_instance_type = {keys.flavour or "FILL-IN"}
# ec2_user_data_file = user-data
executable = {keys.name}
log = {keys.name}.log
queue
"""


def exports(folder: Path, name: str) -> dict[str, str]:
    """The variables that make tools read the files."""
    return {
        "OS_CLIENT_CONFIG_FILE": str(folder / "clouds.yaml"),
        "OS_CLOUD": name,
        "AWS_CONFIG_FILE": str(folder / "aws-config"),
        "AWS_PROFILE": name,
        "RCLONE_CONFIG": str(folder / "rclone.conf"),
    }


NAMES = {"clouds.yaml", "aws-config", "access_key_id", "secret_access_key", "job.sub", "rclone.conf"}


def all_files(keys: Keys, folder: Path, command: str) -> Mapping[str, str]:
    """Every file's text by its name; all are for the owner's eyes only."""
    if keys.access is None or keys.secret is None:
        return {"clouds.yaml": clouds_yaml(keys)}
    files = {
        "clouds.yaml": clouds_yaml(keys),
        "aws-config": aws_config(keys, command),
        "access_key_id": keys.access + "\n",
        "secret_access_key": keys.secret + "\n",
        "job.sub": submit_file(keys, folder),
    }
    if keys.s3_url:
        files["rclone.conf"] = rclone_conf(keys)
    return files


def _ini(section: str, values: Mapping[str, str]) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser[section] = dict(values)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()

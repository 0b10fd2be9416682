"""Somebody who comes to the sandbox with a proxy or a token, and uses it as a VO's member would, by the members' tools.

Everything they do starts with ``osg-iaas login``; boto3, awscli and the openstack client then read what that wrote.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping

import yaml

from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.errors import SandboxError

BIN = Path(sys.executable).parent
PATIENCE = 180  # seconds for one command
TOOLS = ("openstack", "awscli", "boto3")
_OTHERS = ("OS_", "AWS_", "X509_", "BEARER_", "OSG_IAAS_", "BOTO_", "REQUESTS_", "CURL_")


@dataclass(frozen=True)
class Wanted:
    """What a server is made of; the image by name, and by its EC2 id."""

    image: str
    ami: str
    flavour: str
    network: str


@dataclass
class Visitor:
    """A member of one VO, with files of their own in ``home``."""

    vo: str
    credential: Path
    kind: str  # proxy or token
    home: Path
    who: Mapping[str, Any] = field(default_factory=dict)  # what the site said at the login

    def login(self, keystone: str, ca: Path) -> Mapping[str, Any]:
        """``osg-iaas login``; SandboxError with its words if it fails."""
        said = self.run(
            "osg-iaas", "login", "--site", keystone, "--ca", str(ca), "--vo", self.vo,
            f"--{self.kind}", str(self.credential), "--dir", str(self.home), "--json",
        )  # fmt: skip
        self.who = json.loads(said)
        return self.who

    @property
    def clouds(self) -> Mapping[str, Any]:
        """The clouds.yaml of the login: one entry."""
        found: Mapping[str, Any] = yaml.safe_load((self.home / "clouds.yaml").read_text(encoding="utf-8"))
        clouds: Mapping[str, Any] = found["clouds"]
        return clouds

    @property
    def name(self) -> str:
        """Of the cloud and the AWS profile."""
        return next(iter(self.clouds))

    def environment(self) -> dict[str, str]:
        """A shell of theirs: nothing of ours that tools would read, and what ``osg-iaas env`` prints."""
        env = {k: v for k, v in os.environ.items() if not k.startswith(_OTHERS)}
        env["PATH"] = f"{BIN}{os.pathsep}{env.get('PATH', os.defpath)}"
        env["XDG_CONFIG_HOME"] = str(self.home.parent / "config")
        if (self.home / "clouds.yaml").exists():
            env.update(
                OS_CLIENT_CONFIG_FILE=str(self.home / "clouds.yaml"), OS_CLOUD=self.name,
                AWS_CONFIG_FILE=str(self.home / "aws-config"), AWS_PROFILE=self.name, AWS_EC2_METADATA_DISABLED="true",
            )  # fmt: skip
        return env

    def run(self, program: str, *words: str) -> str:
        """What a tool of theirs prints; SandboxError with the end of what it said if it fails."""
        found = BIN / program
        try:
            done = subprocess.run(
                [str(found) if found.exists() else program, *words],
                env=self.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise SandboxError(
                f"{program} is not installed", todo="pip install 'osg-site-iaas[demo]'"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise SandboxError(f"{program} {words[0]} did not end within {PATIENCE} s") from error
        if done.returncode:
            raise SandboxError(f"{program} {words[0]}: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout.strip()

    def ec2(self) -> Any:
        """boto3's EC2 client with the profile that the login wrote, which renews its key by itself."""
        try:
            import boto3  # type: ignore[import-untyped]
            import botocore.session
        except ImportError as error:
            raise SandboxError("boto3 is not installed", todo="pip install 'osg-site-iaas[demo]'") from error
        session = botocore.session.Session(profile=self.name)
        session.set_config_variable("config_file", str(self.home / "aws-config"))
        return boto3.Session(botocore_session=session).client("ec2")

    def start(self, tool: str, wanted: Wanted) -> str:
        """The EC2 id of a server just started with one of ``TOOLS``."""
        if tool == "openstack":
            what = ("--image", wanted.image, "--flavor", wanted.flavour, "--network", wanted.network)
            made = self.run("openstack", "server", "create", *what, "-f", "value", "-c", "id", f"by-{tool}")
            return ec2_id("i", made)
        if tool == "awscli":
            ami = ("--image-id", wanted.ami, "--instance-type", wanted.flavour)
            answer = ("--query", "Instances[0].InstanceId", "--output", "text")
            return self.run("aws", "ec2", "run-instances", *ami, *answer)
        started = self.ec2().run_instances(
            ImageId=wanted.ami, InstanceType=wanted.flavour, MinCount=1, MaxCount=1
        )
        return str(started["Instances"][0]["InstanceId"])

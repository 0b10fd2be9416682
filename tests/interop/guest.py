"""A real guest: a small Debian with cloud-init, booted by QEMU on a tap in a network namespace of its own.

Nothing in it can be reached from outside, and it reaches nothing outside: its network is the namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

from osg_site_iaas.sandbox import debian_root, folders

DEBIAN = debian_root.DebianRelease(
    "guest",
    "bookworm",
    (
        *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "dbus", "kmod", "procps"),
        *("netbase", "iproute2", "ifupdown", "isc-dhcp-client", "netplan.io", "ca-certificates"),
        *("cloud-init", "cloud-guest-utils", "e2fsprogs", "sudo"),
    ),
)
METADATA = "169.254.169.254"
# EC2's mark in the firmware's tables is what makes cloud-init believe that it is there.
SERIAL = "ec2deadb-0000-4000-8000-000000000001"


@dataclass(frozen=True)
class Image:
    disk: Path
    kernel: Path
    initrd: Path


def image() -> Image:
    """The guest's disk and kernel; some minutes and 2 GB in the cache the first time."""
    debian_root.ensure(DEBIAN, print)
    place = debian_root.path(DEBIAN)
    root, disk = place / "root", place / "disk.qcow2"
    with folders.only_one(place / "disk.lock"):
        if not disk.exists():
            (root / "etc/fstab").write_text("LABEL=root / ext4 defaults 0 1\n")
            (root / "etc/machine-id").write_text("")
            # What cloud-init runs as on EC2, and no other cloud to look for.
            (root / "etc/cloud/cloud.cfg.d/90-ec2.cfg").write_text("datasource_list: [Ec2]\n")
            for name in ("etc/hostname", "etc/resolv.conf"):
                (root / name).unlink(missing_ok=True)
            raw = place / "disk.raw"
            with open(raw, "wb") as file:
                file.truncate(3 << 30)
            subprocess.run(
                ["mke2fs", "-q", "-t", "ext4", "-L", "root", "-d", str(root), str(raw)], check=True
            )
            subprocess.run(
                ["qemu-img", "convert", "-O", "qcow2", str(raw), str(disk.with_suffix(".new"))], check=True
            )
            raw.unlink()
            disk.with_suffix(".new").rename(disk)
    (kernel,), (initrd,) = (root / "boot").glob("vmlinuz-*"), (root / "boot").glob("initrd.img-*")
    return Image(disk, kernel, initrd)


@dataclass(frozen=True)
class Network:
    """A namespace with a tap for one guest, in which the metadata address answers."""

    name: str
    gateway: str
    address: str

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.words(*words), check=check, capture_output=True, text=True)

    def words(self, *words: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, *words]


@contextlib.contextmanager
def network(name: str, gateway: str, address: str) -> Iterator[Network]:
    made = Network(name, gateway, address)
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in (
            "ip link set lo up",
            "ip tuntap add tap0 mode tap",
            "ip link set tap0 up",
            f"ip addr add {gateway}/20 dev tap0",
            f"ip addr add {METADATA}/32 dev tap0",
        ):
            made.run(*words.split())
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", name], check=False)


def dhcp_command(network: Network, mac: str, leases: Path) -> list[str]:
    """dnsmasq as the DHCP agent of the guest's network: one address, for one guest."""
    return network.words(
        *("dnsmasq", "--keep-in-foreground", "--port=0", "--bind-interfaces", "--interface=tap0"),
        *("--conf-file=/dev/null", "--user=root", f"--dhcp-leasefile={leases}"),
        *(f"--dhcp-range={network.address},static,255.255.240.0,1h", f"--dhcp-host={mac},{network.address}"),
        f"--dhcp-option=3,{network.gateway}",
    )


def boot_command(network: Network, image: Image, folder: Path, mac: str) -> Sequence[str]:
    """QEMU without hardware help; the disk's changes go to the folder, the console to standard output."""
    disk = folder / "guest.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(image.disk), "-F", "qcow2", str(disk)],
        check=True,
    )
    return network.words(
        *("qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "Nehalem"),
        *("-m", "768", "-smp", "2", "-nographic", "-no-reboot"),
        *("-kernel", str(image.kernel), "-initrd", str(image.initrd)),
        *("-append", "root=LABEL=root ro console=ttyS0 net.ifnames=0 mitigations=off"),
        *("-drive", f"file={disk},if=virtio", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={mac}"),
        *("-smbios", f"type=1,serial={SERIAL},uuid={SERIAL}"),
    )


def missing() -> list[str]:
    """What this machine lacks for a guest."""
    programs = ("qemu-system-x86_64", "qemu-img", "dnsmasq", "haproxy", "mke2fs", "ip", "debootstrap")
    found = [name for name in programs if not shutil.which(name)]
    return found + ([] if os.geteuid() == 0 else ["root"])

"""A Cinder driver that keeps volumes and snapshots as sparse files: their content is real, their attachment is not.

Nova's fake computes never open what they attach, so the connection carries nothing they could use.
Images are copied byte for byte: a qcow2 image gives a volume that holds a qcow2 file.
"""

import os
import subprocess
from pathlib import Path

from cinder.volume import driver
from oslo_config import cfg

GIB = 1024**3
CAPACITY_GB = 1_000_000


class FilesDriver(driver.VolumeDriver):
    """Says that it holds a petabyte: files take what was written to them only."""

    VERSION = "1.0"

    def do_setup(self, context):
        self.folder = Path(cfg.CONF.state_path) / "volumes"

    def check_for_setup_error(self):
        self.folder.mkdir(parents=True, exist_ok=True)

    def _update_volume_stats(self):
        self._stats = {
            "volume_backend_name": "files",
            "vendor_name": "osg-site-iaas",
            "driver_version": self.VERSION,
            "storage_protocol": "file",
            "pools": [
                {
                    "pool_name": "files",
                    "total_capacity_gb": CAPACITY_GB,
                    "free_capacity_gb": CAPACITY_GB,
                    "provisioned_capacity_gb": 0,
                    "allocated_capacity_gb": 0,
                    "reserved_percentage": 0,
                    "thin_provisioning_support": True,
                    "max_over_subscription_ratio": "10",
                    "multiattach": True,
                    "QoS_support": False,
                }
            ],
        }

    def local_path(self, volume):
        return str(self.folder / volume.id)

    def create_volume(self, volume):
        self._grow(volume, volume.size)

    def delete_volume(self, volume):
        Path(self.local_path(volume)).unlink(missing_ok=True)

    def extend_volume(self, volume, new_size):
        self._grow(volume, new_size)

    def create_snapshot(self, snapshot):
        self._copy(self.local_path(snapshot.volume), self.local_path(snapshot))

    def delete_snapshot(self, snapshot):
        Path(self.local_path(snapshot)).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume, snapshot):
        self._copy(self.local_path(snapshot), self.local_path(volume))
        self._grow(volume, volume.size)

    def create_cloned_volume(self, volume, src_vref):
        self._copy(self.local_path(src_vref), self.local_path(volume))
        self._grow(volume, volume.size)

    def revert_to_snapshot(self, context, volume, snapshot):
        self._copy(self.local_path(snapshot), self.local_path(volume))
        self._grow(volume, volume.size)

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        """Every image is taken here, so that Cinder looks for no qemu-img to convert it."""
        self._fetch(context, volume, image_service, image_meta["id"])
        return {}, True

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        self._fetch(context, volume, image_service, image_id)

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        with open(self.local_path(volume), "rb") as content:
            image_service.update(context, image_meta["id"], {}, content)

    def ensure_export(self, context, volume):
        pass

    def create_export(self, context, volume, connector):
        pass

    def remove_export(self, context, volume):
        pass

    def initialize_connection(self, volume, connector, **_more):
        return {
            "driver_volume_type": "local",
            "data": {"device_path": self.local_path(volume), "access_mode": "rw"},
        }

    def terminate_connection(self, volume, connector, **_more):
        pass

    def _fetch(self, context, volume, image_service, image_id):
        with open(self.local_path(volume), "wb") as file:
            image_service.download(context, image_id, file)
        self._grow(volume, volume.size)

    def _grow(self, volume, size):
        path = self.local_path(volume)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.ftruncate(handle, size * GIB)
        os.close(handle)

    def _copy(self, source, target):
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", "--", source, target], check=True)

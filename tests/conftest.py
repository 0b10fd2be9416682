"""What every suite that needs a real OpenStack shares: one sandbox for all of them."""

from tests.sandbox_cloud import cloud as cloud

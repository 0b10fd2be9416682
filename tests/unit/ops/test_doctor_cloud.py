"""What the doctor concludes without a cloud."""

import pytest

from osg_site_iaas.ops.checks.cloud import apart


@pytest.mark.parametrize(
    "before, theirs, after, skew",
    [
        (100.0, 100.0, 100.2, 0.0),
        (100.9, 100.0, 101.2, 0.0),  # their second began before we asked
        (100.0, 140.0, 161.0, 0.0),  # it took its time; the clock may be right
        (100.0, 200.0, 101.0, 99.0),
        (500.0, 200.0, 501.0, 299.0),
    ],
)
def test_a_clock_is_off_by_at_least_so_much(before: float, theirs: float, after: float, skew: float) -> None:
    assert apart(before, theirs, after) == pytest.approx(skew)

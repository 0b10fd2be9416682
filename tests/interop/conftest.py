"""The suites of real clients use the EC2 fixtures of tests/sandbox, whatever is run alone."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
pytest.register_assert_rewrite("ec2_fixtures", "tests.interop.condor_fixtures")

"""The suites of real clients use the EC2 fixtures of tests/sandbox, whatever is run alone."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox"))
pytest.register_assert_rewrite("ec2_fixtures", "tests.interop.condor_fixtures", "tests.interop.packages_kit")

# One build of the packages for all files that need it.
from tests.interop.packages_kit import (  # noqa: E402
    debian11 as debian11,
)
from tests.interop.packages_kit import (  # noqa: E402
    installed as installed,
)
from tests.interop.packages_kit import (  # noqa: E402
    no_libraries_are_left as no_libraries_are_left,
)
from tests.interop.packages_kit import (  # noqa: E402
    release as release,
)

"""As serve.py, with our own package in sight from the start: Keystone's configuration names a plug-in of it."""

import sys
from pathlib import Path

# What all releases share goes before what is here; the package last, as everything of the release goes before it.
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.append(str(Path(__file__).parents[4]))

import serve

serve.main()

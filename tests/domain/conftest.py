"""The tables' names follow from the stage, which is read when the modules that use them are imported."""

from __future__ import annotations

import os

os.environ.setdefault("STAGE", "test")

"""Shared by all tests: no colour, no network settings from outside, one small model a format."""

from __future__ import annotations

import os

os.environ.setdefault("NO_COLOR", "1")
os.environ.pop("COLUMNS", None)

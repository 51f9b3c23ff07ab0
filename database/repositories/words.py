"""The four words of the project's error vocabulary, as the tables spell them."""

from __future__ import annotations

from typing import Literal

ErrorWord = Literal["retry", "config", "permanent", "skip_row"]

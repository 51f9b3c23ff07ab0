"""uvicorn's log without what authenticates: it writes the whole address of each WebSocket."""

from __future__ import annotations

import logging
import re

_TOKEN = re.compile(r"(access_token=)[^&\s\"]+")


class _Mask(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(_masked(value) for value in record.args)
        record.msg = _masked(record.msg)
        return True


def _masked(value: object) -> object:
    return _TOKEN.sub(r"\1...", value) if isinstance(value, str) else value


def keep_tokens_out_of_the_log() -> None:
    """No access log, and no token in what else uvicorn says."""
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(present, _Mask) for present in logger.filters):
        logger.addFilter(_Mask())

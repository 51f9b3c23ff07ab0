"""Session tokens of the simulated account: one hour each."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

LIFETIME = timedelta(hours=1)
_SIGNING_KEY = b"the simulator's own"


class Tokens:
    """Gives and knows tokens. `issued` counts them."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        api_login: str,
        password: str,
        app: tuple[str, str, str] | None,
        *,
        is_v1_refused: bool,
    ) -> None:
        self.api_login = api_login
        self.password = password
        self.app = app
        self.is_v1_refused = is_v1_refused
        self.is_plain_text = False
        """Whether the dialect `spec` answers with the bare token."""
        self.issued = 0
        self._clock = clock
        self._known: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def issue(self, *, is_jwt: bool) -> str:
        with self._lock:
            self.issued += 1
            expires = self._clock() + LIFETIME
            token = hashlib.sha256(f"token {self.issued}".encode()).hexdigest()
            if is_jwt:
                token = self._jwt(expires)
            self._known[token] = expires
            return token

    def is_good(self, authorization: str) -> bool:
        """Whether the header carries a token that is not too old."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            expires = self._known.get(token)
        return scheme == "Bearer" and expires is not None and self._clock() < expires

    def revoke_all(self) -> None:
        with self._lock:
            self._known.clear()

    def _jwt(self, expires: datetime) -> str:
        claims = {"sub": self.app[1] if self.app else "", "exp": int(expires.timestamp()), "n": self.issued}
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
        signature = hmac.digest(_SIGNING_KEY, signed.encode(), hashlib.sha256)
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _part(value: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

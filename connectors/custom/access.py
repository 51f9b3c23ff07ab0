"""One request to a definition's vendor: addresses from templates, authentication, answers as trees."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from connectors.client_credentials import is_fresh, obtain_token
from connectors.custom.documents import parse
from connectors.custom.sandbox import Template
from connectors.custom.shapes import Auth, Definition
from connectors.errors import ConfigError
from connectors.http import Answer, HttpSession
from connectors.protocol import Account
from connectors.tokens import Tokens, call_with_tokens

_ACCEPT = {"json": "application/json", "xml": "application/xml, text/xml"}


@dataclass(frozen=True)
class Access:
    """An account at the vendor. Open it with `open_access`, which also keeps the session out of private networks."""

    http: HttpSession
    account: Account
    definition: Definition

    async def get(self, path: str, params: Mapping[str, str]) -> Answer[Any]:
        """The tree of an answer. Errors as `HttpSession.request`; ConfigError names the wrong credential."""
        auth = self.definition.auth
        if auth.type != "oauth2":
            return await self._get(path, params, _headers(auth, self.account.credentials))

        async def obtain(_: Tokens) -> Tokens:
            given = credentials_of(auth, self.account.credentials)
            return await obtain_token(
                self.http, auth.token_url, given["client_id"], given["client_secret"], scope=auth.scope
            )

        async def call(tokens: Tokens) -> Answer[Any]:
            token = tokens.get("access_token", "")
            self.http.add_secret(token)
            return await self._get(path, params, {"Authorization": f"Bearer {token}"})

        return await call_with_tokens(self.account.tokens, obtain, call, is_fresh=is_fresh)

    async def _get(self, path: str, params: Mapping[str, str], headers: Mapping[str, str]) -> Answer[Any]:
        form = self.definition.format
        sent = {"Accept": _ACCEPT[form], **self.definition.headers, **headers}
        try:
            return await self.http.request(
                "GET", path, params=params or None, headers=sent, decode=lambda body: parse(body, form)
            )
        except ConfigError as error:
            if error.status != 401:
                raise
            raise ConfigError(f"{_refused(self.definition.auth)} ({error.message})", status=401) from None

    def path(self, template: Template, **values: str) -> str:
        """The path that a template of the definition makes; values are quoted for an address."""
        quoted = {name: quote(value, safe="") for name, value in values.items()}
        try:
            made = template.render({"project": quote(self.account.project_id, safe=""), **quoted})
        except ValueError as error:
            raise ConfigError(f"a path of the definition cannot be made: {error}") from None
        # It stays below base_url whatever the values were.
        if any(part in (".", "..") for part in urlsplit(made).path.split("/")) or made.startswith(
            ("//", "http://", "https://")
        ):
            raise ConfigError("a path of the definition leads out of base_url: correct its template")
        return made

    def params(self, templates: Mapping[str, Template], **values: str) -> dict[str, str]:
        """Parameters of the query; those that are empty are left out."""
        try:
            made = {
                name: template.render({"project": self.account.project_id, **values})
                for name, template in templates.items()
            }
        except ValueError as error:
            raise ConfigError(f"params of the definition cannot be made: {error}") from None
        return {name: value for name, value in made.items() if value}


async def open_access(http: HttpSession, account: Account, definition: Definition) -> Access:
    """Raises ConfigError if a credential is missing."""
    await http.restrict(definition.allow_hosts, definition.max_response_bytes)
    credentials_of(definition.auth, account.credentials)
    return Access(http, account, definition)


def credentials_of(auth: Auth, given: Mapping[str, str]) -> dict[str, str]:
    """The credentials by their role. Raises ConfigError naming one that is missing or cannot be in a header."""
    found = {}
    for role, name in auth.credentials.items():
        value = given.get(name, "").strip()
        if not value:
            raise ConfigError(f"the credential {name}, a key or token of the vendor's, is empty: set it")
        if auth.type != "basic" and not (value.isascii() and value.isprintable()):
            raise ConfigError(f"the credential {name} holds characters that no key or token has: copy it anew")
        found[role] = value
    return found


def _headers(auth: Auth, given: Mapping[str, str]) -> dict[str, str]:
    values = credentials_of(auth, given)
    match auth.type:
        case "basic":
            pair = f"{values['username']}:{values['password']}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        case "bearer":
            return {"Authorization": f"Bearer {values['token']}"}
        case "header":
            return {auth.header: values["value"]}
    return {}


def _refused(auth: Auth) -> str:
    names = " and ".join(auth.credentials.values())
    if not names:
        return "the vendor wants credentials: add `auth` to the definition"
    return f"the vendor refuses {'the credentials' if ' and ' in names else 'the credential'} {names}; set it anew"

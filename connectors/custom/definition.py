"""Reads `options.definition`: everything that is wrong with it, each with its path, or the compiled definition."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast, get_args
from urllib.parse import urlsplit

from connectors.custom.documents import Format
from connectors.custom.expressions import Expression, compile_field, compile_path
from connectors.custom.reader import Reader
from connectors.custom.sandbox import Template
from connectors.custom.shapes import (
    FIELDS,
    REQUIRED,
    TYPES,
    Auth,
    AuthType,
    Definition,
    Entity,
    Field,
    Incremental,
    One,
    Paging,
    PagingType,
)
from connectors.errors import ConfigError
from connectors.http import decode_json, encode_json

PATH = "definition"
DEFAULT_RATE = (60, 60.0)
DEFAULT_OVERLAP = 5
_DEFAULT_MIB, _MOST_MIB = 16, 64
_ROLES: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("value",),
    "oauth2": ("client_id", "client_secret"),
}
_ROLE_DEFAULTS = {"value": "api_key"}
_PAGING_KEYS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "page": ("param", "start", "size_param", "size", "total"),
    "offset": ("param", "size_param", "size", "total"),
    "cursor": ("param", "next", "size_param", "size"),
    "next_link": ("next", "size_param", "size"),
}
_TIME_FORMATS = ("iso", "date", "epoch", "epoch_ms")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,59}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def check(options: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What is wrong with these options: (path, one sentence)."""
    return _read(options)[1]


def definition_of(options: Mapping[str, Any]) -> Definition:
    """The definition in a project's options. Raises ConfigError with the first thing that is wrong with it."""
    definition, problems = _read(options)
    if definition is None:
        path, message = problems[0]
        raise ConfigError(f"options.{path}: {message}: correct the definition and run `crm-elt apply`.")
    return definition


def _read(options: Mapping[str, Any]) -> tuple[Definition | None, tuple[tuple[str, str], ...]]:
    given = options.get(PATH)
    if given is None:
        return None, ((PATH, "required: it says where the records are and what their fields mean"),)
    return _compiled(encode_json(given))


@lru_cache(maxsize=64)
def _compiled(text: bytes) -> tuple[Definition | None, tuple[tuple[str, str], ...]]:
    problems: list[tuple[str, str]] = []
    reader = Reader(decode_json(text), PATH, problems)
    definition = _definition(reader)
    return (None if problems else definition), tuple(problems)


def _definition(reader: Reader) -> Definition:
    form = cast(Format, reader.choice("format", get_args(Format), "json"))
    namespaces = {name: reader.at("namespaces").text(name) or "" for name in reader.names("namespaces")}
    rate = reader.at("rate_limit")
    requests, seconds = rate.whole("requests", 1, 1_000_000), rate.whole("per_seconds", 1, 86_400)
    rate.only("requests", "per_seconds")
    entities = {}
    for name in reader.names("entities"):
        if name in FIELDS:
            entities[name] = _entity(name, reader.at("entities").at(name), form, namespaces)
        else:
            reader.at("entities").problem(name, f"unknown entity; known: {', '.join(FIELDS)}")
    if not reader.names("entities"):
        reader.problem("entities", f"required: at least one of {', '.join(FIELDS)}")
    reader.only("format", "auth", "headers", "allow_hosts", "max_response_mb", "rate_limit", "namespaces", "entities")
    return Definition(
        format=form,
        auth=_auth(reader.at("auth")),
        headers=_headers(reader),
        allow_hosts=tuple(host.lower() for host in reader.texts("allow_hosts")),
        max_response_bytes=(reader.whole("max_response_mb", 1, _MOST_MIB) or _DEFAULT_MIB) * 1024 * 1024,
        rate_limit=DEFAULT_RATE if requests is None or seconds is None else (requests, float(seconds)),
        entities=entities,
    )


def _headers(reader: Reader) -> dict[str, str]:
    headers = {}
    for name in reader.names("headers"):
        value = reader.at("headers").text(name) or ""
        if not _HEADER.fullmatch(name) or not value.isascii() or not value.isprintable():
            reader.at("headers").problem(name, "not a header: letters, digits and dashes, and a value in ASCII")
        elif re.search(r"auth|cookie|token|secret|key", name, re.IGNORECASE):
            reader.at("headers").problem(name, "a secret does not belong here: use auth with type header")
        headers[name] = value
    return headers


def _auth(reader: Reader) -> Auth:
    kind = cast(AuthType, reader.choice("type", get_args(AuthType), "none"))
    credentials = {}
    for role in _ROLES[kind]:
        name = reader.text(role) or _ROLE_DEFAULTS.get(role, role)
        if not _NAME.fullmatch(name):
            reader.problem(role, "expected the name of a credential: letters, digits and _")
        credentials[role] = name
    header, token_url = "", ""
    extra: tuple[str, ...] = ()
    if kind == "header":
        extra = ("header",)
        header = reader.text("header", required=True) or ""
        if header and not _HEADER.fullmatch(header):
            reader.problem("header", "expected the name of a header such as X-Api-Key")
    if kind == "oauth2":
        extra = ("token_url", "scope")
        token_url = reader.text("token_url", required=True) or ""
        parts = urlsplit(token_url)
        if token_url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
            reader.problem("token_url", "expected http(s)://host/path")
    scope = reader.text("scope") if kind == "oauth2" else None
    reader.only("type", *_ROLES[kind], *extra)
    return Auth(kind, credentials, header, token_url, scope)


def _entity(name: str, reader: Reader, form: Format, namespaces: Mapping[str, str]) -> Entity:
    def compiled(at: Reader, key: str, default: str | None = None) -> Expression:
        text = at.text(key, required=default is None) or default or _root(form)
        return at.tried(key, lambda: compile_path(text, form, namespaces), lambda: compile_path(_root(form), form, {}))

    fields = {}
    given = reader.at("fields")
    for key in reader.names("fields"):
        if key not in FIELDS[name]:
            given.problem(key, f"unknown field of {name}; known: {', '.join(FIELDS[name])}")
        elif (one := _field(key, FIELDS[name][key], given, form, namespaces)) is not None:
            fields[key] = one
    for key in REQUIRED[name]:
        if key not in reader.names("fields"):
            given.problem(key, "required")
    if "status" in fields and not {"status_changed_at", "updated_at", "created_at"} & fields.keys():
        given.problem("status", "it needs status_changed_at or updated_at: when the order came to the status")
    params = {key: _template(reader.at("params"), key, ("since", "project")) for key in reader.names("params")}
    path = _template(reader, "path", ("since", "project"), required=True)
    uses_since = any("since" in template.names for template in (path, *params.values()))
    incremental = _incremental(name, reader, uses_since)
    known = ("path", "params", "records", "fields", "pagination", "incremental", "one", "webhook", "volatile")
    reader.only(*known, "lists_all")
    return Entity(
        name=name,
        path=path,
        params=params,
        records=compiled(reader, "records", _root(form)),
        fields=fields,
        paging=_paging(reader.at("pagination"), compiled),
        incremental=incremental,
        one=_one(reader.at("one"), compiled, form) if reader.names("one") else None,
        webhook=compiled(reader, "webhook") if reader.has("webhook") else None,
        volatile=frozenset(reader.texts("volatile")),
        lists_all=reader.flag("lists_all"),
        fingerprint=_fingerprint(reader.data),
    )


def _field(key: str, type_: str, given: Reader, form: Format, namespaces: Mapping[str, str]) -> Field | None:
    if isinstance(given.data.get(key), dict):
        reader = given.at(key)
        text, value = reader.text("from"), reader.text("value")
        chosen = reader.choice("type", TYPES.get(type_, (type_,)), type_)
        mark = reader.choice("decimal_mark", (".", ","), "") if type_ == "money" else ""
        time_format = reader.text("format") if type_ == "time" else None
        if (text is None) == (value is None):
            given.problem(key, "give either `from`, a path or template, or `value`, the same for all")
            return None
        if time_format is not None and "%" not in time_format:
            reader.problem("format", 'expected a format such as "%d.%m.%Y %H:%M"')
        extra = {"money": ("decimal_mark",), "time": ("format",)}.get(type_, ())
        reader.only("from", "value", "type", *extra)
    else:
        text, value, chosen, mark, time_format = given.text(key), None, type_, "", None
        if text is None:
            if given.data.get(key) is None:
                given.problem(key, "expected a path, a template, or a mapping with `from`")
            return None
    expression = None
    if text is not None:
        expression = given.tried(key, lambda: compile_field(text, form, namespaces), lambda: None)
    return Field(key, chosen, expression, value, time_format, cast(Any, mark or None))


def _one(reader: Reader, compiled: Callable[..., Expression], form: Format) -> One:
    path = _template(reader, "path", ("id", "project"), required=True)
    if "id" not in path.names:
        reader.problem("path", "it needs {{ id }}")
    reader.only("path", "record")
    return One(path, compiled(reader, "record", _root(form)))


def _paging(reader: Reader, compiled: Callable[..., Expression]) -> Paging:
    kind = cast(PagingType, reader.choice("type", get_args(PagingType), "none"))
    keys = _PAGING_KEYS[kind]
    needs_next = "next" in keys
    size, size_param = reader.whole("size", 1, 100_000), reader.text("size_param")
    if size_param is not None and size is None:
        reader.problem("size", f"required beside size_param: how many records {size_param} asks for")
    if kind == "offset" and (size is None or size < 2):
        reader.problem("size", "required, at least 2: each page begins with the last row of the page before")
    reader.only("type", *keys)
    return Paging(
        type=kind,
        param=(reader.text("param", required=True) or "") if "param" in keys else "",
        size_param=size_param,
        size=size,
        start=1 if (start := reader.whole("start", 0, 1_000_000)) is None else start,
        next=compiled(reader, "next") if needs_next else None,
        total=compiled(reader, "total") if "total" in keys and reader.has("total") else None,
    )


def _incremental(name: str, reader: Reader, uses_since: bool) -> Incremental | None:
    if not reader.names("incremental"):
        if uses_since:
            reader.problem("incremental", "required where a template has {{ since }}: it says how a time is written")
        return None
    own = reader.at("incremental")
    param, field = own.text("param"), own.text("field") or "updated_at"
    if (param is None) == (not uses_since):
        own.problem("param", "give either it, or {{ since }} in the path or in params")
    if FIELDS[name].get(field) != "time" or field not in reader.names("fields"):
        own.problem("field", f"{field} has to be one of the fields, and a time: the pull goes on after the latest one")
    form = own.text("format") or "iso"
    if form not in _TIME_FORMATS and "%" not in form:
        own.problem("format", f'expected {", ".join(_TIME_FORMATS)}, or a format such as "%d.%m.%Y %H:%M:%S"')
    overlap = own.whole("overlap_minutes", 0, 525_600)
    own.only("param", "field", "format", "overlap_minutes")
    return Incremental(param, field, form, DEFAULT_OVERLAP if overlap is None else overlap)


def _template(reader: Reader, key: str, names: Sequence[str], *, required: bool = False) -> Template:
    text = reader.text(key, required=required) or ""
    if text.startswith(("http://", "https://", "//")):
        reader.problem(key, "expected a path below base_url, such as /orders")
    return reader.tried(key, lambda: Template(text, frozenset(names)), lambda: Template("", frozenset()))


def _root(form: Format) -> str:
    return "$" if form == "json" else "."


def _fingerprint(data: Mapping[str, Any]) -> str:
    """Of all but what only mapping uses: a pull goes on where it was when a description is read otherwise."""
    fields = data.get("fields")
    kept = {name: value for name, value in data.items() if name not in ("fields", "one", "webhook", "lists_all")}
    if isinstance(fields, dict):
        kept["id"] = fields.get("id")
    return hashlib.sha256(encode_json(kept)).hexdigest()[:16]

"""From the text of a settings file to checked projects, with all that is wrong in it at once. No database here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from connectors.protocol import Capabilities
from database.repositories.credentials import WEBHOOK_SECRET
from sync.settings import strict_yaml, variables
from sync.settings.fields import Flag, Identifier, Number, Text, Whole
from sync.settings.models import (
    Cycle,
    Policy,
    Project,
    RateLimit,
    Section,
    Sla,
    Status,
    StatusGroup,
    Subscription,
    Urgent,
    WorkingHours,
)
from sync.settings.problems import FilePath, Problem, SettingsError, explain, format_path, unknown_key
from sync.settings.words import closest, listing

RATE_LIMIT = "rate_limit"
_LISTS: dict[str, type[Section]] = {
    "status_groups": StatusGroup,
    "statuses": Status,
    "sla": Sla,
    "cycles": Cycle,
    "urgent": Urgent,
}
_OPTION_TYPES: dict[Any, Any] = {str: Text, int: Whole, float: Number, bool: Flag}


@dataclass(slots=True)
class Draft:
    """One project of the file; `values` holds those of its sections that are valid."""

    path: FilePath
    values: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    """Names of the sections that the file has."""
    project: Project | None = None
    """None if anything of it is wrong."""

    def where(self, *path: str | int) -> str:
        return format_path((*self.path, *path))


@dataclass(slots=True)
class Reading:
    drafts: list[Draft] = field(default_factory=list)
    subscriptions: list[tuple[FilePath, Subscription]] = field(default_factory=list)
    """Those of the file that are right."""
    problems: list[Problem] = field(default_factory=list)


def read(text: str, *, source: str, environ: Mapping[str, str], known: Mapping[str, Capabilities]) -> Reading:
    """Check a settings file against the models and the connectors' capabilities (`known`, by CRM).

    Returns what is right and every problem. Raises SettingsError at once only if the text is not YAML.
    """
    tree, problems = strict_yaml.load(text, source)
    reading = Reading(problems=problems)
    if not isinstance(tree, dict) or not _has_one(tree):
        if not problems:
            reading.problems.append(Problem("projects" if isinstance(tree, dict) else source, _EXPECTED))
        return reading
    reading.problems += [Problem(format_path((key,)), unknown_key(_PARTS)) for key in tree if key not in _PARTS]
    substituted = variables.substitute({name: tree.get(name) or [] for name in _PARTS}, environ)
    reader = _Reader(substituted, known)
    for index, raw in enumerate(substituted.tree["projects"]):
        reading.drafts.append(reader.project(("projects", index), raw))
    reader.check_project_ids(reading.drafts)
    reading.subscriptions = reader.subscriptions(substituted.tree["subscriptions"])
    reading.problems += substituted.problems + reader.problems
    return reading


def parse(text: str, *, source: str, environ: Mapping[str, str], known: Mapping[str, Capabilities]) -> list[Project]:
    """The projects of a settings file. Raises SettingsError with all its problems."""
    reading = read(text, source=source, environ=environ, known=known)
    if reading.problems:
        raise SettingsError(reading.problems)
    return [cast(Project, draft.project) for draft in reading.drafts]


def _has_one(tree: dict[str, Any]) -> bool:
    """Whether there is a list of projects or of subscriptions, and nothing else in their places."""
    lists = [tree[name] for name in _PARTS if tree.get(name) is not None]
    return any(lists) and all(isinstance(one, list) for one in lists)


_PARTS = ("projects", "subscriptions")
_EXPECTED = "expected `projects:` with a list of projects, each with id, name, crm, timezone and credentials"


@cache
def _annotations() -> dict[str, Any]:
    return get_type_hints(Project, include_extras=True)


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


class _Reader:
    def __init__(self, substituted: variables.Substituted, known: Mapping[str, Capabilities]) -> None:
        self.problems: list[Problem] = []
        self._substituted = substituted
        self._known = known

    def project(self, path: FilePath, raw: Any) -> Draft:
        draft = Draft(path)
        before = len(self.problems)
        if not isinstance(raw, dict):
            self._add(path, "expected a mapping with id, name, crm, timezone and credentials")
            return draft
        draft.given = frozenset(name for name, value in raw.items() if value is not None)
        for key in raw:
            if key not in Project.model_fields:
                self._add((*path, key), self._unknown(key, Project.model_fields))
        for name, info in Project.model_fields.items():
            value = raw.get(name)
            if value is None:
                if info.is_required():
                    self._add((*path, name), "required")
                else:
                    draft.values[name] = info.get_default()
            elif name == "options":
                continue
            elif name in _LISTS:
                draft.values[name] = self._items(_LISTS[name], value, (*path, name))
            else:
                self._section(draft, name, value)
        self._check_connector(draft, raw)
        self._check_lists(draft)
        unresolved = any(failed[: len(path)] == path for failed in self._substituted.failed)
        if len(self.problems) == before and not unresolved:
            lists = {name: [item for _, item in draft.values[name]] for name in _LISTS}
            draft.project = Project.model_construct(**{**draft.values, **lists})
        return draft

    def check_project_ids(self, drafts: Iterable[Draft]) -> None:
        self._unique(
            [(draft.path, draft.values["id"]) for draft in drafts if "id" in draft.values],
            lambda project_id: f"project {project_id}",
            suffix="id",
        )

    def subscriptions(self, raw: Any) -> list[tuple[FilePath, Subscription]]:
        path: FilePath = ("subscriptions",)
        items = self._items(Subscription, raw, path)
        self._unique([(where, item.id) for where, item in items], lambda name: f"subscription {name}", suffix="id")
        return items

    def _section(self, draft: Draft, name: str, value: Any) -> None:
        annotation = _annotations()[name]
        if name == "conflict_policy":  # of a union pydantic would report the errors of both halves
            annotation = dict[Identifier, Policy] if isinstance(value, dict) else Policy
        valid, result = self._validate(annotation, strict_yaml.as_text(value), (*draft.path, name))
        if valid:
            draft.values[name] = result

    def _items(self, model: type[Section], value: Any, path: FilePath) -> list[tuple[FilePath, Any]]:
        if not isinstance(value, list):
            self._add(path, "expected a list")
            return []
        items = []
        for index, item in enumerate(value):
            valid, result = self._validate(model, strict_yaml.as_text(item), (*path, index))
            if valid:
                items.append(((*path, index), result))
        return items

    def _validate(self, annotation: Any, value: Any, path: FilePath) -> tuple[bool, Any]:
        try:
            return True, _adapter(annotation).validate_python(value)
        except ValidationError as error:
            for item in error.errors(include_url=False):
                location = (*path, *(part for part in item["loc"] if part != "[key]"))
                if item["type"] == "extra_forbidden":
                    key = str(location[-1])
                    fields = _fields_at(annotation, item["loc"][:-1])
                    self._add(location, self._unknown(key, fields) if fields else "unknown key")
                else:
                    self._add(location, explain(item, show_value=self._may_show(location)))
            return False, None

    def _check_connector(self, draft: Draft, raw: Mapping[str, Any]) -> None:
        crm = draft.values.get("crm")
        if crm is None:
            return
        capabilities = self._known.get(crm)
        if capabilities is None:
            available = listing(sorted(self._known), "or")
            meant = closest(crm, sorted(self._known))
            hint = f" (did you mean {meant}?)" if meant else ""
            self._add((*draft.path, "crm"), f'no connector for "{crm}"{hint}; available: {available}')
            return
        if raw.get("options") is not None:
            self._check_options(draft, crm, capabilities, raw["options"])
        capabilities = self._refine(draft, capabilities)
        self._check_credentials(draft, crm, capabilities)
        lacks_address = "base_url" not in draft.given and capabilities.default_base_url is None
        if capabilities.has_api and lacks_address:
            self._add((*draft.path, "base_url"), f"required: {crm} has no address that is the same for all accounts")

    def _refine(self, draft: Draft, capabilities: Capabilities) -> Capabilities:
        """The capabilities with the project's options; as they are where these are wrong, which is told already."""
        options = draft.values.get("options", {})
        problems = [] if capabilities.check_options is None else capabilities.check_options(options)
        for path, message in problems:
            self._add((*draft.path, "options", *path.split(".")), message)
        return capabilities if problems else capabilities.given(options)

    def _check_credentials(self, draft: Draft, crm: str, capabilities: Capabilities) -> None:
        names = sorted(capabilities.credential_names)
        for name in draft.values.get("credentials", {}):
            if name == WEBHOOK_SECRET:
                self._add((*draft.path, "credentials", name), "set it as webhook: {secret: ...}")
            elif name not in names:
                expected = f"expected {listing(names, 'or')}" if names else "it takes none"
                self._add((*draft.path, "credentials", name), f"{crm} has no such credential; {expected}")
        if capabilities.check_credentials is not None:
            for name, message in capabilities.check_credentials(draft.values.get("credentials", {})):
                self._add((*draft.path, "credentials", name), message)

    def _check_options(self, draft: Draft, crm: str, capabilities: Capabilities, raw: Any) -> None:
        path = (*draft.path, "options")
        if not isinstance(raw, dict):
            self._add(path, "expected a mapping")
            return
        types: dict[str, Any] = {**capabilities.options, RATE_LIMIT: RateLimit}
        options: dict[str, Any] = {}
        for name, value in raw.items():
            if name not in types:
                self._add((*path, name), f"{crm} has no such option; expected {listing(sorted(types), 'or')}")
                continue
            typed = types[name] in _OPTION_TYPES or name == RATE_LIMIT
            given = strict_yaml.as_text(value) if typed else strict_yaml.natural(value)
            valid, result = self._validate(_OPTION_TYPES.get(types[name], types[name]), given, (*path, name))
            if valid:
                options[name] = result.model_dump() if isinstance(result, RateLimit) else result
        draft.values["options"] = options

    def _check_lists(self, draft: Draft) -> None:
        values = draft.values
        for name in ("status_groups", "statuses", "cycles"):
            self._unique([(path, item.id) for path, item in values.get(name, [])], lambda key: f"id {key}", suffix="id")
        self._unique(
            [(path, (profile, item.group_id)) for path, item in values.get("sla", []) for profile in item.limits()],
            lambda key: f"group {key[1]} in the {key[0]} grid",
        )
        self._unique(
            [(path, (item.match, item.value)) for path, item in values.get("urgent", [])],
            lambda key: f"{key[0]} {key[1]}",
        )
        defaults = [(path, True) for path, item in values.get("cycles", []) if item.default]
        self._unique(defaults, lambda _: "a default cycle", suffix="default")
        working_hours = values.get("working_hours")
        if isinstance(working_hours, WorkingHours):
            self._unique(
                [
                    ((*draft.path, "working_hours", "exceptions", index), (item.date.isoformat(), item.group))
                    for index, item in enumerate(working_hours.exceptions)
                ],
                _describe_exception,
            )

    def _unique(
        self,
        items: Iterable[tuple[FilePath, Any]],
        describe: Callable[[Any], str],
        *,
        suffix: str | None = None,
    ) -> None:
        first: dict[Hashable, FilePath] = {}
        for path, key in items:
            if key in first:
                where = path if suffix is None else (*path, suffix)
                self._add(where, f"{describe(key)} is given already by {format_path(first[key])}")
            first.setdefault(key, path)

    def _unknown(self, key: str, fields: Iterable[str]) -> str:
        meant = closest(key, list(fields))
        return f"unknown key (did you mean {meant}?)" if meant else unknown_key(fields)

    def _add(self, path: FilePath, message: str) -> None:
        # What a missing variable would have filled in is complained of already.
        if not any(path[: len(failed)] == failed for failed in self._substituted.failed):
            self.problems.append(Problem(format_path(path), message))

    def _may_show(self, path: FilePath) -> bool:
        if "credentials" in path or path[-1] == "secret":
            return False
        return not any(resolved[: len(path)] == path for resolved in self._substituted.resolved)


def _describe_exception(key: tuple[str, str | None]) -> str:
    day, group = key
    return f"{day} for all groups" if group is None else f"{day} for group {group}"


def _fields_at(annotation: Any, location: Sequence[str | int]) -> list[str]:
    """Names of the fields of the model at this place of an annotation; none if it is not found."""
    model = annotation
    for part in location:
        if isinstance(part, int) or not isinstance(model, type) or not issubclass(model, Section):
            continue
        info = model.model_fields.get(part)
        model = None if info is None else _model_in(info.annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, Section) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None

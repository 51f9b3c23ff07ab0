"""`${VAR}` in settings files: values of the environment. `$${` stands for a plain `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync.settings.problems import FilePath, Problem, format_path

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class Substituted:
    """A tree whose references are resolved."""

    tree: Any = None
    problems: list[Problem] = field(default_factory=list)
    resolved: set[FilePath] = field(default_factory=set)
    """Paths whose value came from the environment: it may be a secret, so no message shows it."""
    failed: set[FilePath] = field(default_factory=set)
    """Paths whose reference has no value; they are left as they were."""


def substitute(tree: Any, environ: Mapping[str, str]) -> Substituted:
    """Replace each `${VAR}` in the values of the tree (not in keys)."""
    result = Substituted()
    result.tree = _walk(tree, (), environ, result)
    return result


def escape(text: str) -> str:
    """The text as a settings file must write it to mean itself."""
    return text.replace("${", "$${")


def placeholder(project_id: str, name: str) -> str:
    """The reference that stands for a credential in an exported file: `${PRINT_SHOP_API_KEY}`."""
    variable = re.sub(r"[^A-Z0-9]", "_", f"{project_id}_{name}".upper())
    return f"${{{variable if not variable[0].isdigit() else f'_{variable}'}}}"


def _walk(value: Any, path: FilePath, environ: Mapping[str, str], result: Substituted) -> Any:
    if isinstance(value, dict):
        return {key: _walk(item, (*path, key), environ, result) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, (*path, index), environ, result) for index, item in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    reasons: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = match[1]
        if not match[2]:
            reasons.append("${ without }; write $${ for a plain ${")
        elif not _NAME.fullmatch(name):
            reasons.append("expected ${NAME} of letters, digits and _; write $${ for a plain ${")
        elif name not in environ:
            reasons.append(f"environment variable {name} is not set")
        elif not environ[name]:
            reasons.append(f"environment variable {name} is empty")
        elif "\0" in environ[name] or any("\ud800" <= letter <= "\udfff" for letter in environ[name]):
            reasons.append(f"environment variable {name} is not valid text")
        else:
            result.resolved.add(path)
            return environ[name]
        return match[0]

    text = _REFERENCE.sub(replace, value)
    if reasons:
        result.failed.add(path)
        result.problems += [Problem(format_path(path), reason) for reason in reasons]
        return value
    return text

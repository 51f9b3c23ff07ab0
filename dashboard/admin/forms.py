"""What a form of the admin's pages has sent, and what is shown again if it cannot be taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from fastapi import Request

from dashboard.ui import pages
from dashboard.ui.pages import Shell
from dashboard.users import UserError
from database.repositories.users import Role
from web.problems import ProblemError


@dataclass(frozen=True, slots=True)
class Form:
    """Fields with one value, the projects that were ticked, and sentences about what is wrong by field."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    projects: frozenset[str] = frozenset()
    errors: Mapping[str, str] = field(default_factory=dict)
    """In the page's language; '' is for the form as a whole."""

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    @property
    def role(self) -> Role:
        """Raises ProblemError, 400, if a form that is none of ours names another."""
        if (role := self.get("role")) not in ("admin", "viewer"):
            raise ProblemError(400, "invalid", "A role is admin or viewer.")
        return cast(Role, role)

    @property
    def project_ids(self) -> list[str] | None:
        """None: all. Raises UserError."""
        if self.get("scope", "all") == "all":
            return None
        if not self.projects:
            raise UserError("Choose at least one project, or all.", about="projects")
        return sorted(self.projects)

    @property
    def user_projects(self) -> list[str] | None:
        """The same for a user: an admin sees all."""
        return None if self.role == "admin" else self.project_ids

    def require_equal(self, name: str, other: str, sentence: str) -> None:
        """Raises UserError."""
        if self.get(name) != self.get(other):
            raise UserError(sentence, about=other)

    def refused(self, page: Shell, error: UserError | ProblemError) -> Form:
        """The same with the sentence at its field."""
        about = error.about if isinstance(error, UserError) else ""
        return Form(self.values, self.projects, {about: pages.said(page, error)})


async def read_form(request: Request) -> Form:
    sent = await request.form()
    values = {name: value for name, value in sent.items() if isinstance(value, str) and "\0" not in value}
    projects = frozenset(value for value in sent.getlist("project") if isinstance(value, str) and "\0" not in value)
    return Form(values, projects)


def form_of(role: Role, project_ids: list[str] | None) -> Form:
    """The fields as they are now."""
    return Form({"role": role, "scope": "all" if project_ids is None else "some"}, frozenset(project_ids or ()))

"""The dashboard's own refusals."""

from __future__ import annotations

from sync.settings import SettingsError
from web.problems import ProblemError


class UnauthorisedError(ProblemError):
    """401: who asks is not known."""

    challenge = "Bearer"

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(401, code, detail)


def forbidden_to_viewers() -> ProblemError:
    return ProblemError(403, "admins_only", "Only an admin may do this.")


def people_only() -> ProblemError:
    return ProblemError(403, "people_only", "A token for scripts may not do this: log in as a user.")


def problem_places(error: SettingsError) -> list[dict[str, str]]:
    """What is wrong with settings, place by place: for the member `problems` of a refusal."""
    return [{"where": problem.where, "message": problem.message} for problem in error.problems]


def unknown_project() -> ProblemError:
    """The same for one that there is not and for one that this user may not see."""
    return ProblemError(404, "unknown_project", "There is no such project that you may see.")

"""Settings as code: read, check, apply and export the YAML of projects (DESIGN section 4)."""

from sync.settings.applying import ApplyResult, apply_settings
from sync.settings.changes import Change
from sync.settings.exporting import UnknownProjectError, export_settings, show_settings
from sync.settings.models import Project
from sync.settings.problems import Problem, SettingsError
from sync.settings.reading import parse

__all__ = [
    "ApplyResult",
    "Change",
    "Problem",
    "Project",
    "SettingsError",
    "UnknownProjectError",
    "apply_settings",
    "export_settings",
    "parse",
    "show_settings",
]

"""Jinja2 for all pages: autoescaped, strict about names, translated. One environment for each language."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from dashboard.cookies import CSRF_FIELD
from dashboard.ui import formats
from dashboard.ui.language import Language, translations

_FOLDER = Path(__file__).parents[1] / "templates"


@functools.cache
def environment(language: Language) -> jinja2.Environment:
    """Templates under dashboard/templates, with our filters bound to the language."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n", "jinja2.ext.loopcontrols"],
        auto_reload=False, cache_size=-1,
    )  # fmt: skip
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "duration": functools.partial(formats.duration, language=language),
        "iso": formats.iso,
        "number": functools.partial(formats.number, language=language),
        "percent": functools.partial(formats.percent, language=language),
        "money": functools.partial(formats.money, language=language),
        "segment": lambda text: quote(str(text), safe=""),
    }
    made.globals |= {"CSRF_FIELD": CSRF_FIELD, "language": language, "NOTHING": formats.NOTHING}
    return made


def render(name: str, language: Language, context: Mapping[str, Any]) -> str:
    """The page of a template. Raises jinja2.UndefinedError for a name that the context lacks."""
    return environment(language).get_template(name).render(context)


def render_block(name: str, block: str, language: Language, context: Mapping[str, Any]) -> Markup:
    """One block of a template, for parts of a page that are renewed alone."""
    template = environment(language).get_template(name)
    made = template.new_context(dict(context))
    return Markup("".join(template.blocks[block](made)))  # noqa: S704 - autoescaped as the page is

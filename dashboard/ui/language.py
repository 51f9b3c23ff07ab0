"""The three languages. English texts are the keys; `dashboard/locale/{uk,ru}/AREA.po` hold the others.

The files are read as they are, at start: nothing has to be compiled.
"""

from __future__ import annotations

import functools
import gettext
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

Language = Literal["en", "uk", "ru"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
NAMES: dict[Language, str] = {"en": "English", "uk": "Українська", "ru": "Русский"}
DEFAULT: Language = "en"

_FOLDER = Path(__file__).parents[1] / "locale"


@functools.cache
def translations(language: Language) -> gettext.NullTranslations:
    """The texts of all areas in one language; English for what a file does not have."""
    merged = gettext.NullTranslations()
    for path in sorted((_FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        part = gettext.GNUTranslations(compiled)
        part.add_fallback(merged)
        merged = part
    return merged


def negotiated(accept_language: str, known: Sequence[Language] = LANGUAGES) -> Language:
    """The best language of an `Accept-Language` header that we have; English if it names none of ours."""
    wishes: list[tuple[float, int, Language]] = []
    for place, part in enumerate(accept_language.split(",")[:20]):
        tag, _, parameters = part.partition(";")
        name = tag.strip().lower().split("-")[0]
        try:
            weight = float(parameters.strip().removeprefix("q=")) if parameters.strip() else 1.0
        except ValueError:
            continue
        wishes += [(-weight, place, language) for language in known if language == name and weight > 0]
    return min(wishes)[2] if wishes else DEFAULT


def language_of(text: str | None) -> Language | None:
    """The language of that code, if it is one of ours."""
    return next((language for language in LANGUAGES if language == text), None)

from __future__ import annotations

import pytest

from dashboard.settings.messages import translated
from dashboard.ui.language import translations


@pytest.mark.parametrize(
    ("sentence", "ukrainian"),
    [
        (
            'expected hh:mm of working time such as "72:30", got "8h"',
            'очікується робочий час години:хвилини, наприклад 72:30, введено "8h"',
        ),
        ("cycle full is given already by projects[0].cycles[0]", "cycle full вказано двічі"),
        (
            'has bits beyond its prefix (did you mean "10.0.0.0/8"?), got "10.0.0.1/8"',
            'має біти поза префіксом (можливо, "10.0.0.0/8"?), введено "10.0.0.1/8"',
        ),
        ("base_url: required", "base_url: обов’язкове поле"),
        ("something that nobody has translated", "something that nobody has translated"),
    ],
)
def test_what_is_wrong_is_told_in_the_language_of_the_page(sentence: str, ukrainian: str) -> None:
    assert translated(sentence, translations("uk").gettext) == ukrainian

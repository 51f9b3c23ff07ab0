"""Sentences of sync.settings for people, in the language of the page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Translate = Callable[[str], str]

_GOT = re.compile(r"(?P<reason>.*), got (?P<value>(?:\"|a mapping|a list|-?[0-9]|true|false|nothing).*)", re.DOTALL)
_MEANT = re.compile(r"(?P<reason>.*) \(did you mean (?P<meant>.*)\?\)", re.DOTALL)
_TWICE = re.compile(r"(?P<what>.*) is given already by (?P<where>.*)", re.DOTALL)
_PLACED = re.compile(r"(?P<where>[\w.\[\]\"-]+): (?P<reason>.*)", re.DOTALL)


def translated(sentence: str, translate: Translate) -> str:
    """The sentence as far as the language's texts have it; what was typed stays as it is."""
    whole = translate(sentence)
    if whole != sentence:
        return whole
    if match := _TWICE.fullmatch(sentence):
        return translate("%(what)s is given twice") % {"what": match["what"]}
    if match := _GOT.fullmatch(sentence):
        pair = {"reason": translated(match["reason"], translate), "value": match["value"]}
        return translate("%(reason)s, got %(value)s") % pair
    if match := _MEANT.fullmatch(sentence):
        hint = {"reason": translate(match["reason"]), "meant": match["meant"]}
        return translate("%(reason)s (did you mean %(meant)s?)") % hint
    if match := _PLACED.fullmatch(sentence):
        return f"{match['where']}: {translated(match['reason'], translate)}"
    return sentence


def all_translated(errors: Mapping[str, list[str]], translate: Translate) -> dict[str, list[str]]:
    return {name: [translated(sentence, translate) for sentence in found] for name, found in errors.items()}

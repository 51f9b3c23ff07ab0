"""Words that iiko has for the state of an order: the cloud's, the till's, and the labels of older Russian APIs."""

from __future__ import annotations

from typing import Any

_CLOSED = frozenset({"closed", "закрыт", "закрыта"})
_DELIVERY = {
    *("unconfirmed", "waitcooking", "readyforcooking", "cookingstarted", "cookingcompleted"),
    *("waiting", "onway", "delivered", "cancelled"),
}
_TABLE = {"new", "bill", "deleted"}
_LABELS = {
    *("новая", "новый", "неподтверждена", "неподтвержден", "готовится", "готово", "вожидании", "впути"),
    *("доставлена", "доставлен", "отменена", "отменен", "удалена", "удален", "счет"),
}
_OTHER = frozenset(_DELIVERY | _TABLE | _LABELS)


def is_closed(status: Any) -> bool:
    """Whether an order of that status is a sale."""
    return _plain(status) in _CLOSED


def is_known(status: Any) -> bool:
    """False for a word that may mean anything."""
    word = _plain(status)
    return word in _CLOSED or word in _OTHER


def _plain(status: Any) -> str:
    """`WAIT_COOKING`, `В пути` and `waitCooking` without what only spelling adds."""
    if not isinstance(status, str):
        return ""
    return "".join(letter for letter in status.casefold().replace("ё", "е") if letter.isalpha())

"""Options of a 1C project: what is wrong with them, and what they decide on."""

from __future__ import annotations

from typing import Any

import pytest

from connectors import registry

CAPABILITIES = registry.get("onec").capabilities
GOOD = {"dialect": "odata", "document": "Document_ЧекККМ", "fields": {"amount": "СуммаДокумента"}}


def wrong(**options: Any) -> list[str]:
    assert CAPABILITIES.check_options is not None
    return [path for path, message in CAPABILITIES.check_options(options) if message]


def test_good_options_have_no_problems() -> None:
    assert wrong() == []
    assert wrong(dialect="service", timezone="Asia/Almaty", look_back_days=1, fields={"id": "номер заказа"}) == []
    assert wrong(**GOOD) == []
    phone = {"amount": "Сумма", "phone": "Контрагент.Телефон", "items": "Товары", "item": "Товар_Key"}
    assert wrong(**{**GOOD, "fields": phone}, catalog="Catalog_Товары", allowed_only=True, look_back_days=365) == []


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"dialect": "rest"}, "dialect"),
        ({"dialect": "odata", "fields": {"amount": "Сумма"}}, "document"),
        ({**GOOD, "document": "ЧекККМ"}, "document"),
        ({**GOOD, "document": "Document_Чек/../$metadata"}, "document"),
        ({**GOOD, "document": "Catalog_Товары"}, "document"),
        ({**GOOD, "catalog": "Document_Чек"}, "catalog"),
        ({**GOOD, "fields": {}}, "fields.amount"),
        ({**GOOD, "fields": {"amount": "Сумма", "phone": "Контрагент..Телефон"}}, "fields.phone"),
        ({**GOOD, "fields": {"amount": "Контрагент.Сумма"}}, "fields.amount"),
        ({**GOOD, "fields": {"amount": "Сумма eq 1"}}, "fields.amount"),
        ({**GOOD, "fields": {"amount": 7}}, "fields.amount"),
        ({"fields": {"amount": ""}}, "fields.amount"),
        ({"fields": {"sum": "Сумма"}}, "fields.sum"),
        ({"document": "Document_Чек"}, "document"),
        ({"allowed_only": True}, "allowed_only"),
        ({"timezone": "Moscow"}, "timezone"),
        ({"look_back_days": 0}, "look_back_days"),
        ({"look_back_days": 4000}, "look_back_days"),
    ],
)
def test_each_wrong_option_is_named(options: dict[str, Any], path: str) -> None:
    assert wrong(**options) == [path]


def test_one_kind_of_credentials_is_enough() -> None:
    assert CAPABILITIES.missing_credentials({"username": "u", "password": "p"}) == ()
    bearer = {"token_url": "t", "client_id": "c", "client_secret": "s"}
    assert CAPABILITIES.missing_credentials(bearer) == ()
    assert CAPABILITIES.missing_credentials({"username": "u"}) == ("password",)
    assert CAPABILITIES.missing_credentials({"token_url": "t", "client_id": "c"}) == ("client_secret",)


def test_only_odata_reads_one_sale_and_lists_ids() -> None:
    service, odata = (CAPABILITIES.given(options).stream("transactions") for options in ({}, GOOD))
    assert (service.can_read_one, service.can_list_ids) == (False, False)
    assert (odata.can_read_one, odata.can_list_ids) == (True, True)
    assert service.has_windows
    assert odata.has_windows

"""What the demo's two shops are like: statuses and how orders move through them, hours, goods, people.

All names, phones, e-mails and addresses are invented: example.com, and numbers from blocks of zeros.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time


@dataclass(frozen=True, slots=True)
class Step:
    """One way out of a status: how likely, and how long it takes (median hours; the spread is log-normal)."""

    to: int
    weight: float
    hours: float
    spread: float = 0.6
    is_round_the_clock: bool = False
    """Couriers and customers act at any hour; staff within the shop's hours."""


@dataclass(frozen=True, slots=True)
class StatusLine:
    id: int
    name: str
    alias: str
    group_id: int
    is_closing: bool = False


@dataclass(frozen=True, slots=True)
class Good:
    """A product with one offer, or with several (`variants`: their sku suffixes)."""

    offer_id: int
    sku: str
    name: str
    price: float
    purchased_price: float
    weight: int = 10
    """How often it is ordered."""
    most: int = 3
    """Pieces on a line."""
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    timezone: str
    currency: str
    api_key: str
    site: str
    hours: Mapping[int, tuple[time, time]]
    """Staff's hours by weekday (0 is Monday); a missing day is off."""
    holidays: frozenset[tuple[int, int]]
    """(month, day)"""
    statuses: tuple[StatusLine, ...]
    steps: Mapping[int, tuple[Step, ...]]
    reopenings: Mapping[int, tuple[float, Step]]
    """How likely an order leaves a closing status again."""
    shipped_statuses: frozenset[int]
    """Entering one of these gives the parcel a tracking code."""
    goods: tuple[Good, ...]
    urgent_offers: tuple[int, ...]
    urgent_share: float
    nobody_share: float
    """Of sales over the counter: the order has no buyer. None in a shop whose orders a warehouse keeps too."""
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    managers: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    """(city, region)"""
    country: tuple[str, str]
    """(name, code)"""
    phone_forms: tuple[str, ...]
    """How people write a number: `{:04d}`-like fields get the digits of its running number."""
    sources: tuple[tuple[str, str], ...]
    """(name, driver)"""
    payment_methods: tuple[str, ...]
    delivery_services: tuple[tuple[str, str], ...]
    """(name, alias)"""
    tags: tuple[str, ...]
    warehouses: tuple[str, ...]
    customer_comments: tuple[str, ...]
    manager_comments: tuple[str, ...]
    custom_field: tuple[str, tuple[str, ...]]
    """Name and options of the order's own field."""
    campaigns: tuple[tuple[str, str, str], ...] = field(default=())
    """(utm_source, utm_medium, utm_campaign)"""


def _every(days: range, opens: str, closes: str) -> dict[int, tuple[time, time]]:
    return dict.fromkeys(days, (time.fromisoformat(opens), time.fromisoformat(closes)))


PRINT_SHOP = Profile(
    timezone="Europe/Kyiv",
    currency="UAH",
    api_key="demo-print-shop-key",
    site="https://print.example.com",
    hours=_every(range(5), "09:00", "18:00"),
    holidays=frozenset({(1, 1), (3, 8), (5, 1), (6, 28), (7, 15), (8, 24), (10, 1), (12, 25)}),
    statuses=(
        StatusLine(1, "Нове", "new", 1),
        StatusLine(2, "Очікує передоплату", "waiting_for_prepayment", 2),
        StatusLine(3, "Погодження макета", "layout_approval", 2),
        StatusLine(4, "Макет погоджено", "layout_approved", 2),
        StatusLine(5, "У друці", "in_production", 3),
        StatusLine(6, "Післядрукарська обробка", "finishing", 3),
        StatusLine(7, "Переробка", "rework", 3),
        StatusLine(8, "Готово до відправки", "ready_to_ship", 4),
        StatusLine(9, "Передано в доставку", "transferred_to_delivery", 4),
        StatusLine(10, "Самовивіз", "pickup", 4),
        StatusLine(12, "Виконано", "completed", 5, is_closing=True),
        StatusLine(13, "Скасовано", "canceled", 6, is_closing=True),
        # Never saved in the UI: KeyCRM shows the alias as its name.
        StatusLine(14, "incorrect_data", "incorrect_data", 6, is_closing=True),
    ),
    steps={
        1: (Step(3, 62, 1.2), Step(2, 25, 1.0), Step(5, 5, 0.5), Step(13, 6, 5), Step(14, 2, 1)),
        2: (Step(3, 85, 6), Step(13, 15, 20)),
        3: (Step(4, 70, 7), Step(5, 20, 5), Step(13, 8, 15), Step(1, 2, 2)),
        4: (Step(5, 1, 3),),
        5: (Step(6, 88, 12), Step(7, 12, 10)),
        6: (Step(8, 90, 5), Step(7, 10, 4)),
        7: (Step(5, 70, 4), Step(6, 30, 4)),
        8: (Step(9, 75, 3), Step(10, 25, 2)),
        9: (Step(12, 93, 50, 0.5, True), Step(13, 7, 120, 0.4, True)),
        10: (Step(12, 97, 14), Step(13, 3, 40)),
    },
    reopenings={12: (0.02, Step(7, 1, 16)), 13: (0.05, Step(1, 1, 6))},
    shipped_statuses=frozenset({9}),
    goods=(
        Good(1, "BC-90x50", "Візитки 90x50, 350 г/м²", 1.2, 0.45, 20, 1000),
        Good(4, "FL-A5", "Флаєри A5", 2.35, 0.9, 14, 2000, ("-4+0", "-4+4", "-4+4-UV")),
        Good(7, "BN-440", "Банер 440 г/м², м²", 310, 140, 8, 12),
        Good(8, "ST-ROUND", "Наліпки круглі Ø50", 1.85, 0.6, 12, 500),
        Good(9, "CAT-A4-24", "Каталог A4, 24 сторінки", 96.5, 41.2, 5, 200),
        Good(10, "TS-PRINT", "Футболка з друком", 420, 190, 9, 10, ("-S", "-M", "-L", "-XL")),
        Good(14, "MUG-330", "Чашка з друком 330 мл", 240, 95, 9, 12),
        Good(15, "Термінове виготовлення", "Термінове виготовлення", 350, 0, 0, 1),
        Good(16, "RUSH-24", "Виготовлення за 24 години", 600, 0, 0, 1),
        Good(17, "DESIGN-1H", "Робота дизайнера, година", 450, 0, 6, 4),
    ),
    urgent_offers=(15, 16),
    urgent_share=0.14,
    nobody_share=0,
    first_names=("Олена", "Іван", "Марія", "Андрій", "Софія", "Петро", "Їванка", "Юрій", "Ґалина", "Тарас"),
    last_names=("Прикладенко", "Вигаданець", "Тестовий", "Зразкова", "Демченко-Приклад", "Нереальний", "Умовна"),
    managers=("Оксана Прикладна", "Богдан Зразковий", "Леся Демонстраційна"),
    cities=(("Київ", "Київська"), ("Львів", "Львівська"), ("Одеса", "Одеська"), ("Дніпро", "Дніпропетровська")),
    country=("Україна", "UA"),
    phone_forms=("+380500{:06d}", "0500{:06d}", "+38 (050) 0{:06d}", "380500{:06d}"),
    sources=(("Сайт", "opencart"), ("Instagram", "instagram"), ("Вручну", "manual")),
    payment_methods=("Готівка", "Картка", "Рахунок ФОП"),
    delivery_services=(("Нова пошта", "novaposhta"), ("Укрпошта", "ukrposhta"), ("Самовивіз", "pickup")),
    tags=("VIP", "Опт", "Рекламація"),
    warehouses=("Цех", "Магазин"),
    customer_comments=("Подзвоніть за годину 🙂", "Макет надішлю поштою", "Потрібно до пʼятниці!", "Без упаковки ♻️"),
    manager_comments=("Клієнт просить матову ламінацію", "Передзвонити після обіду", "Папір замінили на 300 г/м²"),
    custom_field=("Папір", ("крейдований", "дизайнерський", "крафт")),
    campaigns=(
        ("facebook", "cpc", "vizytky_osin"),
        ("instagram", "social", "stories"),
        ("google", "cpc", "друк Київ"),
        ("email", "newsletter", "repeat"),
    ),
)

GIFT_SHOP = Profile(
    timezone="Europe/Warsaw",
    currency="PLN",
    api_key="demo-gift-shop-key",
    site="https://gifts.example.com",
    hours=_every(range(5), "10:00", "20:00") | _every(range(5, 6), "10:00", "14:00"),
    holidays=frozenset({(1, 1), (1, 6), (5, 1), (5, 3), (8, 15), (11, 1), (11, 11), (12, 25), (12, 26)}),
    statuses=(
        StatusLine(1, "Nowe", "new", 1),
        StatusLine(2, "Do potwierdzenia", "to_confirm", 2),
        StatusLine(3, "Oczekuje na płatność", "waiting_for_prepayment", 2),
        StatusLine(4, "Kompletowanie", "picking", 3),
        StatusLine(5, "Grawerowanie", "engraving", 3),
        StatusLine(6, "Pakowanie", "packing", 3),
        StatusLine(7, "Gotowe do wysyłki", "ready_to_ship", 4),
        StatusLine(8, "Przekazane kurierowi", "transferred_to_delivery", 4),
        StatusLine(9, "W paczkomacie", "delivered_to_locker", 4),
        StatusLine(10, "Dostarczone", "completed", 5, is_closing=True),
        StatusLine(11, "Zwrot", "returned", 6, is_closing=True),
        StatusLine(12, "Anulowane", "canceled", 6, is_closing=True),
        StatusLine(13, "out_of_stock", "out_of_stock", 6, is_closing=True),
    ),
    steps={
        1: (Step(4, 48, 0.5), Step(2, 24, 0.4), Step(3, 24, 0.3), Step(12, 4, 2)),
        2: (Step(4, 80, 5), Step(3, 12, 3), Step(12, 8, 9)),
        3: (Step(4, 78, 44, 0.8, True), Step(12, 22, 120, 0.3, True)),
        4: (Step(6, 58, 2), Step(5, 36, 3), Step(13, 4, 2), Step(2, 2, 1)),
        5: (Step(6, 92, 6), Step(4, 8, 2)),
        6: (Step(7, 1, 2.5),),
        7: (Step(8, 1, 4),),
        8: (Step(9, 55, 22, 0.4, True), Step(10, 42, 26, 0.4, True), Step(11, 3, 70, 0.4, True)),
        9: (Step(10, 94, 14, 0.8, True), Step(11, 6, 72, 0.2, True)),
    },
    reopenings={10: (0.03, Step(11, 1, 60, 0.5, True)), 12: (0.04, Step(2, 1, 5))},
    shipped_statuses=frozenset({8}),
    goods=(
        Good(101, "KUBEK-01", "Kubek z nadrukiem", 49.99, 18.4, 20, 4, ("-BIALY", "-CZARNY")),
        Good(103, "SWIECA-SOJ", "Świeca sojowa", 39.9, 12.75, 18, 5),
        Good(104, "BOX-ROMANTIC", "Zestaw prezentowy „Romantyczny”", 189, 92.1, 9, 2),
        Good(105, "PIORO-GRAW", "Pióro z grawerem", 129.5, 61, 8, 3),
        Good(106, "ALBUM-30", "Album na zdjęcia 30x30", 79.99, 33.3, 10, 3),
        Good(107, "KARTKA", "Kartka okolicznościowa", 9.99, 2.1, 22, 10),
        Good(108, "EXPRESS", "Realizacja ekspresowa", 25, 0, 0, 1),
        Good(109, "PAKOWANIE", "Pakowanie na prezent 🎁", 12, 3.5, 16, 3),
    ),
    urgent_offers=(108,),
    urgent_share=0.09,
    nobody_share=0.03,
    first_names=("Anna", "Jan", "Zofia", "Łukasz", "Małgorzata", "Święty", "Paweł", "Żaneta", "Ola", "Stanisław"),
    last_names=("Przykładowa", "Testowy", "Wymyślona", "Umowny", "Niebyły", "Próbna-Zmyślona"),
    managers=("Ewa Wzorcowa", "Marek Pokazowy"),
    cities=(("Warszawa", "mazowieckie"), ("Kraków", "małopolskie"), ("Łódź", "łódzkie"), ("Gdańsk", "pomorskie")),
    country=("Polska", "PL"),
    phone_forms=("+48500{:06d}", "500{:06d}", "+48 500 {:06d}", "0048500{:06d}"),
    sources=(("Sklep", "woocommerce"), ("Allegro", "allegro"), ("Ręcznie", "manual")),
    payment_methods=("BLIK", "Karta", "Przelew"),
    delivery_services=(("InPost", "inpost"), ("DPD", "dpd"), ("Odbiór osobisty", "pickup")),
    tags=("Stały klient", "Reklamacja"),
    warehouses=("Magazyn",),
    customer_comments=("Proszę zapakować na prezent 🎁", "Dedykacja: Dla Oli ❤️", "Proszę nie dzwonić"),
    manager_comments=("Klient zmienił adres", "Grawer: sto lat!", "Potwierdzone telefonicznie"),
    custom_field=("Okazja", ("urodziny", "ślub", "święta")),
    campaigns=(
        ("facebook", "paid_social", "walentynki"),
        ("google", "cpc", "prezent na święta"),
        ("tiktok", "social", "ugc"),
    ),
)

PROFILES: Mapping[str, Profile] = {"print-shop": PRINT_SHOP, "gift-shop": GIFT_SHOP}

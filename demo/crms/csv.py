"""The demo's CSV project: a beauty salon whose till writes a file, with the slips that people make in such files."""

from __future__ import annotations

import csv
import io
import random
from datetime import datetime, timedelta

import httpx

from demo.crms import DemoCrm

DAYS = 60
_SERVICES = (
    ("Стрижка", 1800), ("Стрижка и укладка", 2600), ("Окрашивание", 5400), ("Маникюр", 2200), ("Педикюр", 2700),
    ("Коррекция бровей", 900), ("Массаж лица", 3100), ("Подарочный сертификат", 5000),
)  # fmt: skip
_SLIPS = (
    ("", "не указан телефон"), ("8 900 12", "телефон не полностью"), ("7,90012E+10", "Excel округлил телефон"),
)  # fmt: skip


def demo_account(now: datetime, seed: int) -> DemoCrm:
    """There is no CRM: once it knows the ingest API's address, the till uploads its file."""
    content = demo_file(now, seed)

    def upload(webhook_url: str) -> None:
        url = webhook_url.replace("/webhooks/csv/", "/uploads/csv/")
        httpx.post(url, files={"file": ("till.csv", content, "text/csv")}, timeout=60).raise_for_status()

    return DemoCrm(app=None, connect=upload)


def demo_file(now: datetime, seed: int) -> bytes:
    """Sales of the last 60 days as Excel saves them in Russian: cp1251, semicolons, decimal commas. A few rows are no
    sales, and one comes twice. Same `now` and seed: same bytes."""
    chance = random.Random(seed)
    phones = [
        f"8 (9{chance.randrange(100):02d}) {chance.randrange(1000):03d}-{chance.randrange(100):02d}-11"
        for _ in range(90)
    ]
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n")
    writer.writerow(["Дата", "Телефон клиента", "Сумма", "Услуга"])
    rows = []
    for day in range(DAYS, 0, -1):
        opening = (now - timedelta(days=day)).replace(hour=10, minute=0)
        for _ in range(chance.randrange(4, 11)):
            service, price = chance.choice(_SERVICES)
            at = opening + timedelta(minutes=chance.randrange(600))
            amount = f"{price * chance.choice((1.0, 1.0, 0.9)):.2f}".replace(".", ",")
            rows.append([f"{at:%d.%m.%Y %H:%M}", chance.choice(phones), amount, service])
    rows.append(rows[-1])
    rows += [[f"{now:%d.%m.%Y}", phone, "1000,00", note] for phone, note in _SLIPS]
    writer.writerows(rows)
    return target.getvalue().encode("cp1251")

"""The demo's CSV file: the same each time, and with the slips that it is meant to show."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import yaml

import demo.crms
from connectors.csv.reading import open_file
from connectors.csv.rows import InvalidRowError, external_id, read_row
from connectors.protocol import MappingContext
from demo.crms.csv import demo_file

NOW = datetime(2026, 11, 1, 12, 30, 15, tzinfo=UTC)


def test_the_file_is_the_same_for_the_same_seed() -> None:
    assert demo_file(NOW, 7) == demo_file(NOW, 7)
    assert demo_file(NOW, 7) != demo_file(NOW, 8)


def test_it_shows_sales_one_duplicate_and_three_errors() -> None:
    settings = yaml.safe_load((Path(demo.crms.__file__).parent / "csv.yaml").read_text())
    context = MappingContext(settings["id"], timezone=settings["timezone"], options=settings["options"])
    file = open_file(demo_file(NOW, 7))
    assert (file.layout.encoding, file.layout.delimiter) == ("cp1251", ";")
    ids, wrong = [], []
    for line in (line for chunk in file.chunks() for line in chunk):
        try:
            sale = read_row(context, line.cells)
        except InvalidRowError as error:
            wrong.append(str(error))
            continue
        assert sale.occurred_at < NOW
        ids.append(external_id(settings["id"], sale))
    assert len(wrong) == 3
    assert all("phone, expected +7XXXXXXXXXX" in reason for reason in wrong)
    assert len(ids) > 200
    assert len(ids) - len(set(ids)) == 1

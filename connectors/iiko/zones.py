"""Time zones as iiko writes them -> IANA names.

The documentation does not say how `timeZone` is written; iiko runs on .NET, so the names of Windows come beside IANA's.
"""

from __future__ import annotations

import re

from connectors.values.times import zone

_WINDOWS = {
    "altai standard time": "Asia/Barnaul",
    "arabian standard time": "Asia/Dubai",
    "astrakhan standard time": "Europe/Astrakhan",
    "azerbaijan standard time": "Asia/Baku",
    "belarus standard time": "Europe/Minsk",
    "caucasus standard time": "Asia/Yerevan",
    "central asia standard time": "Asia/Almaty",
    "central europe standard time": "Europe/Budapest",
    "central european standard time": "Europe/Warsaw",
    "e. europe standard time": "Europe/Chisinau",
    "ekaterinburg standard time": "Asia/Yekaterinburg",
    "fle standard time": "Europe/Kyiv",
    "georgian standard time": "Asia/Tbilisi",
    "gmt standard time": "Europe/London",
    "gtb standard time": "Europe/Bucharest",
    "india standard time": "Asia/Kolkata",
    "israel standard time": "Asia/Jerusalem",
    "kaliningrad standard time": "Europe/Kaliningrad",
    "magadan standard time": "Asia/Magadan",
    "n. central asia standard time": "Asia/Novosibirsk",
    "north asia east standard time": "Asia/Irkutsk",
    "north asia standard time": "Asia/Krasnoyarsk",
    "omsk standard time": "Asia/Omsk",
    "qyzylorda standard time": "Asia/Qyzylorda",
    "romance standard time": "Europe/Paris",
    "russia time zone 3": "Europe/Samara",
    "russia time zone 10": "Asia/Srednekolymsk",
    "russia time zone 11": "Asia/Kamchatka",
    "russian standard time": "Europe/Moscow",
    "sakhalin standard time": "Asia/Sakhalin",
    "saratov standard time": "Europe/Saratov",
    "singapore standard time": "Asia/Singapore",
    "tomsk standard time": "Asia/Tomsk",
    "transbaikal standard time": "Asia/Chita",
    "turkey standard time": "Europe/Istanbul",
    "vladivostok standard time": "Asia/Vladivostok",
    "volgograd standard time": "Europe/Volgograd",
    "w. europe standard time": "Europe/Berlin",
    "west asia standard time": "Asia/Tashkent",
    "yakutsk standard time": "Asia/Yakutsk",
}
_OFFSET = re.compile(r"\(?(?:UTC|GMT)?\s*([+-])(\d{1,2})(?::?00)?(?::00)?\)?(?:\s.*)?", re.IGNORECASE)


def read_zone(text: str) -> str | None:
    """The IANA name of `Europe/Moscow`, `Russian Standard Time`, `UTC+3` or `(UTC+03:00) Moscow`; None for what is none
    of these. An offset with minutes is no name: `Asia/Kolkata` is."""
    text = " ".join(text.split())
    if (known := _WINDOWS.get(text.lower())) is not None:
        return known
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        hours = int(offset[2])
        # The sign of these names is that of POSIX: west is plus.
        text = f"Etc/GMT{'-' if offset[1] == '+' else '+'}{hours}" if hours else "UTC"
    try:
        zone(text)
    except ValueError:
        return None
    return text

"""One simulated account at Renovatio: clinics, patients and visits in memory, and how they look on the wire."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors.keycrm.simulator_faults import Faults, RequestLog
from connectors.renovatio.simulator_webhooks import NotificationSender

JSON = Any
STATUS_IDS = {"upcoming": 1, "waiting": 2, "with_doctor": 3, "completed": 4, "refused": 5}
"""The first three are all `upcoming`; that refused is 5 is a guess, as the vendor's number is not known."""


@dataclass(slots=True)
class Clinic:
    id: int
    title: str
    timezone: str


@dataclass(slots=True)
class Patient:
    id: int
    name: str
    birth_date: str
    phone: str
    email: str
    gender: str = "2"


@dataclass(slots=True)
class Service:
    title: str
    price: Decimal
    count: int = 1


@dataclass(slots=True)
class Visit:
    id: int
    clinic: Clinic
    patient: Patient
    doctor: str
    start: datetime
    created: datetime
    updated: datetime
    services: list[Service]
    status: str = "upcoming"
    """A key of STATUS_IDS."""
    sum_value: Decimal | None = None
    """None: the vendor leaves the field out."""
    cancelled: datetime | None = None
    moved_to: int | None = None
    comment: str = ""
    extra: dict[str, JSON] = field(default_factory=dict)
    """Fields that stand in the answer as they are here, instead of the right ones."""

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(ZoneInfo(self.clinic.timezone)).replace(tzinfo=None, second=0, microsecond=0)


class SimulatorState:
    """The account, and the switches for what the vendor leaves open or does differently from clinic to clinic."""

    def __init__(self, *, api_key: str, clock: Callable[[], datetime] | None = None, seed: int = 0) -> None:
        self.api_key = api_key
        self.clock = clock or (lambda: datetime.now(UTC))
        self.random = random.Random(seed)
        self.lock = threading.RLock()
        self.faults = Faults(seed)
        self.requests = RequestLog()
        self.webhooks = NotificationSender(self.clock)
        self.clinics: dict[int, Clinic] = {}
        self.visits: dict[int, Visit] = {}
        self.denied: set[str] = set()
        """Methods that the key has no right to, besides those that no key has here."""
        self.widest = timedelta(days=365)
        """A longer period is answered by an error 500, as one of 730 days was."""
        self.is_500_logical = False
        """Whether that error comes as status 200 with the code 500."""
        self.spurious_refusals = 0
        """So many of the next calls are refused with 401, whatever their key."""
        self.shows_patients = True
        """Whether patients' data come without being asked for."""
        self.tells_timezones = False
        self.ids_are_text = False
        self.codes_are_text = False
        self.error_is_text = False
        self.money: str = "text"
        """`text` "2500.00", `comma` "2500,00" or `number` 2500.0"""
        self.empty_is_null = False
        self.list_is_object = False
        """Whether lists come as objects keyed by position."""
        self.error_text = "Произошла ошибка"
        """What the vendor says when it refuses something; in truth it may name a patient."""
        self._next_id = 50_000

    def add_clinic(self, title: str, timezone: str = "Europe/Moscow") -> Clinic:
        with self.lock:
            clinic = Clinic(len(self.clinics) + 1, title, timezone)
            self.clinics[clinic.id] = clinic
            return clinic

    def add_patient(
        self, name: str, *, patient_id: int | None = None, birth_date: str = "01.02.1980", phone: str = "79990001122",
        email: str = "patient@example.com",
    ) -> Patient:  # fmt: skip
        with self.lock:
            self._next_id += 1
            return Patient(patient_id or self._next_id, name, birth_date, phone, email)

    def add_visit(
        self,
        patient: Patient,
        services: Sequence[tuple[str, float | str | Decimal, int]] = (),
        *,
        clinic: Clinic | None = None,
        doctor: str = "Доктор Д.",
        start: datetime | None = None,
        at: datetime | None = None,
        status: str = "upcoming",
        sum_value: Decimal | None = None,
        has_sum: bool = True,
        announce: bool = True,
    ) -> Visit:
        """A visit that starts at `start` and was entered at `at` (both: now). `has_sum` false leaves sum_value out."""
        with self.lock:
            now = at or self.clock()
            self._next_id += 1
            done = [Service(title, Decimal(str(price)), count) for title, price, count in services]
            total = sum((service.price * service.count for service in done), Decimal(0))
            visit = Visit(
                self._next_id,
                clinic or next(iter(self.clinics.values())),
                patient,
                doctor,
                start or now,
                now,
                now,
                done,
                status,
                (sum_value if sum_value is not None else total) if has_sum else None,
            )
            self.visits[visit.id] = visit
        if announce:
            self._announce("create_appointment", visit)
        return visit

    def change(self, visit_id: int, *, at: datetime | None = None, announce: bool = True, **values: Any) -> Visit:
        """Set fields of a visit, such as status or sum_value."""
        with self.lock:
            visit = self.visits[visit_id]
            for name, value in values.items():
                setattr(visit, name, value)
            visit.updated = at or self.clock()
            if values.get("status") == "refused":
                visit.cancelled = visit.updated
        if announce:
            self._announce("update_appointment", visit)
        return visit

    def delete(self, visit_id: int, *, announce: bool = True) -> None:
        with self.lock:
            visit = self.visits.pop(visit_id)
        if announce:
            self._announce("delete_appointment", visit)

    def appointment(self, visit: Visit, *, shows_patient: bool = True) -> JSON:
        """The visit as getAppointments and the notifications have it."""
        row = {
            "id": self._id(visit.id),
            "time_start": f"{visit.local(visit.start):%d.%m.%Y %H:%M}",
            "time_end": f"{visit.local(visit.start + timedelta(minutes=30)):%d.%m.%Y %H:%M}",
            "clinic_id": self._id(visit.clinic.id),
            "clinic": visit.clinic.title,
            "doctor_id": self._id(12),
            "doctor": visit.doctor,
            "patient_id": self._id(visit.patient.id),
            **(_patient_fields(visit.patient) if shows_patient else {}),
            "date_created": f"{visit.local(visit.created):%d.%m.%Y %H:%M}",
            "date_updated": f"{visit.local(visit.updated):%d.%m.%Y %H:%M}",
            "status": visit.status if visit.status in ("completed", "refused") else "upcoming",
            "status_id": self._id(STATUS_IDS[visit.status]),
            "confirm_status": None,
            "source": "Сайт клиники",
            "moved_to": visit.moved_to,
            "moved_from": None,
            "is_telemedicine": 0,
            "is_outside": False,
            "is_first": 1,
            "type": "Первичный приём",
            "comment": visit.comment,
            "services": self._services(visit),
        }
        if visit.sum_value is not None:
            row["sum_value"] = self._money(visit.sum_value)
        return {**row, **visit.extra}

    def listed(self, rows: Sequence[JSON]) -> JSON:
        if not rows and self.empty_is_null:
            return None
        return {str(index): row for index, row in enumerate(rows)} if rows and self.list_is_object else list(rows)

    def _services(self, visit: Visit) -> list[Mapping[str, JSON]]:
        return [{"title": s.title, "price": self._money(s.price), "count": s.count} for s in visit.services]

    def _id(self, number: int) -> JSON:
        return str(number) if self.ids_are_text else number

    def _money(self, amount: Decimal) -> JSON:
        if self.money == "number":
            return float(amount)
        return f"{amount:.2f}".replace(".", "," if self.money == "comma" else ".")

    def _announce(self, event: str, visit: Visit) -> None:
        self.webhooks.send(event, [self.appointment(visit)])


def _patient_fields(patient: Patient) -> dict[str, JSON]:
    return {
        "patient_name": patient.name,
        "patient_birth_date": patient.birth_date,
        "patient_gender": patient.gender,
        "patient_phone": patient.phone,
        "patient_email": patient.email,
    }

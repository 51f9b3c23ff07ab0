"""Accounts on the simulators in which something goes on all the time, and what core must hold of each in the end.

What a row must be is noted when it is made to happen at the CRM, not read from what the connector brings.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Generic, TypeVar

from connectors.amocrm.simulator import SimulatorState as AmoState
from connectors.amocrm.simulator import create_app as amocrm_app
from connectors.custom.simulator import SimulatorState as OrchardState
from connectors.custom.simulator import create_app as orchard_app
from connectors.iiko.simulator import SimulatorState as IikoState
from connectors.iiko.simulator import create_app as iiko_app
from connectors.keycrm.simulator import SimulatorState as KeyState
from connectors.keycrm.simulator import create_app as keycrm_app
from connectors.onec.simulator import SimulatorState as OnecState
from connectors.onec.simulator import create_app as onec_app
from connectors.onec.simulator import create_token_app
from connectors.renovatio.simulator import PREFIX as RENOVATIO_PREFIX
from connectors.renovatio.simulator import SimulatorState as ClinicState
from connectors.renovatio.simulator import create_app as renovatio_app
from connectors.retailcrm.simulator import SimulatorState as RetailState
from connectors.retailcrm.simulator import create_app as retailcrm_app
from connectors.yclients.simulator import PREFIX as YCLIENTS_PREFIX
from connectors.yclients.simulator import SimulatorState as SalonState
from connectors.yclients.simulator import create_app as yclients_app
from tests.conformance.suite import SECRET, Clock, SimulatedCrm
from tests.conformance.test_amocrm import SimulatedAmoCrm
from tests.conformance.test_custom import SimulatedOrchard
from tests.conformance.test_iiko import SimulatedIiko
from tests.conformance.test_keycrm import SimulatedKeyCrm
from tests.conformance.test_onec import SimulatedBase, SimulatedOData, SimulatedService
from tests.conformance.test_renovatio import SimulatedRenovatio, visit_hash
from tests.conformance.test_retailcrm import SimulatedRetailCrm
from tests.conformance.test_yclients import COMPANY, PARTNER, SimulatedYclients
from tests.support.http_server import serve
from tests.support.orchard import json_definition

C = TypeVar("C", bound=SimulatedCrm)
BATCH = 10
"""Records of a page, where the connector lets a project say it."""


@dataclass
class Fate:
    """What has become of one record of the account."""

    statuses: list[str] = field(default_factory=list)
    """Of an order, each as core names it, in the order in which it had them."""
    note: str | None = None
    sale: str | None = None
    """External id of the sale that it has been at the end of some sync."""
    amount: Decimal | None = None
    """None: it is no sale now."""
    is_deleted: bool = False


class BusyAccount(ABC, Generic[C]):
    """`happen` lets some records come and change; no record changes twice in one call."""

    name: str
    price: Decimal
    has_orders = False
    """Whether its records are orders of core."""
    sells_at_once = False
    """Whether a record is a sale from the start."""
    first_note: str | None = None
    can_undo = True
    can_delete = False
    """Whether a pull finds deletions."""

    def __init__(self, crm: C, seed: int) -> None:
        self.crm = crm
        self.chance = random.Random(seed)
        self.fates: dict[str, Fate] = {}
        self._notes = 0

    @property
    def state(self) -> Any:
        return self.crm.state  # type: ignore[attr-defined]

    @property
    def project(self) -> dict[str, Any]:
        """Values of a project at this account, as `World.add_project` takes them."""
        account = self.crm.account()
        place = account.context
        options = {**account.options, "rate_limit": {"requests": 10_000, "per_seconds": 1}}
        return {
            "crm": account.crm, "base_url": account.base_url, "timezone": place.timezone, "region": place.region,
            "currency": place.currency, "options": options, "sync": {"products": False, "batch_size": BATCH},
        }  # fmt: skip

    @property
    def often(self) -> list[str]:
        """The streams that Dagster pulls every few minutes; it pulls dictionaries every hour."""
        switched_off = ("products", "offers", "stocks")
        streams = self.crm.capabilities.streams
        return [one.name for one in streams if not one.is_dictionary and one.name not in switched_off]

    def happen(self, new: int, changes: int) -> None:
        known = [crm_id for crm_id, fate in self.fates.items() if not fate.is_deleted]
        for crm_id in self.chance.sample(known, min(changes, len(known))):
            self._change(crm_id, self.fates[crm_id])
        for _ in range(new):
            crm_id = self.crm.add()
            fate = self.fates[crm_id] = Fate(self.first_statuses(crm_id), self.first_note)
            if self.sells_at_once:
                fate.sale, fate.amount = self.sale_id(crm_id), self.price

    def _change(self, crm_id: str, fate: Fate) -> None:
        act = self.chance.random()
        if act < 0.3 and fate.amount is None:
            fate.sale, fate.amount = self.sale_id(crm_id), self.price
            self.sell(crm_id)
        elif act < 0.5 and fate.amount is not None and self.can_undo:
            fate.amount = None
            self.undo(crm_id)
        elif act < 0.6 and self.can_delete:
            self.crm.remove(crm_id)
            fate.is_deleted, fate.amount = True, None
        elif act >= 0.75 or not self.enter_another(crm_id, fate):
            self.touch(crm_id, fate)

    def touch(self, crm_id: str, fate: Fate) -> None:
        self._notes += 1
        self.crm.touch(crm_id)
        fate.note = f"note {self._notes}"

    def first_statuses(self, crm_id: str) -> list[str]:
        """The status of a new record, as core names it; none if it is no order."""
        return []

    def enter_another(self, crm_id: str, fate: Fate) -> bool:
        """Put a record into another status; whether it is one that has any, and may be moved now."""
        return False

    def sale_id(self, crm_id: str) -> str:
        return f"{self.name.upper()}-{crm_id}"

    @abstractmethod
    def sell(self, crm_id: str) -> None: ...

    @abstractmethod
    def undo(self, crm_id: str) -> None: ...

    def sales(self) -> dict[str, Decimal | None]:
        """External id -> amount, None where it was taken back."""
        return {fate.sale: fate.amount for fate in self.fates.values() if fate.sale is not None}

    def orders(self) -> dict[str, tuple[str, str | None, bool]]:
        """Order id -> status, comment, whether it is deleted."""
        if not self.has_orders:
            return {}
        return {crm_id: (fate.statuses[-1], fate.note, fate.is_deleted) for crm_id, fate in self.fates.items()}

    def history(self) -> dict[str, list[str]]:
        """Order id -> each status it had."""
        return {crm_id: fate.statuses for crm_id, fate in self.fates.items() if self.has_orders}


class BusyOrders(BusyAccount[C]):
    """One whose records are orders of core."""

    has_orders = True

    @abstractmethod
    def first_status(self, crm_id: str) -> str: ...

    @abstractmethod
    def move(self, crm_id: str) -> str:
        """Put an order into a status, which may be the one it has; core's name of it."""

    def first_statuses(self, crm_id: str) -> list[str]:
        return [self.first_status(crm_id)]

    def enter_another(self, crm_id: str, fate: Fate) -> bool:
        if fate.amount is not None:
            return False
        if (status := self.move(crm_id)) != fate.statuses[-1]:
            fate.statuses.append(status)
        return True


class BusyKeyCrm(BusyOrders[SimulatedKeyCrm]):
    name, price = "keycrm", Decimal("401.00")

    def first_status(self, crm_id: str) -> str:
        return "1"

    def move(self, crm_id: str) -> str:
        status = self.chance.choice((1, 2, 3))
        self.state.change_status(int(crm_id), status, announce=False)
        return str(status)

    def sell(self, crm_id: str) -> None:
        self.state.add_payment(int(crm_id), 401, announce=False)

    def undo(self, crm_id: str) -> None:
        [payment] = self.state.orders.rows[int(crm_id)].payments
        self.state.delete_payment(payment["id"], announce=False)


class BusyRetailCrm(BusyOrders[SimulatedRetailCrm]):
    name, price, can_delete = "retailcrm", Decimal("401.00"), True

    def first_status(self, crm_id: str) -> str:
        return "new"

    def move(self, crm_id: str) -> str:
        status = self.chance.choice(("client-confirmed", "assembling", "complete"))
        self.state.change_status(int(crm_id), status)
        return status

    def sell(self, crm_id: str) -> None:
        self.state.add_payment(int(crm_id), 401)

    def undo(self, crm_id: str) -> None:
        [payment] = self.state.orders[int(crm_id)]["payments"]
        self.state.delete_payment(payment)


class BusyYclients(BusyAccount[SimulatedYclients]):
    name, price, can_delete = "yclients", Decimal("900.00"), True

    def sell(self, crm_id: str) -> None:
        self.state.pay(int(crm_id))

    def undo(self, crm_id: str) -> None:
        self.state.refund(int(crm_id))


class BusyAmoCrm(BusyOrders[SimulatedAmoCrm]):
    name, price, can_delete = "amocrm", Decimal("289.50"), True

    @property
    def pipeline(self) -> int:
        [pipeline] = self.state.pipelines
        return int(pipeline)

    def first_status(self, crm_id: str) -> str:
        return f"{self.pipeline}/{self.state.stages(self.pipeline)[0]}"

    def move(self, crm_id: str) -> str:
        return self._enter(crm_id, self.chance.choice(self.state.stages(self.pipeline)))

    def _enter(self, crm_id: str, stage: int) -> str:
        self.state.move_lead(int(crm_id), stage)
        return f"{self.pipeline}/{stage}"

    def sell(self, crm_id: str) -> None:
        self.fates[crm_id].statuses.append(self._enter(crm_id, 142))

    def undo(self, crm_id: str) -> None:
        self.fates[crm_id].statuses.append(self._enter(crm_id, self.state.stages(self.pipeline)[1]))

    def touch(self, crm_id: str, fate: Fate) -> None:
        self.crm.touch(crm_id)  # another name: leads have no comment of the manager

    def sale_id(self, crm_id: str) -> str:
        return f"AMO-{crm_id}"


class _BusyBase(BusyAccount[SimulatedBase]):
    price, sells_at_once = Decimal("1250.50"), True

    def key(self, crm_id: str) -> str:
        return self.crm.key_of(crm_id)

    def sell(self, crm_id: str) -> None:
        self.state.change(self.key(crm_id), Posted=True, DeletionMark=False)

    def undo(self, crm_id: str) -> None:
        if self.chance.random() < 0.5:
            self.state.unpost(self.key(crm_id))
        else:
            self.state.mark_deleted(self.key(crm_id))


class BusyOData(_BusyBase):
    name = "odata"

    def sale_id(self, crm_id: str) -> str:
        return f"1C-{crm_id}"


class BusyService(_BusyBase):
    """The service tells of what is posted alone, so nothing is taken back; sums change."""

    name, can_undo = "service", False

    def touch(self, crm_id: str, fate: Fate) -> None:
        fate.amount = Decimal(self.chance.randrange(100, 2_000_000)) / 100
        self.state.change(self.key(crm_id), СуммаДокумента=float(fate.amount))

    def sale_id(self, crm_id: str) -> str:
        return crm_id


class BusyIiko(BusyAccount[SimulatedIiko]):
    name, price, sells_at_once = "iiko", Decimal("740.00"), True

    def sell(self, crm_id: str) -> None:
        self.state.set_status(crm_id, "Closed", announce=False)

    def undo(self, crm_id: str) -> None:
        self.state.set_status(crm_id, "Cancelled", announce=False)


class BusyRenovatio(BusyAccount[SimulatedRenovatio]):
    name, price, sells_at_once = "renovatio", Decimal("2500.50"), True

    def sell(self, crm_id: str) -> None:
        self._set(crm_id, status="completed", sum_value=self.price)

    def undo(self, crm_id: str) -> None:
        self._set(crm_id, status="refused")

    def touch(self, crm_id: str, fate: Fate) -> None:
        if fate.amount is not None:
            fate.amount = Decimal(self.chance.randrange(100, 2_000_000)) / 100
            self._set(crm_id, sum_value=fate.amount)

    def _set(self, crm_id: str, **values: Any) -> None:
        [visit] = [number for number in self.state.visits if visit_hash(number) == crm_id]
        self.state.change(visit, announce=False, **values)

    def sale_id(self, crm_id: str) -> str:
        return crm_id


class BusyOrchard(BusyOrders[SimulatedOrchard]):
    name, price = "custom", Decimal("77.25")
    first_note = "Чашка 😀"

    def __init__(self, crm: SimulatedOrchard, seed: int) -> None:
        super().__init__(crm, seed)
        self._sales: dict[str, dict[str, Any]] = {}

    def first_status(self, crm_id: str) -> str:
        return "new"

    def move(self, crm_id: str) -> str:
        status = self.chance.choice(("packed", "sent", "done"))
        row = self.state.rows["orders"][int(crm_id)]
        if row["state"] != status:
            self.state.change(row, state=status)
        return status

    def sell(self, crm_id: str) -> None:
        if crm_id in self._sales:
            self.state.change(self._sales[crm_id], void=False)

    def undo(self, crm_id: str) -> None:
        self.state.change(self._sales[crm_id], void=True)

    def sale_id(self, crm_id: str) -> str:
        if crm_id not in self._sales:
            self._sales[crm_id] = self.state.add_sale(sum="77.25", phone="0671112233", order=int(crm_id))
        return f"{self.name.upper()}-{self._sales[crm_id]['id']}"


Make = Callable[[ExitStack, Clock, int], BusyAccount[Any]]


def _keycrm(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = KeyState(api_key=SECRET, clock=clock, rate_limit=0, seed=seed)
    return BusyKeyCrm(SimulatedKeyCrm(state, clock, stack.enter_context(serve(keycrm_app(state))) + "/v1"), seed)


def _retailcrm(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = RetailState(api_key=SECRET, clock=clock, rate_limit=0)
    return BusyRetailCrm(SimulatedRetailCrm(state, clock, stack.enter_context(serve(retailcrm_app(state)))), seed)


def _yclients(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = SalonState(
        company_id=COMPANY, timezone="Asia/Novosibirsk", partner_token=PARTNER, user_token=SECRET, clock=clock,
        per_second=0, per_minute=0, seed=seed,
    )  # fmt: skip
    url = stack.enter_context(serve(yclients_app(state))) + YCLIENTS_PREFIX
    return BusyYclients(SimulatedYclients(state, clock, url), seed)


def _amocrm(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = AmoState(access_token=SECRET, clock=clock, rate_limit=0, seed=seed)
    return BusyAmoCrm(SimulatedAmoCrm(state, clock, stack.enter_context(serve(amocrm_app(state)))), seed)


def _odata(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = OnecState(password=SECRET, clock=clock, seed=seed)
    return BusyOData(SimulatedOData(state, clock, stack.enter_context(serve(onec_app(state)))), seed)


def _service(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = OnecState(client_secret=SECRET, clock=clock, seed=seed)
    url, token_url = (stack.enter_context(serve(make(state))) for make in (onec_app, create_token_app))
    return BusyService(SimulatedService(state, clock, url, token_url), seed)


def _iiko(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = IikoState(api_login=SECRET, clock=clock, seed=seed)
    return BusyIiko(SimulatedIiko(state, clock, stack.enter_context(serve(iiko_app(state)))), seed)


def _renovatio(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = ClinicState(api_key=SECRET, clock=clock, seed=seed)
    state.add_clinic("Clinic A")
    url = stack.enter_context(serve(renovatio_app(state))) + RENOVATIO_PREFIX
    return BusyRenovatio(SimulatedRenovatio(state, clock, url), seed)


def _custom(stack: ExitStack, clock: Clock, seed: int) -> BusyAccount[Any]:
    state = OrchardState(SECRET, clock=clock)
    url = stack.enter_context(serve(orchard_app(state))) + "/api"
    return BusyOrchard(SimulatedOrchard(state, json_definition(), clock, url), seed)


MAKERS: Mapping[str, Make] = {
    "keycrm": _keycrm, "retailcrm": _retailcrm, "yclients": _yclients, "amocrm": _amocrm, "odata": _odata,
    "service": _service, "iiko": _iiko, "renovatio": _renovatio, "custom": _custom,
}  # fmt: skip
"""By the name of the account, which is its project's too. Both dialects of 1C are there."""


@contextmanager
def busy_accounts(seed: int) -> Iterator[dict[str, BusyAccount[Any]]]:
    """All of them, each on a server and a clock of its own."""
    with ExitStack() as stack:
        yield {name: make(stack, Clock(), seed + number) for number, (name, make) in enumerate(MAKERS.items())}

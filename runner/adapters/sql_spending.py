"""`runner.spending.Spending` on SQLAlchemy Core.

Every reservation takes one row's lock first (SQLite: begins as a writer), so that daemons which share a database
cannot both promise the last of a budget.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from runner.adapters.sql_following import SqlFollowing
from runner.adapters.sql_schema import attempts, day_bills, reservations, runs, spending
from runner.ports import Clock
from runner.records import NoticeKind
from runner.spending import (
    Account,
    Admission,
    Asking,
    Barrier,
    DayBudgets,
    Halt,
    Reserved,
    Today,
    day_of,
    warning,
    weigh,
)

_ONE: Final = 1
_MAX_REASON: Final = 300
_SWITCH: Final = sa.select(spending).where(spending.c.id == _ONE)


class SqlSpending(SqlFollowing):
    """The books in the records' database. host: whose reservations `forfeit` is about."""

    def __init__(self, engine: Engine, clock: Clock, *, host: str, budgets: DayBudgets) -> None:
        """Use the pool; opens nothing yet."""
        super().__init__(engine)
        self._clock = clock
        self._host = host
        self._budgets = budgets

    # --- questions ---

    def reserve(self, asking: Asking) -> Admission:
        """See `Spending.reserve`."""
        now = self._clock.now()
        repo, day = asking.repo.lower(), day_of(now)
        with self._writing() as db:
            halt = _halt(db, lock=True)
            accounts = (*self._run_account(db, asking.run_id, asking.run_bound), *self._day_accounts(db, repo, day))
            in_the_way = weigh(halt, accounts, asking.estimate)
            if in_the_way is not None:
                return in_the_way
            row = {
                "host": self._host,
                "run_id": asking.run_id,
                "attempt": asking.attempt,
                "repo": repo,
                "run_bound": asking.run_bound,
                "day": day,
                "micro_usd": asking.estimate,
                "at": now,
            }
            made = db.execute(reservations.insert().values(**row).returning(reservations.c.id)).scalar_one()
        return Reserved(id=int(made))

    def settle(self, reservation: int, micro_usd: int) -> None:
        """See `Spending.settle`."""
        now = self._clock.now()
        with self._writing() as db:
            _halt(db, lock=True)
            row = db.execute(sa.select(reservations).where(reservations.c.id == reservation)).mappings().first()
            if row is None:
                return
            _bill(db, row, micro_usd, now)
            of_run = self._run_account(db, row["run_id"], row["run_bound"])
            accounts = (*of_run, *self._day_accounts(db, row["repo"], row["day"]))
        for account in accounts:
            if account.near:
                since = account.bound if account.barrier is Barrier.RUN else row["day"]
                self.notify(
                    row["run_id"], f"budget:{account.barrier}:{since}", NoticeKind.BUDGET, warning(account), now
                )

    def forfeit(self) -> int:
        """See `Spending.forfeit`."""
        now = self._clock.now()
        with self._writing() as db:
            _halt(db, lock=True)
            left = list(db.execute(sa.select(reservations).where(reservations.c.host == self._host)).mappings())
            for row in left:
                _bill(db, row, row["micro_usd"], now)
        return len(left)

    # --- looks ---

    def barrier(self, repo: str, run_id: str | None = None, run_bound: int | None = None) -> Barrier | None:
        """See `Spending.barrier`."""
        with self._reading() as db:
            if _halt(db) is not None:
                return Barrier.HALTED
            accounts = self._day_accounts(db, repo.lower(), day_of(self._clock.now()))
            if run_id is not None and run_bound is not None:
                accounts = (*self._run_account(db, run_id, run_bound), *accounts)
        return next((one.barrier for one in accounts if one.used_up), None)

    def today(self, repo: str | None = None) -> Today:
        """See `Spending.today`."""
        day, name = day_of(self._clock.now()), None if repo is None else repo.lower()
        query, asked = (_TODAY, {"of": day}) if name is None else (_TODAY_IN, {"of": day, "name": name})
        with self._reading() as db:
            spent, held, *of_repo = (int(one or 0) for one in db.execute(query, asked).one())
            return Today(
                spent=spent + held,
                bound=self._budgets.all_micro_usd,
                repo_spent=sum(of_repo),
                repo_bound=self._budgets.repo_micro_usd,
                halt=_halt(db),
            )

    # --- the switch ---

    def halt(self, reason: str) -> Halt:
        """See `Spending.halt`."""
        now = self._clock.now()
        with self._writing() as db:
            known = _halt(db, lock=True)
            if known is not None:
                return known
            values = {"halted_at": now, "reason": reason[:_MAX_REASON]}
            if not db.execute(spending.update().where(spending.c.id == _ONE).values(**values)).rowcount:
                db.execute(spending.insert().values(id=_ONE, **values))
        return Halt(reason=reason[:_MAX_REASON], at=now)

    def resume(self) -> bool:
        """See `Spending.resume`."""
        with self._writing() as db:
            known = _halt(db, lock=True)
            db.execute(spending.update().where(spending.c.id == _ONE).values(halted_at=None, reason=None))
        return known is not None

    def halted(self) -> Halt | None:
        """See `Spending.halted`."""
        with self._reading() as db:
            return _halt(db)

    # --- inside ---

    def _run_account(self, db: Connection, run_id: str, bound: int) -> tuple[Account, ...]:
        spent = db.execute(sa.select(sa.func.sum(attempts.c.micro_usd)).where(attempts.c.run_id == run_id)).scalar()
        held = _number(db, _promised(reservations.c.run_id == run_id))
        return (Account(barrier=Barrier.RUN, bound=bound, spent=int(spent or 0), held=held),)

    def _day_accounts(self, db: Connection, repo: str, day: int) -> tuple[Account, ...]:
        found = []
        if self._budgets.repo_micro_usd:
            spent, held = _of_day(db, day, repo)
            bound = self._budgets.repo_micro_usd
            found.append(Account(barrier=Barrier.REPO_DAY, bound=bound, spent=spent, held=held))
        if self._budgets.all_micro_usd:
            spent, held = _of_day(db, day)
            found.append(Account(barrier=Barrier.DAY, bound=self._budgets.all_micro_usd, spent=spent, held=held))
        return tuple(found)


def _halt(db: Connection, *, lock: bool = False) -> Halt | None:
    """The halt there is. lock: until the transaction's end nobody else reserves, settles or halts."""
    row = db.execute(_SWITCH.with_for_update() if lock else _SWITCH).mappings().first()
    if row is None or row["halted_at"] is None:
        return None
    return Halt(reason=row["reason"] or "", at=row["halted_at"])


def _promised(*which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """What is promised to questions that have no bill yet."""
    return sa.select(sa.func.sum(reservations.c.micro_usd)).where(*which).scalar_subquery()


def _number(db: Connection, column: sa.ColumnElement[int]) -> int:
    return int(db.execute(sa.select(column)).scalar() or 0)


def _of_day(db: Connection, day: int, repo: str | None = None) -> tuple[int, int]:
    """What is settled and what is held of a day, of one repository or of all."""
    settled, held = _sums_of_day(day, repo)
    return _number(db, settled), _number(db, held)


def _sums_of_day(
    day: int | sa.BindParameter[int], repo: str | sa.BindParameter[str] | None = None
) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """The same as two columns of a query."""
    settled = sa.select(sa.func.sum(day_bills.c.micro_usd)).where(day_bills.c.day == day)
    held = [reservations.c.day == day]
    if repo is not None:
        settled = settled.where(day_bills.c.repo == repo)
        held.append(reservations.c.repo == repo)
    return settled.scalar_subquery(), _promised(*held)


def _bill(db: Connection, row: sa.RowMapping, micro_usd: int, at: float) -> None:
    """What was reserved is spent: on the attempt's bill and on the day's on which it was reserved."""
    db.execute(reservations.delete().where(reservations.c.id == row["id"]))
    if not micro_usd:
        return
    of_attempt = (attempts.c.run_id == row["run_id"], attempts.c.attempt == row["attempt"])
    db.execute(attempts.update().where(*of_attempt).values(micro_usd=attempts.c.micro_usd + micro_usd))
    db.execute(runs.update().where(runs.c.run_id == row["run_id"]).values(updated_at=at, cursor=runs.c.cursor + 1))
    of_day = (day_bills.c.day == row["day"], day_bills.c.repo == row["repo"])
    grown = db.execute(day_bills.update().where(*of_day).values(micro_usd=day_bills.c.micro_usd + micro_usd))
    if not grown.rowcount:
        db.execute(day_bills.insert().values(day=row["day"], repo=row["repo"], micro_usd=micro_usd))


# Asked at every status, so made once.
_THAT_DAY: Final = sa.bindparam("of", type_=sa.Integer)
_TODAY: Final = sa.select(*_sums_of_day(_THAT_DAY))
_TODAY_IN: Final = sa.select(*_sums_of_day(_THAT_DAY), *_sums_of_day(_THAT_DAY, sa.bindparam("name", type_=sa.String)))

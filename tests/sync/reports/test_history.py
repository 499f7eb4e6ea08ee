"""The trend, day by day: what runs and opt-outs left behind, in the department's own days."""

from __future__ import annotations

from chalicelib.contract.runs import History, HistoryDay
from chalicelib.sync.reports.history import Histories
from tests.sync.engine import Engine, Practice

pytest_plugins = ("tests.sync.engine_fixtures",)


def history(practice: Practice, days: int = 90) -> History:
    engine = practice.engine
    return Histories(departments=engine.departments, logs=engine.logs, clock=engine.clock).get(practice.id, days=days)


def test_each_day_has_its_last_counts_and_the_sum_of_what_was_new(practice: Practice) -> None:
    practice.customers(3)
    practice.sync("full")  # 23:10 on 2 March in Melbourne
    practice.customers(1, start=9)
    practice.act("unsubscribe", "c1@clinic.test")
    practice.sync()
    practice.customers(1, start=10)
    practice.sync(hours=12)
    shown = history(practice)
    assert shown.timezone == "Australia/Melbourne"
    assert shown.items == (
        HistoryDay("2026-03-02", members=3, customers=3, added=4, opted_out=1),
        HistoryDay("2026-03-03", members=4, customers=3, added=1, opted_out=0),
    )
    assert [day.date for day in history(practice, days=1).items] == ["2026-03-03"]


def test_a_no_of_pracbill_counts_when_mailchimp_has_it(practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full")
    practice.customer("1", "c1@clinic.test", "unsubscribed")
    practice.sync()
    assert history(practice).items[-1].opted_out == 1


def test_dry_runs_and_repeated_ends_leave_nothing_twice(engine: Engine, practice: Practice) -> None:
    practice.customers(2)
    practice.sync("full", dry_run=True)
    assert history(practice).items == ()
    engine.deliveries = 2
    practice.sync("full")
    assert [day.added for day in history(practice).items] == [2]


def test_a_department_that_was_never_connected_has_no_days(engine: Engine) -> None:
    assert history(Practice(engine, "never-seen", "none")) == History((), "UTC")

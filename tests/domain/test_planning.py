"""From what is known of an address to what is sent for it, and how operations are packed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from chalicelib.domain.consent.members import AddressCustomers, Member, OptOut, PushRefusal, Status
from chalicelib.domain.consent.rules import ConsentPolicy
from chalicelib.domain.customers import Customer
from chalicelib.domain.fieldmap import FieldMap, LeftOut, values_fingerprint
from chalicelib.domain.planning import (
    BULK_ACTIONS,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_OPERATIONS,
    MAX_SINGLE_OPERATIONS,
    Action,
    AddressState,
    ChunkWriter,
    Held,
    Operation,
    _weight,
    customer_ids_of,
    lacks_state,
    plan_address,
    plan_move,
    rename_of,
    waiting_mark,
    without_unusable,
    without_value,
)
from tests.examples import examples

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIELDS = FieldMap(("FNAME",))
ANN = {"FNAME": "Ann"}
POLICY = ConsentPolicy()
YES = {"consent": "subscribed", "consent_changed_at": "2026-03-01T00:00:00Z"}
NO = YES | {"consent": "unsubscribed"}


def customer(id: str = "1", **fields: Any) -> Customer:
    return Customer(**({"id": id, "updated_at": "2026-03-01T00:00:00Z", "first_name": "Ann"} | YES | fields))


def state(member: Member | None = None, *customers: Customer, **fields: Any) -> AddressState:
    known = member or Member("old", "old@clinic.test")
    return AddressState(known, AddressCustomers.of(customers) if customers else None, **fields)


def member(status: Any, key: str = "old", **fields: Any) -> Member:
    return Member(key, f"{key}@clinic.test", status=status, **fields)


def ours(status: Any, **fields: Any) -> Member:
    return member(status, pushed_at=NOON - timedelta(days=1), **fields)


def plan(known: AddressState, *, policy: ConsentPolicy = POLICY, now: datetime = NOON) -> Operation | Held:
    return plan_address(known, policy=policy, fields=FIELDS, now=now)


def planned(known: AddressState, **options: Any) -> Operation:
    decision = plan(known, **options)
    assert isinstance(decision, Operation)
    return decision


def held(known: AddressState, **options: Any) -> Held:
    decision = plan(known, **options)
    assert isinstance(decision, Held)
    return decision


# ---------------------------------------------------------------------------------------------------- one address


def test_a_new_customer_is_added_with_the_primary_customers_data_and_the_marks_to_clear() -> None:
    older = customer("2", updated_at="2026-02-01T00:00:00Z", first_name="Bob")
    operation = planned(state(None, older, customer("1"), marks=("old#r1",)))
    assert (operation.action, operation.status, operation.rule) == ("add", "subscribed", "yes-absent")
    assert (operation.customer_id, operation.values, operation.marks) == ("1", ANN, ("old#r1",))
    assert operation.values_fingerprint == values_fingerprint({"FNAME": "Ann"})


def test_what_mailchimp_already_holds_through_us_is_not_sent_again() -> None:
    known = ours("subscribed", sent=values_fingerprint({"FNAME": "Ann"}))
    assert held(state(known, customer())).code == ""
    assert planned(state(known, customer(first_name="Anna"))).action == "update"


def test_a_status_is_sent_whatever_data_mailchimp_holds() -> None:
    known = ours("transactional", sent=values_fingerprint({"FNAME": "Ann"}))
    assert planned(state(known, customer())).action == "subscribe"


def test_an_opt_out_is_sent_bare() -> None:
    operation = planned(state(ours("subscribed"), customer(**NO)))
    assert (operation.action, operation.status) == ("unsubscribe", "unsubscribed")
    assert (operation.values, operation.values_fingerprint) == (None, "")


def test_the_opt_out_that_the_plan_knew_goes_with_the_operation() -> None:
    no = OptOut(datetime(2026, 2, 1, tzinfo=UTC), "pracbill")
    operation = planned(state(ours("unsubscribed", opt_out=no), customer()))
    assert (operation.rule, operation.known_opt_out) == ("consent-given-again", "2026-02-01T00:00:00+00:00")
    assert planned(state(None, customer())).known_opt_out == ""


def test_a_held_customer_is_told_with_its_code_and_rule() -> None:
    told = held(state(None, customer(**NO), marks=("old#r1",)))
    assert (told.code, told.rule, told.customer_id, told.marks) == ("opted_out", "no-absent", "1", ("old#r1",))


def test_a_yes_from_the_future_cannot_be_known_as_later_than_an_opt_out() -> None:
    no = OptOut(NOON - timedelta(days=9), "pracbill")
    ahead = customer(consent_changed_at="2099-01-01T00:00:00Z")
    told = held(state(ours("unsubscribed", opt_out=no), ahead))
    assert (told.rule, told.code) == ("opt-out-stands", "consent_in_future")
    tonight = customer(consent_changed_at="2026-03-02T20:00:00Z")
    assert planned(state(ours("unsubscribed", opt_out=no), tonight)).rule == "consent-given-again"
    a_day_ahead = customer(consent_changed_at="2026-03-03T12:00:00Z")  # so far clocks may differ
    assert planned(state(ours("unsubscribed", opt_out=no), a_day_ahead)).rule == "consent-given-again"
    more = customer(consent_changed_at="2026-03-03T12:00:01Z")
    assert held(state(ours("unsubscribed", opt_out=no), more)).rule == "opt-out-stands"


# ----------------------------------------------------------------------------------------------- without customers


def test_archiving_keeps_what_the_member_was_and_whose_it_was() -> None:
    operation = planned(state(ours("transactional", owner="7"), marks=("old#r1",)))
    assert (operation.action, operation.status, operation.customer_id) == ("archive", "transactional", "7")
    assert (operation.values, operation.marks) == (None, ("old#r1",))


def test_a_no_of_a_customer_now_gone_is_sent() -> None:
    no = OptOut(NOON, "pracbill")
    operation = planned(state(ours("subscribed", opt_out=no)), policy=ConsentPolicy(on_removed="keep"))
    assert (operation.action, operation.rule) == ("unsubscribe", "removed-opt-out-carried")


def test_foreign_members_are_no_news() -> None:
    assert held(state(member("subscribed"))).code == ""


# ------------------------------------------------------------------------------------------------------- refusals


def refused(operation: Operation, retry_at: datetime | None = None) -> PushRefusal:
    return PushRefusal("invalid_email", "Odd", NOON, 1, operation.inputs, retry_at, field="PHONE")


def test_a_refused_address_waits_until_its_customer_is_edited() -> None:
    refusal = refused(planned(state(None, customer())))
    waiting = held(state(member("absent", refusal=refusal), customer()), now=NOON + timedelta(days=900))
    assert (waiting.code, waiting.waits) == ("invalid_email", False)
    assert planned(state(member("absent", refusal=refusal), customer(first_name="Anna"))).action == "add"


def test_a_refused_address_is_tried_again_when_its_back_off_is_over() -> None:
    refusal = refused(planned(state(None, customer())), NOON + timedelta(minutes=5))
    again = state(member("absent", refusal=refusal), customer())
    waiting = held(again)
    assert (waiting.waits, waiting.code, waiting.rule) == (True, "invalid_email", "yes-absent")
    assert (waiting.words, waiting.field) == ("Odd", "PHONE")
    assert planned(again, now=NOON + timedelta(minutes=5)).action == "add"


def test_a_refused_address_is_tried_again_when_consent_asks_for_something_else() -> None:
    refusal = refused(planned(state(None, customer(consent=None))))
    assert planned(state(member("absent", refusal=refusal), customer())).status == "subscribed"


def test_no_refusal_holds_an_opt_out_back() -> None:
    first = planned(state(ours("subscribed"), customer(**NO)))
    again = planned(state(ours("subscribed", refusal=refused(first)), customer(**NO)))
    assert again.action == "unsubscribe"


def test_a_refused_archiving_waits_until_the_member_is_something_else() -> None:
    refusal = refused(planned(state(ours("subscribed"))))
    assert held(state(ours("subscribed", refusal=refusal))).code == "invalid_email"
    assert planned(state(ours("unsubscribed", refusal=refusal))).action == "archive"


# -------------------------------------------------------------------------------------------------------- renames


def rename(old: AddressState, new: AddressState, policy: ConsentPolicy = POLICY) -> Operation | None:
    return rename_of(old, new, policy=policy, fields=FIELDS, now=NOON)


OLD = state(ours("subscribed", owner="1"), moved_to="new", marks=("old#r1",))
NEW = state(Member("new", "new@clinic.test"), customer(), moved_from="old", marks=("new#r1",))


def test_a_subscribed_member_goes_along_to_its_customers_new_address() -> None:
    operation = rename(OLD, NEW)
    assert operation is not None
    assert (operation.action, operation.rule, operation.status) == ("rename", "address-renamed", "subscribed")
    assert (operation.address, operation.old_address) == ("new@clinic.test", "old@clinic.test")
    assert (operation.address_key, operation.old_address_key) == ("new", "old")
    assert (operation.values, operation.marks) == (ANN, ("new#r1", "old#r1", "new#waits-for-rename"))


@pytest.mark.parametrize("status", ["absent", "unsubscribed", "cleaned", "pending", "transactional", "archived"])
def test_mailchimp_renames_subscribed_members_only(status: str) -> None:
    assert rename(replace(OLD, member=ours(status)), NEW) is None


def test_a_member_that_is_not_ours_or_that_somebody_still_has_is_not_renamed() -> None:
    assert rename(replace(OLD, member=member("subscribed")), NEW) is None
    assert rename(replace(OLD, member=ours("subscribed", pre_existing=True)), NEW) is None
    assert rename(replace(OLD, address_customers=AddressCustomers.of((customer("2"),))), NEW) is None


def test_a_no_by_the_old_or_the_new_address_is_not_left_behind_by_a_rename() -> None:
    no = OptOut(datetime(2026, 2, 1, tzinfo=UTC), "pracbill")
    assert rename(replace(OLD, member=ours("subscribed", opt_out=no)), NEW) is None
    assert rename(OLD, replace(NEW, member=replace(NEW.member, opt_out=no))) is None


def test_a_rename_needs_a_new_address_that_would_be_added_as_subscribed() -> None:
    assert rename(OLD, replace(NEW, member=member("subscribed", "new"))) is None
    assert rename(OLD, replace(NEW, address_customers=None)) is None
    assert rename(OLD, replace(NEW, address_customers=AddressCustomers.of((customer(**NO),)))) is None
    assert rename(OLD, replace(NEW, address_customers=AddressCustomers.of((customer(consent=None),)))) is None
    everybody = ConsentPolicy(unknown_consent="subscribe")
    assert (
        rename(OLD, replace(NEW, address_customers=AddressCustomers.of((customer(consent=None),))), everybody)
        is not None
    )


def test_a_refused_new_address_is_no_target() -> None:
    refusal = refused(planned(NEW))
    assert rename(OLD, replace(NEW, member=replace(NEW.member, refusal=refusal))) is None


def test_who_was_archived_by_us_and_brought_back_or_was_erased_is_not_renamed() -> None:
    assert rename(replace(OLD, member=ours("subscribed", pushed_status="archived")), NEW) is None
    assert rename(replace(OLD, member=ours("subscribed", erased=True)), NEW) is None


def moved_between(known: AddressState, other: AddressState, *, is_other_decided: bool = True) -> Operation | Held:
    return plan_move(known, other, is_other_decided=is_other_decided, policy=POLICY, fields=FIELDS, now=NOON)


def test_a_rename_is_decided_at_the_old_address_and_the_new_one_waits_for_it() -> None:
    assert moved_between(OLD, NEW) == rename(OLD, NEW)
    waiting = Held("new", "new@clinic.test", "", "", "address-renamed", marks=("new#r1",), waits=True)
    assert moved_between(NEW, OLD) == waiting
    assert moved_between(NEW, OLD, is_other_decided=False) == rename(OLD, NEW)
    assert waiting_mark("new") == "new#waits-for-rename"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (replace(OLD, moved_to="elsewhere"), NEW),
        (OLD, replace(NEW, moved_from="elsewhere")),
        (replace(OLD, address_customers=AddressCustomers.of((customer("2"),))), NEW),
    ],
)
def test_addresses_that_do_not_belong_together_are_decided_each_for_itself(
    old: AddressState, new: AddressState
) -> None:
    assert moved_between(old, new) == plan(old)
    assert moved_between(new, old) == plan(new)


# --------------------------------------------------------------------------------------- values that are left out


ADDRESS: Any = {"addr1": "1 High St", "city": "Auckland", "state": "", "zip": "1010", "country": "NZ"}
EDITED = Operation(
    "update",
    "key",
    "ann@clinic.test",
    "yes-subscribed",
    values={"FNAME": "Ann", "PHONE": "", "ADDRESS": ADDRESS},
    values_fingerprint="print",
    inputs="print:update:print",
    left_out=(LeftOut("COMPANY", "cut"),),
)


def test_a_field_that_the_audience_has_lost_is_left_out() -> None:
    everything = FieldMap(("FNAME", "PHONE", "ADDRESS"))
    assert without_unusable(EDITED, everything) == EDITED
    kept = without_unusable(EDITED, FieldMap(("FNAME",)))
    fingerprint = values_fingerprint({"FNAME": "Ann"})
    assert kept == replace(
        EDITED,
        values={"FNAME": "Ann"},
        values_fingerprint=fingerprint,
        inputs=f"{fingerprint}:update:print",
        left_out=(LeftOut("COMPANY", "cut"), LeftOut("ADDRESS", "field_unusable")),
    )
    bare = replace(EDITED, values=None)
    assert without_unusable(bare, FieldMap(())) == bare


def test_a_value_that_mailchimp_refused_is_left_out_and_the_same_is_not_sent_again() -> None:
    """The fingerprint stays that of all values: only an edit changes it."""
    everything = FieldMap(("FNAME", "PHONE", "ADDRESS"))
    refused = without_value(EDITED, "FNAME", "Odd", everything)
    assert refused == replace(
        EDITED,
        values={"FNAME": "", "PHONE": "", "ADDRESS": ADDRESS},
        left_out=(LeftOut("COMPANY", "cut"), LeftOut("FNAME", "value_refused", ("Odd",))),
    )
    for tag in ("PHONE", "LNAME"):
        assert without_value(EDITED, tag, "Odd", everything) == EDITED
    assert without_value(replace(EDITED, values=None), "FNAME", "Odd", everything).values is None
    lost = without_value(EDITED, "FNAME", "Odd", FieldMap(("FNAME",)))
    assert (lost.values, [one.code for one in lost.left_out]) == (
        {"FNAME": ""},
        ["cut", "field_unusable", "value_refused"],
    )


@pytest.mark.parametrize(("state_sent", "code"), [("", "state_missing"), ("VIC", "value_refused")])
def test_an_address_without_a_state_is_refused_for_that(state_sent: str, code: str) -> None:
    values: Any = {"ADDRESS": ADDRESS | {"state": state_sent}}
    refused = without_value(replace(EDITED, values=values), "ADDRESS", "Odd", FieldMap(("ADDRESS",)))
    assert refused.left_out[-1].code == code
    assert refused.left_out[-1].details == (() if code == "state_missing" else ("Odd",))


def test_what_a_customer_lacks_goes_with_the_operation_and_with_who_is_unchanged() -> None:
    long = customer(first_name="x" * 300)
    cut = (LeftOut("FNAME", "cut"),)
    assert planned(state(None, long)).left_out == cut
    refused = (LeftOut("PHONE", "value_refused"),)
    sent = ours("subscribed", sent=values_fingerprint({"FNAME": "x" * 255}), left_out=refused)
    assert held(state(sent, long)).left_out == cut + refused


def test_a_log_entry_names_the_first_ten_customers() -> None:
    twelve = [customer(str(n), updated_at=f"2026-03-{30 - n}T00:00:00Z") for n in range(12)]
    some = [state(), state(None, *twelve[:7]), state(None, *twelve[7:])]
    assert customer_ids_of(some) == tuple(str(n) for n in range(10))
    assert customer_ids_of([state()]) == ()


# --------------------------------------------------------------------------------------------------------- chunks


def operation(number: int, action: Action = "add", **fields: Any) -> Operation:
    return Operation(action, f"{number:032x}", f"a{number}@clinic.test", "yes-absent", **fields)


def packed(operations: list[Operation]) -> list[tuple[Operation, ...]]:
    writer = ChunkWriter()
    return [chunk for one in operations for chunk in writer.add(one)] + list(writer.rest())


def test_bulk_calls_take_five_hundred_addresses_and_single_calls_a_hundred() -> None:
    bulk = [operation(n) for n in range(1001)]
    single = [operation(n, "archive") for n in range(2000, 2201)]
    assert [len(chunk) for chunk in packed(bulk)] == [MAX_CHUNK_OPERATIONS, MAX_CHUNK_OPERATIONS, 1]
    assert [len(chunk) for chunk in packed(single)] == [MAX_SINGLE_OPERATIONS, MAX_SINGLE_OPERATIONS, 1]


def test_addresses_without_a_state_are_in_as_few_chunks_as_can_be_and_cost_none_of_their_own() -> None:
    """Mailchimp may refuse them; a chunk that has some then takes a second call."""
    whole: Any = {"ADDRESS": ADDRESS | {"state": "Auckland"}}
    operations = [operation(n, values=whole if n % 60 else {"ADDRESS": ADDRESS}) for n in range(1_610)]
    chunks = packed(operations)
    assert [len(chunk) for chunk in chunks] == [500, 500, 500, 110]
    assert [sum(map(lacks_state, chunk)) for chunk in chunks] == [0, 0, 0, 27]
    assert sorted(one.address for chunk in chunks for one in chunk) == sorted(one.address for one in operations)


def test_more_addresses_without_a_state_than_a_chunk_takes_fill_chunks_as_others_do() -> None:
    chunks = packed([operation(n, values={"ADDRESS": ADDRESS} if n % 2 else None) for n in range(1_400)])
    assert [len(chunk) for chunk in chunks] == [500, 500, 400]
    assert [sum(map(lacks_state, chunk)) for chunk in chunks] == [0, 500, 200]


def weighing(number: int, action: Action, size: int) -> Operation:
    """An operation that takes just so many bytes in a stored chunk."""
    light = operation(number, action, inputs="")
    return replace(light, inputs="x" * (size - _weight(light)))


@pytest.mark.parametrize("action", ["add", "archive"])
def test_a_chunk_ends_before_it_outgrows_the_store(action: Action) -> None:
    """An item of DynamoDB holds 400 kB: a chunk that is larger could not be written, and its run would never end."""
    fitting = [weighing(n, action, MAX_CHUNK_BYTES // 4) for n in range(4)]
    assert [len(chunk) for chunk in packed([*fitting, *fitting, operation(9, action)])] == [4, 4, 1]
    one_byte_more = [*fitting[:3], weighing(3, action, MAX_CHUNK_BYTES // 4 + 1)]
    assert [len(chunk) for chunk in packed([*one_byte_more, fitting[0]])] == [3, 2]


def test_what_bulk_calls_weigh_does_not_count_for_single_ones() -> None:
    heavy: list[Operation] = [weighing(n, "add" if n % 2 else "archive", MAX_CHUNK_BYTES // 2) for n in range(4)]
    assert [len(chunk) for chunk in packed(heavy)] == [2, 2]


def test_bulk_and_single_calls_are_in_chunks_of_their_own() -> None:
    actions: list[Action] = ["add", "archive", "update", "rename", "subscribe", "unsubscribe", "ask", "archive"]
    chunks = packed([operation(n, action) for n, action in enumerate(actions)])
    assert [len({one.is_bulk for one in chunk}) for chunk in chunks] == [1, 1]
    bulk = {"add", "update", "subscribe", "unsubscribe", "ask"}  # what Mailchimp takes in one bulk call
    assert {one.action for one in chunks[0]} == BULK_ACTIONS == bulk


def test_five_hundred_customers_with_usual_data_are_one_chunk() -> None:
    address = {"addr1": "117 Collins Street", "addr2": "", "city": "Melbourne", "state": "VIC", "zip": "3000"}
    values: Any = {"FNAME": "Alexandra", "LNAME": "Papadopoulos", "COMPANY": "Northside Physiotherapy Pty Ltd"}
    values |= {"PHONE": "+61 3 9123 4567", "ADDRESS": address | {"country": "AU"}}
    usual = [
        operation(
            n,
            customer_id="1234567",
            status="subscribed",
            values=values,
            values_fingerprint="f" * 20,
            inputs="f" * 20 + ":add:subscribed",
            marks=("0" * 32 + "#20260302T120000Z-abcdef",),
        )
        for n in range(500)
    ]
    assert len(packed(usual)) == 1


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=255)
_operations = st.builds(
    Operation,
    action=st.sampled_from(["add", "update", "archive", "rename"]),
    address_key=st.text("0123456789abcdef", min_size=32, max_size=32),
    address=_texts,
    rule=st.just("address-renamed"),
    customer_id=_texts,
    status=st.sampled_from(["subscribed", "transactional", None]),
    values=st.none() | st.dictionaries(st.sampled_from(["FNAME", "LNAME", "COMPANY"]), _texts),
    inputs=st.just("f" * 20 + ":add:subscribed"),
    marks=st.lists(st.text("0123456789abcdef#", max_size=70), max_size=4).map(tuple),
    known_opt_out=st.just(NOON.isoformat()),
    old_address_key=st.text("0123456789abcdef", max_size=32),
    old_address=_texts,
)
_STORED: TypeAdapter[tuple[Operation, ...]] = TypeAdapter(tuple[Operation, ...])


@examples(60)
@given(st.lists(_operations, min_size=1, max_size=12), st.sampled_from([1, 7, 150]))
def test_no_chunk_outgrows_the_store_and_every_operation_is_in_one_chunk(some: list[Operation], times: int) -> None:
    """The same operations again and again, so that few examples fill many chunks."""
    operations = some * times
    chunks = packed(operations)
    for is_bulk in (True, False):
        inside = [one for chunk in chunks for one in chunk if one.is_bulk is is_bulk]
        assert inside == [one for one in operations if one.is_bulk is is_bulk]
    for chunk in chunks:
        assert len(chunk) <= (MAX_CHUNK_OPERATIONS if chunk[0].is_bulk else MAX_SINGLE_OPERATIONS)
        assert len(_STORED.dump_json(chunk, exclude_defaults=True)) <= MAX_CHUNK_BYTES


# ------------------------------------------------------------------------------------------------ addresses that wait

_STATUSES = st.sampled_from(get_args(Status))
_NOES = st.none() | st.builds(
    OptOut, at=st.just(NOON - timedelta(days=2)), route=st.sampled_from(["person", "pracbill"])
)
_REFUSALS = st.sampled_from(("", "add", "archive"))


def _members(key: str) -> st.SearchStrategy[Member]:
    pushed = st.none() | st.just(NOON - timedelta(days=1))
    return st.builds(
        member,
        _STATUSES,
        st.just(key),
        pushed_at=pushed,
        pushed_status=_STATUSES,
        pre_existing=st.booleans(),
        archived_by_us=st.booleans(),
        erased=st.booleans(),
        opt_out=_NOES,
    )


def _refused(known: AddressState, policy: ConsentPolicy) -> AddressState:
    """The state with what would be sent for it refused, for good."""
    decision = plan(known, policy=policy)
    if not isinstance(decision, Operation):
        return known
    refusal = PushRefusal("looks_fake", "", NOON, 1, decision.inputs)
    return replace(known, member=replace(known.member, refusal=refusal))


@examples(500)
@given(
    old=_members("old"),
    new=_members("new"),
    consent=st.sampled_from((YES, NO, {"consent": None, "consent_changed_at": ""})),
    policy=st.builds(
        ConsentPolicy,
        unknown_consent=st.sampled_from(("skip", "transactional", "subscribe")),
        on_removed=st.sampled_from(("archive", "keep")),
        ask_again=st.booleans(),
    ),
    is_shared=st.booleans(),
    moved_on=st.booleans(),
    refused=st.tuples(st.booleans(), st.booleans()),
    marked=st.tuples(st.booleans(), st.booleans()),
    everything=st.booleans(),
)
def test_nobody_waits_for_an_address_that_decides_otherwise(  # noqa: PLR0913 - each is drawn
    old: Member,
    new: Member,
    consent: dict[str, Any],
    policy: ConsentPolicy,
    is_shared: bool,
    moved_on: bool,
    refused: tuple[bool, bool],
    marked: tuple[bool, bool],
    everything: bool,
) -> None:
    """Whoever waits is taken along by an operation of the same plan, and nobody is decided twice."""
    others = (customer("2"),) if is_shared else ()
    left = state(old, *others, moved_to="other" if moved_on else "new", marks=("old#m",) if marked[0] else ())
    joined = state(new, customer(**consent), moved_from="old", marks=("new#m",) if marked[1] else ())
    left = _refused(left, policy) if refused[0] else left
    joined = _refused(joined, policy) if refused[1] else joined

    def decided(known: AddressState, other: AddressState) -> Operation | Held | None:
        if not (everything or known.marks):
            return None
        is_other_decided = everything or bool(other.marks)
        return plan_move(known, other, is_other_decided=is_other_decided, policy=policy, fields=FIELDS, now=NOON)

    at_old, at_new = decided(left, joined), decided(joined, left)
    renames = [one for one in (at_old, at_new) if isinstance(one, Operation) and one.action == "rename"]
    assert len(renames) <= 1
    if isinstance(at_new, Held) and at_new.waits and not at_new.code:
        assert renames == [at_old]
        assert renames[0].address_key == "new"
        assert renames[0].old_address_key == "old"
    elif at_new is not None and not renames:
        assert at_new == plan(joined, policy=policy)
    if isinstance(at_old, Held):
        assert not at_old.waits or at_old.code, "the old address waits for nobody but Mailchimp"

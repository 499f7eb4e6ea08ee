"""Who acts in a history, and what they can do. Each act is a function of the world and the words of its step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from infra.standins.mailchimp.problems import Problem
from tests.soak.addresses import BROKEN, FAKE, SPELLINGS, canonical, spelling
from tests.soak.chronicle import Event
from tests.soak.product import Definition, RefuseRequest, Rule, ServiceError, SettingsChanges
from tests.soak.script import Step
from tests.soak.segments import SEGMENTS
from tests.soak.world import World

Act = Callable[..., None]
_ACTS: dict[tuple[str, str], Act] = {}


def act(actor: str, name: str) -> Callable[[Act], Act]:
    def kept(function: Act) -> Act:
        _ACTS[actor, name] = function
        return function

    return kept


def take(world: World, step: Step) -> None:
    """Carry out a step. What cannot be done at this moment is no fault: it is put down and passed over."""
    before, world.is_staff_acting = len(world.notes), step.actor == "staff"
    try:
        _ACTS[step.actor, step.act](world, *step.words)
    except Problem as problem:
        world.say(f"not possible: {problem.detail[:80]}")
    except (RefuseRequest, ServiceError) as refused:
        world.say(f"refused: {refused}"[:160])
    except KeyError as missing:
        world.say(f"nobody there: {missing}")
    finally:
        world.is_staff_acting = False
    told = "; ".join(world.notes[before:])
    world.notes[before:] = [f"{world.clock():%d %H:%M:%S} {step}" + (f"   [{told}]" if told else "")]


def _address(name: str) -> str:
    """`ann`, or `ann/1` for the second spelling of the same mailbox."""
    if name in ("fake", "broken"):
        return FAKE if name == "fake" else BROKEN
    plain, _, number = name.partition("/")
    return spelling(plain, int(number or 0))


# ------------------------------------------------------------------------------------------------ people and Mailchimp


def _in_mailchimp(actor: str, name: str, control: str) -> None:
    """Something done to a member of the selected audience in Mailchimp."""

    def done(world: World, address: str, *more: str) -> None:
        before, noted = world.statuses(world.audience_id), len(world.chronicle.events)
        arguments = [_address(word) for word in more]
        getattr(world.control, control)(_address(address), *arguments, audience_id=world.audience_id)
        world.note_changes(actor, name, world.audience_id, before)
        if len(world.chronicle.events) == noted:
            # Said again: it is the person's word all the same.
            status = next(s for a, s in before.values() if a == canonical(_address(address)))
            event = Event(world.clock(), actor, name, canonical(_address(address)), world.audience_id, status, status)
            world.chronicle.events.append(event)

    _ACTS[actor, name] = done


for _who, _what, _how in (
    ("person", "unsubscribe", "unsubscribe"),
    ("person", "complain", "complain"),
    ("person", "resubscribe", "resubscribe"),
    ("person", "confirm", "confirm"),
    ("person", "move", "change_address"),
    ("colleague", "unsubscribe", "admin_unsubscribe"),
    ("colleague", "archive", "admin_archive"),
    ("colleague", "delete", "admin_delete"),
    ("machine", "bounce", "bounce"),
):
    _in_mailchimp(_who, _what, _how)


@act("colleague", "import")
def _import(world: World, address: str, status: str) -> None:
    before = world.statuses(world.audience_id)
    row = {"email_address": _address(address), "status": status}
    world.control.admin_import([row], audience_id=world.audience_id)
    world.note_changes("colleague", "import", world.audience_id, before)


@act("colleague", "edit")
def _edit_member(world: World, address: str, tag: str, text: str) -> None:
    world.control.admin_edit(_address(address), {tag: text}, audience_id=world.audience_id)


@act("colleague", "untag")
def _untag(world: World, address: str, name: str) -> None:
    world.control.admin_tag(_address(address), name, False, audience_id=world.audience_id)


@act("colleague", "delete-tag")
def _delete_tag(world: World, name: str) -> None:
    _, found = world.colleague_calls("GET", "/segments?type=static&count=100")
    for segment in found["segments"]:
        if segment["name"] == name:
            world.colleague_calls("DELETE", f"/segments/{segment['id']}")


def _field(world: World, tag: str) -> dict[str, Any] | None:
    _, found = world.colleague_calls("GET", "/merge-fields?count=100")
    return next((field for field in found["merge_fields"] if field["tag"] == tag), None)


@act("colleague", "delete-field")
def _delete_field(world: World, tag: str) -> None:
    if field := _field(world, tag):
        world.colleague_calls("DELETE", f"/merge-fields/{field['merge_id']}")


@act("colleague", "retype-field")
def _retype_field(world: World, tag: str, type: str) -> None:
    """Mailchimp changes no type: the field is deleted and another one made under its tag."""
    _delete_field(world, tag)
    world.colleague_calls("POST", "/merge-fields", {"tag": tag, "name": tag.title(), "type": type})


@act("colleague", "require-field")
def _require_field(world: World, tag: str) -> None:
    if field := _field(world, tag):
        world.colleague_calls("PATCH", f"/merge-fields/{field['merge_id']}", {"required": True})


@act("colleague", "delete-hook")
def _delete_hook(world: World) -> None:
    _, found = world.colleague_calls("GET", "/webhooks")
    for hook in found["webhooks"]:
        world.colleague_calls("DELETE", f"/webhooks/{hook['id']}")


# ------------------------------------------------------------------------------------------------------------ PracBill


@act("pracbill", "add")
def _add(world: World, customer_id: str, address: str, consent: str, *more: str) -> None:
    """A new customer, or the same one entered anew."""
    fields = dict(pair.split("=", 1) for pair in more)
    _upsert(
        world,
        customer_id,
        email=_address(address),
        first_name=f"Name{customer_id}",
        last_name="Test",
        company_name=fields.get("company", f"Company {customer_id}"),
        phone=f"03 9000 000{customer_id}",
        address={
            "line1": f"{customer_id} High St",
            "city": "Preston",
            "state": fields.get("state", "VIC"),
            "postcode": "3072",
            "country": "AU",
        },
        balance=fields.get("balance", "50.00"),
        marketing_consent=_consent(world, consent),
    )


def _upsert(world: World, customer_id: str, **fields: Any) -> None:
    world.pracbill.upsert(customer_id, department_id=world.id, **fields)
    world.note_customers()


def _live(world: World, customer_id: str) -> dict[str, Any]:
    """Raises KeyError for a customer that is not there."""
    document = world.pracbill.customer(customer_id, department_id=world.id)
    if document is None or document.get("deleted"):
        raise KeyError(customer_id)
    return document


def _consent(world: World, word: str) -> dict[str, Any] | None:
    """yes and no are said now; old-yes and old-no a month ago; yes? at a time that nobody knows."""
    if word == "none":
        return None
    status = "subscribed" if "yes" in word else "unsubscribed"
    if word.endswith("?"):
        return {"status": status, "changed_at": None}
    at = "2026-02-01T00:00:00Z" if word.startswith("old") else world.clock().isoformat()
    return {"status": status, "changed_at": at}


@act("pracbill", "consent")
def _say(world: World, customer_id: str, word: str) -> None:
    _live(world, customer_id)
    _upsert(world, customer_id, marketing_consent=_consent(world, word))


@act("pracbill", "move")
def _move(world: World, customer_id: str, address: str) -> None:
    _live(world, customer_id)
    _upsert(world, customer_id, email=_address(address))


@act("pracbill", "edit")
def _edit(world: World, customer_id: str, *pairs: str) -> None:
    _live(world, customer_id)
    for pair in pairs:
        name, value = pair.split("=", 1)
        _upsert(world, customer_id, **({"address": {"state": value}} if name == "state" else {name: value}))


@act("pracbill", "remove")
def _remove(world: World, customer_id: str) -> None:
    _live(world, customer_id)
    world.pracbill.remove(customer_id, department_id=world.id)
    world.note_customers()


# --------------------------------------------------------------------------------------------------------------- staff


@act("staff", "set")
def _set(world: World, name: str, value: str) -> None:
    changes: Any = {name: value == "on" if name in ("ask_again", "paused") else value}
    world.product.service.settings.put(world.id, SettingsChanges(**changes), by="user-1")


@act("staff", "cancel")
def _cancel(world: World) -> None:
    run_id = world.product.active_run_id()
    if run_id:
        world.product.service.runs.cancel(world.id, run_id, by="user-1")
        world.say(f"run {run_id}")


@act("staff", "approve")
def _approve(world: World) -> None:
    if run_id := world.product.active_run_id():
        world.product.service.runs.approve(world.id, run_id, by="user-1")


def _rules(name: str) -> tuple[Rule, ...]:
    return tuple(Rule(*rule) for rule in SEGMENTS[name])


def _segment(world: World, name: str) -> Any:
    found = [view for view in world.product.service.segments.list(world.id) if view.name == name]
    return found[0] if found else None


@act("staff", "segment")
def _make_segment(world: World, name: str, rules: str = "") -> None:
    """Make a segment, or give it the rules of another one."""
    service, known = world.product.service.segments, _segment(world, name)
    if known is None:
        service.create(world.id, Definition(name, _rules(rules or name)), by="user-1")
    else:
        service.update(world.id, known.id, Definition(name, _rules(rules or name)), version=None, by="user-1")


@act("staff", "delete-segment")
def _delete_segment(world: World, name: str) -> None:
    if known := _segment(world, name):
        world.product.service.segments.delete(world.id, known.id, by="user-1")


@act("staff", "erase")
def _erase(world: World, customer_id: str) -> None:
    """The person wished to be forgotten: PracBill's staff remove the customer, and have us erase what we know."""
    addresses = {records[customer_id].address for _, records in world.chronicle.records if customer_id in records}
    _live(world, customer_id)
    world.product.service.customers.erase(world.id, customer_id, by="user-1")
    world.pracbill.remove(customer_id, department_id=world.id)
    world.note_customers()
    for address in addresses:
        world.chronicle.events.append(Event(world.clock(), "staff", "erase", address, world.audience_id))


@act("staff", "select")
def _select(world: World, which: str) -> None:
    """Select a new audience, or look after the selected one again."""
    audience_id = world.audience_id
    if which == "new":
        audience_id = str(world.control.create_audience("Clients")["audience_id"])
    world.product.service.audiences.select(world.id, audience_id, by="user-1")
    if world.audience_id != audience_id:
        world.audience_id = audience_id
        world.chronicle.selected.append((world.clock(), audience_id))


# ------------------------------------------------------------------------------------------------- machines and servers


@act("machine", "deliver")
def _deliver(world: World, which: str = "all") -> None:
    """Webhooks: all in the order they were sent, or shuffled, doubled, or only the last one."""
    letters, world.letters = world.letters, []
    if which == "last":
        letters, world.letters = letters[-1:], letters[:-1]
    if which == "shuffled":
        world.random.shuffle(letters)
    if which == "doubled":
        letters = letters + letters[:1]
    for letter in letters:
        status = world.deliver(letter)
        if status != 200:
            world.say(f"answered {status}")
    world.work_events()


@act("machine", "lose")
def _lose(world: World) -> None:
    """Webhooks that never came: our side was away for longer than Mailchimp tries."""
    world.letters.clear()


@act("machine", "sweep")
def _sweep(world: World, minutes: str = "7") -> None:
    world.clock.move(minutes=int(minutes))
    world.product.sweep()


@act("machine", "wait")
def _wait(world: World, hours: str) -> None:
    world.clock.move(hours=float(hours))


@act("worker", "die")
def _die(world: World, nth: str) -> None:
    """The worker dies before the nth write of what it does next."""
    world.executioner.order(int(nth))


@act("server", "culprit")
def _culprit(world: World, address: str, how: str) -> None:
    """Until the next run has ended every call that names the address fails."""
    world.tap.culprits.append((SPELLINGS[address][0], how))

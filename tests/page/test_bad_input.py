"""What bad input gets: words at its field with the focus there, both versions of an edit, and nothing typed is lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, Route, expect

from infra.local.stack import LocalStack
from tests.page.department import Department
from tests.page.embedding import OwnHost, open_page
from tests.page.panels import CUSTOMER, panel

pytestmark = pytest.mark.stack

_TYPE = "urn:pracbill-mailchimp:problem:"
_COLLEAGUES = "By a colleague"


def refuse(page: Page, call: str, status: int, code: str, *, method: str, **members: Any) -> None:
    """The service refuses this call from now on; other methods go through."""
    document = {"type": _TYPE + code, "title": "x", "status": status, "detail": "As the service says.", **members}
    headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "application/problem+json"}

    def answer(route: Route) -> None:
        if route.request.method == method:
            route.fulfill(status=status, body=json.dumps(document), headers=headers)
        else:
            route.continue_()

    page.route(call, answer)


def fault(field: str, code: str, **params: Any) -> dict[str, Any]:
    return {"field": field, "message": "As the service says of the field.", "code": code, "params": params}


def expect_wrong(control: Locator, words: str) -> None:
    """The control is marked, says why, and has the focus."""
    expect(control).to_have_attribute("aria-invalid", "true")
    expect(control).to_have_accessible_description(re.compile(re.escape(words)))
    expect(control).to_be_focused()


# Segments


_SEGMENT = {"name": "Theirs or mine", "rules": [{"field": "state", "operator": "equals", "value": "VIC"}]}


@pytest.fixture
def segment(connected: Department) -> dict[str, Any]:
    """One that is as it was made, whatever the last test did to it; each change of one takes a run."""
    for known in connected.call("GET", "/segments")["items"]:
        if [known["name"], known["rules"]] == [_SEGMENT["name"], _SEGMENT["rules"]]:
            return dict(known)
        if known["name"] in (_SEGMENT["name"], _COLLEAGUES):
            connected.call("DELETE", f"/segments/{known['id']}")
    return dict(connected.call("POST", "/segments", _SEGMENT))


def edit(page: Page, stack: LocalStack, segment: dict[str, Any]) -> Locator:
    open_page(page, stack, view="segments")
    panel(page, "Segments").get_by_role("button", name=f"Edit {segment['name']}").click()
    editor = panel(page, "Edit the segment")
    expect(editor.get_by_role("textbox", name="Segment Name")).to_have_value(segment["name"])
    return editor


def somebody_else_saves(department: Department, segment: dict[str, Any]) -> None:
    rules = [{"field": "state", "operator": "equals", "value": "NSW"}]
    department.call("PUT", f"/segments/{segment['id']}", {"name": _COLLEAGUES, "rules": rules})


@pytest.mark.parametrize("choice", ["Use theirs", "Keep yours and save"])
def test_an_edit_of_somebody_else_shows_both_versions_to_choose_from(
    page: Page, stack: LocalStack, connected: Department, segment: dict[str, Any], choice: str
) -> None:
    editor = edit(page, stack, segment)
    somebody_else_saves(connected, segment)
    editor.get_by_role("combobox", name="Value").fill("QLD")
    editor.get_by_role("button", name="Save").click()
    conflict = editor.get_by_role("alert")
    expect(conflict).to_contain_text('Theirs: By a colleague: State Equals "NSW"')
    expect(conflict).to_contain_text('Yours: Theirs or mine: State Equals "QLD"')
    expect(editor.get_by_role("combobox", name="Value")).to_have_value("QLD")

    editor.get_by_role("button", name=choice).click()
    if choice == "Use theirs":
        expect(editor.get_by_role("textbox", name="Segment Name")).to_have_value("By a colleague")
        expect(editor.get_by_role("combobox", name="Value")).to_have_value("NSW")
        expect(editor.get_by_role("alert")).to_have_count(0)
    else:
        expect(panel(page, "Segments")).to_contain_text('State Equals "QLD"')
        saved = next(one for one in connected.call("GET", "/segments")["items"] if one["id"] == segment["id"])
        assert (saved["name"], saved["rules"][0]["value"]) == ("Theirs or mine", "QLD")


def test_what_is_wrong_with_a_rule_is_said_at_the_rule(
    page: Page, stack: LocalStack, connected: Department, segment: dict[str, Any]
) -> None:
    editor = edit(page, stack, segment)
    editor.get_by_role("button", name="Add a rule").click()
    second = editor.get_by_role("group", name="Rule 2", exact=True)
    second.get_by_role("combobox", name="Field").select_option("Created in Last N Days")
    second.get_by_role("textbox", name="Value").fill("99999999")
    editor.get_by_role("button", name="Save").click()
    expect_wrong(second.get_by_role("textbox", name="Value"), "Give a whole number from 1 to 36,500.")
    expect(editor.get_by_role("group", name="Rule 1", exact=True).get_by_role("combobox", name="Value")).to_have_value(
        "VIC"
    )


def test_a_name_that_is_taken_is_said_at_the_name(
    page: Page, stack: LocalStack, connected: Department, segment: dict[str, Any]
) -> None:
    open_page(page, stack, view="segments")
    panel(page, "Segments").get_by_role("button", name="Create Segment").click()
    editor = panel(page, "Create a segment")
    editor.get_by_role("textbox", name="Segment Name").fill(segment["name"])
    editor.get_by_role("combobox", name="Field").select_option("State")
    editor.get_by_role("combobox", name="Value").fill("VIC")
    editor.get_by_role("button", name="Save").click()
    expect_wrong(editor.get_by_role("textbox", name="Segment Name"), "Another segment has this name.")
    expect(editor.get_by_role("combobox", name="Value")).to_have_value("VIC")


def test_a_failure_an_escape_and_another_tab_take_nothing_from_the_editor(
    page: Page, stack: LocalStack, connected: Department, segment: dict[str, Any]
) -> None:
    editor = edit(page, stack, segment)
    name, value = editor.get_by_role("textbox", name="Segment Name"), editor.get_by_role("combobox", name="Value")
    name.fill("Half typed")
    value.fill("TAS")
    value.press("Escape")
    refuse(page, "**/segments/*", 500, "internal", method="PUT")
    editor.get_by_role("button", name="Save").click()
    expect(editor.get_by_role("alert")).to_contain_text("Something went wrong in the service.")
    page.get_by_role("tab", name="Overview").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    expect(dialog.get_by_role("button", name="Go on editing")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(name).to_have_value("Half typed")
    expect(value).to_have_value("TAS")
    page.get_by_role("tab", name="Overview").click()
    dialog.get_by_role("button", name="Leave").click()
    expect(panel(page, "Connection Status")).to_be_visible()


@pytest.mark.usefixtures("context")
def test_a_colleague_who_disconnects_takes_nothing_from_the_editor(
    page: Page, stack: LocalStack, connected: Department, segment: dict[str, Any]
) -> None:
    page.clock.install()
    editor = edit(page, stack, segment)
    editor.get_by_role("textbox", name="Segment Name").fill("Half typed")

    def without_audience(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"audience": None})

    page.route("**/panel", without_audience)
    with page.expect_response("**/panel"):
        page.clock.fast_forward(61_000)
    expect(editor.get_by_role("textbox", name="Segment Name")).to_have_value("Half typed")


# The host's token


def test_a_new_token_function_of_the_host_begins_nothing_anew(
    page: Page, own_host: OwnHost, stack: LocalStack, connected: Department
) -> None:
    """Front ends hand over a new function at each of their renderings."""
    own_host.open(page, "ELEMENT")
    settings = panel(page, "Settings")
    settings.get_by_role("textbox", name="Removals, number").fill("12")
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate(
        """() => {
          const element = document.querySelector('pracbill-mailchimp');
          const before = element.getToken;
          window.askedAnew = 0;
          element.getToken = (how) => { window.askedAnew += 1; return before(how); };
          return element.updateComplete;
        }"""
    )
    expect(settings.get_by_role("textbox", name="Removals, number")).to_have_value("12")
    assert asked == []
    page.route("**/settings", lambda route: route.fulfill(status=401, headers={"Access-Control-Allow-Origin": "*"}))
    settings.get_by_role("button", name="Save settings").click()
    expect(page.get_by_role("alert").filter(has_text="Your sign-in has ended.").first).to_be_visible()
    assert page.evaluate("window.askedAnew") == 1, "the new function is asked for the refresh"
    expect(settings.get_by_role("textbox", name="Removals, number")).to_have_value("12")


# Settings, audience, search, key


def test_a_limit_that_the_service_refuses_is_said_at_the_limit(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    refuse(page, "**/settings", 400, "bad-input", method="PUT", errors=[fault("brake.additions", "too_large", most=5)])
    open_page(page, stack)
    settings = panel(page, "Settings")
    settings.get_by_role("textbox", name="Additions, number").fill("7")
    settings.get_by_role("button", name="Save settings").click()
    expect_wrong(settings.get_by_role("textbox", name="Additions, number"), "Give a number of at most 5.")
    expect(settings.get_by_role("textbox", name="Additions, number")).to_have_value("7")
    expect(settings.get_by_role("alert")).to_have_count(0)


def fill_audience(page: Page) -> Locator:
    overview = panel(page, "Audience Overview")
    overview.get_by_role("button", name="Choose another audience").click()
    overview.get_by_role("button", name="Create Audience").click()
    for name, value in {
        "Audience Name": "Newsletter",
        "From Name": "North",
        "From Email": "hello@practice.test",
        "Company": "North Practice",
        "Address": "1 High Road",
        "City": "Melbourne",
        "Postcode": "3000",
        "Country (two letters)": "AU",
    }.items():
        overview.get_by_role("textbox", name=name, exact=True).fill(value)
    return overview


def test_a_second_audience_of_a_name_is_asked_about_before_it_is_made(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    present = connected.call("GET", "/audience")["name"]
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/audiences"):
            sent.append(request.headers["idempotency-key"])

    page.on("request", note)
    refuse(page, "**/departments/*/audiences", 500, "internal", method="POST")
    open_page(page, stack)
    overview = fill_audience(page)
    name = overview.get_by_role("textbox", name="Audience Name")
    create = overview.get_by_role("button", name="Create", exact=True)
    name.fill(f" {present.upper()}")
    create.click()
    question = page.get_by_role("dialog", name="Create a second audience with this name?")
    expect(question).to_contain_text(f"already has the audience {present} (")
    expect(question.get_by_role("button", name="Go back")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(name).to_be_focused()
    expect(name).to_have_value(f" {present.upper()}")
    assert sent == []

    create.click()
    question.get_by_role("button", name="Create a second one").click()
    expect(overview.get_by_role("alert")).to_contain_text("Something went wrong in the service.")
    # The lost answer may have been that it is made: the same attempt goes on, and nobody is asked again.
    with page.expect_response("**/departments/*/audiences"):
        create.click()
    expect(question).to_be_hidden()
    assert len(sent) == 2
    assert sent[0] == sent[1]


def test_a_field_of_the_audience_that_mailchimp_refuses_is_marked(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack)
    overview = fill_audience(page)
    faults = [fault("from_email", "refused_by_mailchimp"), fault("address.city", "too_long", most=3)]
    refuse(page, "**/audiences", 422, "refused-by-mailchimp", method="POST", errors=faults)
    overview.get_by_role("button", name="Create", exact=True).click()
    expect_wrong(overview.get_by_role("textbox", name="From Email"), "Mailchimp does not accept this value.")
    city = overview.get_by_role("textbox", name="City")
    expect(city).to_have_accessible_description(re.compile("Use at most 3 characters."))
    expect(city).to_have_value("Melbourne")


def test_a_full_plan_offers_the_audiences_there_are_and_keeps_what_was_typed(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack)
    overview = fill_audience(page)
    others = [{"id": "a1", "name": "The old one", "member_count": 12, "counted_at": None}]
    refuse(page, "**/audiences", 409, "plan-limit-reached", method="POST", audiences=others)
    overview.get_by_role("button", name="Create", exact=True).click()
    expect(overview.get_by_role("alert")).to_contain_text("Your Mailchimp plan allows no further audience.")
    expect(overview.get_by_role("combobox", name="Audience")).to_be_focused()
    expect(overview.get_by_role("combobox", name="Audience")).to_contain_text("The old one (12 members)")
    overview.get_by_role("button", name="Create Audience").click()
    expect(overview.get_by_role("textbox", name="City")).to_have_value("Melbourne")


def test_an_audience_that_is_gone_is_said_at_the_choice(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    overview = panel(page, "Audience Overview")
    overview.get_by_role("button", name="Choose another audience").click()
    others = [{"id": "a1", "name": "The one that is there", "member_count": 12, "counted_at": None}]
    faults = [fault("audience_id", "no_such_audience")]
    refuse(page, "**/audience", 404, "no-such-audience", method="PUT", audiences=others, errors=faults)
    overview.get_by_role("button", name="Use this audience").click()
    confirm = page.get_by_role("dialog")
    if confirm.is_visible():
        confirm.get_by_role("button", name="Use it").click()
    choice = overview.get_by_role("combobox", name="Audience")
    expect_wrong(choice, "This audience is not in the Mailchimp account any more.")
    expect(choice).to_contain_text("The one that is there")


def test_a_search_is_kept_on_escape_and_refused_at_its_field(
    page: Page, stack: LocalStack, connected: Department
) -> None:
    open_page(page, stack, view="customer")
    search = panel(page, CUSTOMER).get_by_role("searchbox")
    search.fill("somebody")
    search.press("Escape")
    expect(search).to_have_value("somebody")
    refuse(page, "**/customers?*", 400, "bad-input", method="GET", errors=[fault("query", "too_long", most=200)])
    panel(page, CUSTOMER).get_by_role("button", name="Find").click()
    expect_wrong(search, "Use at most 200 characters.")


def test_a_key_of_another_account_is_said_at_the_key(page: Page, stack: LocalStack, connected: Department) -> None:
    open_page(page, stack)
    status = panel(page, "Connection Status")
    status.get_by_role("button", name="Replace key").click()
    key = status.get_by_role("textbox", name="Mailchimp API key")
    pasted = "0123456789abcdef0123456789abcdef-us21"
    key.fill(f'"{pasted[:9]} {pasted[9:]}"\n')
    expect(key).to_have_value(pasted)
    expect(key).to_have_accessible_description(re.compile("were removed"))
    refuse(page, "**/connection", 409, "another-account", method="PUT", errors=[fault("api_key", "another_account")])
    status.get_by_role("button", name="Replace key").click()
    expect_wrong(key, "This key belongs to another Mailchimp account.")
    expect(key).to_have_value(pasted)
    key.press("Escape")
    expect(key).to_have_value(pasted)

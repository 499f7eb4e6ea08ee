"""Two ways of using the page: by mouse, and by keyboard alone.

By keyboard nothing is pressed but Tab, the arrows, Enter, Space, Escape and what is typed. Nothing is focused or
changed by a script, so what these hands cannot reach nobody reaches without a mouse.
"""

from __future__ import annotations

from typing import Protocol

from playwright.sync_api import Locator, Page, expect

_HAS_FOCUS = "(element) => element.getRootNode().activeElement === element"
_GROUP_HAS_FOCUS = "(radio) => radio.getRootNode().activeElement?.name === radio.name"
# More than the page has stops in any view.
_MOST_STOPS = 80


class Hands(Protocol):
    """Press, write and choose what was found by role and name."""

    def press(self, wanted: Locator) -> None: ...

    def write(self, field: Locator, text: str) -> None:
        """The field then has this text and no other."""

    def send(self, field: Locator) -> None:
        """Send the form of a field that was written last."""

    def choose(self, select: Locator, label: str) -> None: ...

    def pick(self, radio: Locator) -> None: ...

    def show(self, page: Page, tab: str) -> None: ...

    def refuse(self, dialog: Locator, no: str) -> None:
        """Close a question without a yes."""


class Mouse:
    def press(self, wanted: Locator) -> None:
        wanted.click()

    def write(self, field: Locator, text: str) -> None:
        field.click()
        field.fill(text)

    def send(self, field: Locator) -> None:
        field.page.get_by_role("button", name="Connect", exact=True).click()

    def choose(self, select: Locator, label: str) -> None:
        select.select_option(label)

    def pick(self, radio: Locator) -> None:
        radio.check()

    def show(self, page: Page, tab: str) -> None:
        page.get_by_role("tab", name=tab, exact=True).click()

    def refuse(self, dialog: Locator, no: str) -> None:
        dialog.get_by_role("button", name=no).click()


class Keyboard:
    def __init__(self, page: Page) -> None:
        self._keys = page.keyboard

    def press(self, wanted: Locator) -> None:
        self._reach(wanted)
        self._keys.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        """What is reached by Tab is selected, and typing replaces it."""
        self._reach(field)
        self._keys.type(text)

    def send(self, field: Locator) -> None:
        self._keys.press("Enter")

    def choose(self, select: Locator, label: str) -> None:
        self._reach(select)
        labels: list[str] = select.evaluate("(select) => [...select.options].map((option) => option.label)")
        for _ in range(len(labels)):
            steps = labels.index(label) - int(select.evaluate("(select) => select.selectedIndex"))
            if steps == 0:
                return
            self._keys.press("ArrowDown" if steps > 0 else "ArrowUp")
        raise AssertionError(f"the arrows do not lead to {label}")

    def pick(self, radio: Locator) -> None:
        self._reach(radio, _GROUP_HAS_FOCUS)
        for _ in range(_MOST_STOPS):
            if radio.evaluate(_HAS_FOCUS):
                return expect(radio).to_be_checked()
            self._keys.press("ArrowDown")
        raise AssertionError("the arrows do not lead there")

    def show(self, page: Page, tab: str) -> None:
        self._reach(page.get_by_role("tab", selected=True))
        wanted = page.get_by_role("tab", name=tab, exact=True)
        for _ in range(_MOST_STOPS):
            if wanted.evaluate(_HAS_FOCUS):
                return expect(wanted).to_have_attribute("aria-selected", "true")
            self._keys.press("ArrowRight")
        raise AssertionError("the arrows do not lead there")

    def refuse(self, dialog: Locator, no: str) -> None:
        self._keys.press("Escape")

    def _reach(self, wanted: Locator, reached: str = _HAS_FOCUS) -> None:
        expect(wanted).to_be_visible()
        for _ in range(_MOST_STOPS):
            if wanted.evaluate(reached):
                return
            self._keys.press("Tab")
        raise AssertionError(f"Tab does not lead to {wanted}")

"""The page's parts that need no browser, by Node's own test runner."""

from __future__ import annotations

from infra.deploy import page


def test_the_units_of_the_page() -> None:
    page.install()
    said = page.run_node_text("--test", "src/**/*.test.ts")
    assert "\nℹ fail 0" in said or "\n# fail 0" in said, said
    assert "\nℹ pass 0" not in said and "\n# pass 0" not in said, said

"""The order in which tests run, where a random one is asked for."""

from __future__ import annotations

from itertools import groupby

from tests.distribution import shuffled

TESTS = [(file, f"{file}{number}") for file in "abcd" for number in range(5)]


def test_every_test_runs_once_and_those_of_a_file_side_by_side() -> None:
    found = shuffled(TESTS, 1)
    assert sorted(found) == [test for _, test in TESTS]
    assert len([file for file, _ in groupby(found, key=lambda test: test[0])]) == 4


def test_a_seed_is_one_order_of_files_and_tests() -> None:
    assert shuffled(TESTS, 1) == shuffled(TESTS, 1) != shuffled(TESTS, 2)
    assert [file for file, _ in groupby(shuffled(TESTS, 1), key=lambda test: test[0])] != list("abcd")
    assert shuffled(TESTS[:5], 1) != [test for _, test in TESTS[:5]]

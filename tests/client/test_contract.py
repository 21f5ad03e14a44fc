"""The contract of a store, held to by one that is reached over HTTP: the same test functions, another `store`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

SUITE = Path(__file__).parent.parent / "storage"
LOCAL_ONLY = {
    # It drives the indexing by hand, which a server does by itself.
    "test_words_are_found_before_and_after_they_are_indexed",
    # These look into the file, or at the store as it is made.
    "test_back_filling_goes_in_steps_behind_a_cursor",
    "test_a_rule_whose_query_is_no_query_any_more_keeps_no_other_from_its_calls",
    "test_two_that_look_at_the_same_calls_count_them_once",
    "test_deleting_calls_deletes_what_was_wanted_of_them",
    "test_much_that_has_no_money_is_passed_over_in_several_transactions",
    "test_a_step_looks_for_no_more_calls_than_it_may_go_through",
}


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"contract_{name}", SUITE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _tests(module: ModuleType) -> dict[str, object]:
    return {
        name: each
        for name, each in vars(module).items()
        if name.startswith("test_") and name not in LOCAL_ONLY
    }


globals().update(_tests(_load("test_ingest")))
globals().update(_tests(_load("test_views")))
globals().update(_tests(_load("test_bulk")))
_evaluations = _load("test_evaluations")
globals().update(_tests(_evaluations))
_standing_rules = _load("test_standing_rules")
globals().update(_tests(_standing_rules))
# The server is in this process, so that its clock is set with ours.
clock = _evaluations.clock
slow = _standing_rules.slow
_rules = _load("test_rules")
globals().update(_tests(_rules))
_filled = _rules._filled

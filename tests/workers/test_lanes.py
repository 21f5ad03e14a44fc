"""Lanes: how a worker learns what is quick, and what it takes next."""

from __future__ import annotations

import pytest

from kibitz.base import clock
from kibitz.base.evaluations import Claim
from kibitz.workers import lanes
from kibitz.workers.board import Board
from kibitz.workers.lanes import Job

MS = 1_000_000


class Judge:
    """Only what lanes look at."""

    def __init__(self, *, is_async=False, is_local=False):
        self.is_async = is_async
        self.is_local = is_local


@pytest.fixture(name="board")
def _board():
    return Board(concurrency=4)


def _put(board, name, count, judge=None, attempt=1):
    lane = board.lane(f"ref of {name}", name, judge or Judge())
    jobs = []
    for number in range(count):
        claim = Claim(
            project="team/app",
            run_id=f"{name} {attempt} {number}",
            evaluation_id=f"e {name} {number}",
            definition_ref=lane.ref,
            call_id=f"c{number}",
            attempt=attempt,
            lease_until=clock.now(),
        )
        jobs.append(Job(claim, lane, None))
        board.held.add(jobs[-1])
    board.put(jobs)
    return lane


def _names(jobs):
    return {job.lane.name for job in jobs}


def test_a_first_run_is_alone_until_it_is_known_how_long_it_takes(board):
    lane = _put(board, "x", 10)

    [first] = board.take()
    assert board.take() == []
    board.ended(first, MS // 10)

    assert lane.kind == "quick"
    assert len(board.take()) == 9


def test_a_first_run_that_takes_long_opens_the_lane(board):
    lane = _put(board, "x", 10)
    board.take()

    board.slow_down(lane)

    assert [len(board.take()) for _ in range(4)] == [1, 1, 1, 0]
    assert lane.running == 4


def test_what_only_computes_is_quick_from_the_beginning(board):
    _put(board, "x", 5, Judge(is_local=True))

    assert len(board.take()) == 5


def test_what_is_awaited_is_for_the_event_loop(board):
    _put(board, "x", 5, Judge(is_async=True))

    assert board.take() == []
    assert [board.take_task() is not None for _ in range(5)] == [True] * 4 + [False]


def test_only_one_thread_does_quick_ones(board):
    _put(board, "x", 300, Judge(is_local=True))

    assert len(board.take()) == lanes.CHUNK
    assert board.take() == []
    board.quick_free()
    assert len(board.take()) == lanes.CHUNK


def test_quick_lanes_share_a_chunk(board):
    _put(board, "x", 1000, Judge(is_local=True))
    _put(board, "y", 5, Judge(is_local=True))

    chunk = board.take()

    assert _names(chunk) == {"x", "y"}
    assert len(chunk) <= lanes.CHUNK


def test_what_is_not_quite_quick_gets_small_chunks(board):
    lane = _put(board, "x", 1000, Judge(is_local=True))
    lane.mean_ns = 10.0 * MS

    assert len(board.take()) == lanes.CHUNK_NS // (10 * MS)


def test_a_slow_run_in_a_chunk_makes_the_lane_slow_and_it_must_show_for_long_that_it_is_not(board):
    lane = _put(board, "x", 1)
    lane.took(MS)
    assert lane.kind == "quick"

    lane.took(lanes.TOO_SLOW_NS + 1)
    assert lane.kind == "thread"
    for _ in range(49):
        lane.took(MS)
    assert lane.kind == "thread"
    lane.took(MS)
    assert lane.kind == "quick"


def test_a_first_run_that_loads_modules_does_not_keep_a_lane_slow(board):
    lane = _put(board, "x", 1)
    lane.took(30 * MS)
    assert lane.kind == "thread"

    for _ in range(3):
        lane.took(MS)

    assert lane.kind == "quick"


def test_the_lane_that_has_fewest_going_on_is_next(board):
    for name in "xy":
        _put(board, name, 4)
        [first] = board.take()
        board.ended(first, 50 * MS)
        board.put_back([])

    taken = [board.take()[0].lane.name for _ in range(4)]

    assert sorted(taken) == ["x", "x", "y", "y"]


def test_slow_work_beyond_some_seconds_is_given_back_and_not_claimed(board):
    lane = _put(board, "x", 100, Judge(is_async=True))
    assert board.excess() == []
    lane.mean_ns = 1_000.0 * MS

    assert board.full() == [lane.ref]
    excess = board.excess()
    assert len(lane.waiting) == 8
    assert len(excess) == 92
    assert len(board.held.ids) == 8
    board.take_task()
    for _ in range(3):
        lane.waiting.pop()
    assert board.full() == []


def test_an_outcome_counts_once_and_not_after_the_run_was_lost(board):
    lane = _put(board, "x", 2)
    first, second = lane.waiting

    assert board.held.settle(first)
    assert not board.held.settle(first)
    assert board.lost([second.claim.run_id]) == 1
    assert not board.held.settle(second)
    assert board.held.ids == [first.claim.run_id]
    board.held.forget([first.claim.run_id])
    assert board.held.is_empty


def test_it_is_remembered_once_what_failed_here(board):
    board.held.note_failed("e")

    assert board.held.failed_here("e")
    assert not board.held.failed_here("e")

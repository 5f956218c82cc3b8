"""Slots: how many threads work, and that no nudge is forgotten."""

import threading

import pytest

from worker.slots import Slots


def test_a_nudge_that_comes_while_all_are_busy_is_answered_by_a_busy_thread() -> None:
    """Work that appears just after the last look is found, although its nudge found no free slot."""
    slots, looks = Slots(1), 0

    def work() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            slots.serve(pytest.fail)  # a nudge to a busy worker: returns at once, and works nothing itself
        return False

    slots.serve(work)
    assert looks == 2


def test_no_more_threads_work_than_there_are_slots() -> None:
    """Of three nudged threads two work at a time, and the third does not wait."""
    slots, inside, go_on = Slots(2), threading.Semaphore(0), threading.Event()

    def work() -> bool:
        inside.release()
        go_on.wait(10)
        return False

    threads = [threading.Thread(target=slots.serve, args=(work,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert inside.acquire(timeout=10)
    assert inside.acquire(timeout=10)
    slots.serve(work)
    assert not inside.acquire(blocking=False)
    go_on.set()
    for thread in threads:
        thread.join(10)


def test_trouble_frees_the_slot() -> None:
    """A claim that fails does not cost the worker a slot for ever."""
    slots, looks = Slots(1), 0

    def look() -> bool:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise ConnectionError
        return False

    with pytest.raises(ConnectionError):
        slots.serve(look)
    slots.serve(look)
    assert looks == 2

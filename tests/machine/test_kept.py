"""What is made once for a key."""

import threading

from jaxgd.machine.kept import Kept


def test_it_is_made_once_and_the_oldest_goes():
    made, kept = [], Kept(2)
    for key in (1, 2, 1, 3, 1):
        assert kept.get(key, lambda key=key: made.append(key) or -key) == -key
    assert made == [1, 2, 3, 1]


def test_weights_bound_what_is_kept():
    kept = Kept(10, len)
    kept.put("a", "six...")
    kept.put("b", "four")
    kept.put("large", 11 * "x")
    assert [kept.get(key, lambda: "") for key in ("a", "b", "large")] == ["six...", "four", ""]
    kept.put("b", "seven..")
    assert kept.get("a", lambda: "gone") == "gone"
    assert kept.get("b", lambda: "gone") == "gone"  # for what was just made


def test_what_is_taken_is_gone():
    kept = Kept(1)
    kept.put("a", 1)
    assert (kept.pop("a"), kept.pop("a")) == (1, None)
    kept.put("b", 2)
    assert kept.get("b", lambda: None) == 2


def test_threads_do_not_wait_for_each_other():
    kept, gate = Kept(), threading.Event()
    waiting = threading.Thread(target=lambda: kept.get("a", gate.wait))
    waiting.start()
    assert kept.get("b", lambda: 1) == 1
    assert kept.get("a", lambda: 2) == 2
    gate.set()
    waiting.join()

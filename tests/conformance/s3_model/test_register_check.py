"""The checker itself, or nothing it says counts."""

from register_check import Operation, disagreement


def write(begin, end, value):
    return Operation(begin, end, True, value)


def read(begin, end, value):
    return Operation(begin, end, False, value)


def test_serial_histories_agree():
    assert disagreement([]) is None
    assert disagreement([read(0, 1, None), write(2, 3, "a"), read(4, 5, "a")]) is None
    assert disagreement([write(0, 1, "a"), write(2, 3, None), read(4, 5, None)]) is None


def test_stale_reads_do_not():
    assert disagreement([write(0, 1, "a"), read(2, 3, None)]) is not None
    assert disagreement([write(0, 1, "a"), write(2, 3, "b"), read(4, 5, "a")]) is not None


def test_concurrent_writes_may_come_in_either_order():
    writes = [write(0, 10, "a"), write(0, 10, "b")]
    assert disagreement(writes + [read(11, 12, "a")]) is None
    assert disagreement(writes + [read(11, 12, "b")]) is None
    # But not in both.
    assert disagreement(writes + [read(11, 12, "a"), read(13, 14, "b")]) is not None
    assert disagreement(writes + [read(1, 2, "a"), read(3, 4, "b")]) is None


def test_reads_of_what_nobody_wrote():
    assert disagreement([write(0, 1, "a"), read(0, 1, "c")]) is not None


def test_many_side_by_side():
    history = []
    for round_number in range(50):
        base = round_number * 10
        history += [write(base, base + 5, f"{round_number}.{one}") for one in range(8)]
        history += [read(base + 6, base + 7, f"{round_number}.3")]
    assert disagreement(history) is None

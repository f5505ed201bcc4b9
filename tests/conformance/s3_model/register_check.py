"""Whether what concurrent clients saw of one key agrees with some serial order.

Every operation is a read or a write of one register and has an interval of time in which it took
effect. Writes are all different, so a read names the write it saw. The search is Wing and Gong's,
with states that were seen before left out.
"""

import dataclasses
from typing import Optional


@dataclasses.dataclass(frozen=True)
class Operation:
    begin: float
    end: float
    writes: bool
    # None: the key is not there.
    value: Optional[str]
    what: str = ""


def disagreement(operations):
    """None when there is a serial order; else the operations around where there is none."""
    ordered = sorted(operations, key=lambda operation: (operation.begin, operation.end))
    count = len(ordered)
    # A state: how many of `ordered` are done without a gap, which ones beyond, and the value.
    start = (0, frozenset(), None)
    seen = {start}
    stack = [start]
    furthest = 0
    while stack:
        done, beyond, value = stack.pop()
        while done in beyond:
            beyond = beyond - {done}
            done += 1
        if done == count:
            return None
        furthest = max(furthest, done)
        # Whatever comes next began before any that is left has ended.
        horizon = min(
            (ordered[index].end for index in range(done, count) if index not in beyond),
        )
        for index in range(done, count):
            operation = ordered[index]
            if operation.begin > horizon:
                break
            if index in beyond:
                continue
            if operation.writes:
                after = operation.value
            elif operation.value == value:
                after = value
            else:
                continue
            state = (done, beyond | {index}, after)
            if state not in seen:
                seen.add(state)
                stack.append(state)
    return ordered[max(0, furthest - 12) : furthest + 12]

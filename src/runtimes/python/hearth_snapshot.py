"""What the runtime does around a snapshot: the function's hooks, and what must not be the same in two copies.

Loaded only where the environment starts to be saved (AWS_LAMBDA_INITIALIZATION_TYPE=snap-start).
"""

import gc
import os
import sys


def before_snapshot():
    """The function's hooks, the one registered last first; then a heap that copies touch little of.

    True: copies run no hook before their first event, and need not be told ahead of it that they are copies.
    """
    hooks = sys.modules.get("snapshot_restore_py")
    if hooks is not None:
        registered = hooks.get_before_snapshot()
        while registered:
            function, args, kwargs = registered.pop()
            function(*args, **kwargs)
    gc.collect()
    # A collection in a copy would write to every object that was there at the freeze.
    gc.freeze()
    return hooks is None or not hooks.get_after_restore()


def after_restore():
    """Fresh randomness first, then the function's hooks in the order of their registration."""
    make_unique()
    hooks = sys.modules.get("snapshot_restore_py")
    if hooks is not None:
        registered = hooks.get_after_restore()
        registered.reverse()
        while registered:
            function, args, kwargs = registered.pop()
            function(*args, **kwargs)


def make_unique():
    """State of the standard library that would otherwise give the same values in every copy.

    os.urandom, secrets and uuid4 ask the kernel and differ by themselves; OpenSSL was reseeded before any
    code ran. Generators that the function made itself (random.Random()) are the function's matter.
    """
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "tempfile" in modules:
        modules["tempfile"]._name_sequence = None
    if "_ssl" in modules:
        modules["_ssl"].RAND_add(os.urandom(32), 32.0)
    if "uuid" in modules:
        # uuid1 counts on from the last one and keeps a node id that may have been random.
        uuid = modules["uuid"]
        uuid._last_timestamp = None
        uuid._node = None
    numpy_random = modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()

"""Runtime hooks for SnapStart, with the interface of AWS's package of this name.

A function registers what is to run before its initialised environment is saved, and what is to run in each
environment made from it before that gets its first event:

    from snapshot_restore_py import register_before_snapshot, register_after_restore

    @register_before_snapshot
    def close_connections(): ...

Source: "Lambda SnapStart runtime hooks for Python", docs.aws.amazon.com/lambda/latest/dg.
"""

_before_snapshot_registry = []
_after_restore_registry = []


def register_before_snapshot(func, *args, **kwargs):
    _before_snapshot_registry.append((func, args, kwargs))
    return func


def register_after_restore(func, *args, **kwargs):
    _after_restore_registry.append((func, args, kwargs))
    return func


def get_before_snapshot():
    return _before_snapshot_registry


def get_after_restore():
    return _after_restore_registry

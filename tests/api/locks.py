"""Requests stopped in the middle: a test holds what they need, and goes on when they wait for it."""

import contextlib
import time

WAITING = "select count(*) from pg_stat_activity where usename = %s and wait_event_type = 'Lock'"


def wait_for(platform, count, seconds=20, role="auth"):
    """Until so many transactions of a service wait for a lock."""
    deadline = time.monotonic() + seconds
    while platform.postgres.rows(WAITING, (role,)) < [(count,)]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def transaction(platform):
    """A cursor in a transaction, which is rolled back at the end if it is still open."""
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        yield connection.cursor()
    finally:
        connection.rollback()
        connection.close()

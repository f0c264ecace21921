"""The audit log keeps its entries for SX_AUDIT_DAYS and no longer, and nobody can make it forget sooner."""

import psycopg2
import pytest

from .test_installations import until

DAY_S = 86400


def entries(platform):
    return [action for action, in platform.postgres.rows(
        "select action from auth.audit where action like 'test.%' order by audit_id")]


def put(platform, action, days_ago, times=1):
    platform.postgres.rows(
        "insert into auth.audit (at, actor, action, target, target_id, request_id, address) "
        "select now() - %s * interval '1 day', 'test', %s, 'test', 1, '', '' from generate_series(1, %s)",
        (days_ago, action, times))


@pytest.mark.parametrize("settings,days", [({}, 400), ({"SX_AUDIT_DAYS": "90"}, 90)])
def test_entries_go_when_their_days_are_over(make_platform, settings, days):
    platform = make_platform(settings=settings)
    put(platform, "test.first", 62)
    put(platform, "test.second", 60, times=1200)        # more than two batches
    put(platform, "test.third", 40)
    assert len(entries(platform)) == 1202
    platform.set_clock((days - 61) * DAY_S)
    until(lambda: "test.first" not in entries(platform))
    assert len(entries(platform)) == 1201
    platform.set_clock((days - 50) * DAY_S)
    until(lambda: entries(platform) == ["test.third"])
    platform.set_clock((days - 39) * DAY_S)
    until(lambda: entries(platform) == [])


def test_the_last_thirty_days_stay_whatever_a_process_says(make_platform):
    platform = make_platform()
    put(platform, "test.old", 31)
    put(platform, "test.new", 29)
    platform.set_clock(10000 * DAY_S)
    until(lambda: entries(platform) == ["test.new"])
    connection = platform.postgres.connect("auth")
    with connection.cursor() as cursor:
        cursor.execute("select auth.audit_trim('infinity', 1000)")
        for deed in ("delete from auth.audit", "truncate auth.audit", "update auth.audit set action = ''"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(deed)
    connection.close()
    assert entries(platform) == ["test.new"]

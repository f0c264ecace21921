"""What is submitted for review is what the app was at one moment, whatever changes meanwhile, in either of the two services that have
parts of it; and what reviewers say says something."""

import concurrent.futures
import contextlib

import psycopg2
import pytest

from .client import is_error
from .locks import transaction, wait_for
from .test_developer_apps import APPS
from .test_marketplace import Admin, Person

RUNS = 30


@pytest.fixture(scope="module")
def person(platform):
    return Person(platform)


@pytest.fixture(scope="module")
def admin(platform):
    return Admin(platform)


def kept(person, app_id, version):
    manifest = person.see(f"/{app_id}/versions/{version}")["manifest"]
    return manifest["name"], manifest["description"]


def test_both_parts_are_of_one_moment(platform, person):
    """auth's part was read before it was changed, and this service's would be read after: no app was ever so."""
    app_id = person.make(name="Old", description="old")["app_id"]
    with transaction(platform) as cursor, concurrent.futures.ThreadPoolExecutor(2) as pool:
        cursor.execute("select from developer_apps.listing where app_id = %s for update", (app_id,))
        submitted = pool.submit(person.submit, app_id)
        wait_for(platform, 1, role="developer_apps")
        renamed = pool.submit(person.platform.request, "PATCH", f"{APPS}/{app_id}", headers=person.headers, json_body={"name": "New"})
        wait_for(platform, 2, role="developer_apps")
        cursor.execute("update developer_apps.listing set description = 'new' where app_id = %s", (app_id,))
        cursor.connection.commit()
        assert renamed.result().status_code == 200
        version = submitted.result()["version"]
    assert kept(person, app_id, version) == ("New", "new")


def test_submissions_among_changes(person, admin):
    """One change after the other, of a name that auth has and of a description that it does not: what is kept was between two of them,
    and what is approved is what was looked at."""
    app_id = person.make(name="Run 0", description="0")["app_id"]

    def change():
        for number in range(1, RUNS + 1):
            for body in ({"name": f"Run {number}"}, {"description": str(number)}):
                assert person.ask("PATCH", f"/{app_id}", body).status_code == 200

    seen, approved = 0, None
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        changes = pool.submit(change)
        while seen == 0 or not changes.done():
            answer = person.ask("POST", f"/{app_id}/submit-for-review")
            if answer.status_code == 503:
                is_error(answer, 503, "SERVICE_UNAVAILABLE")
                continue
            assert answer.status_code == 200, answer.text
            version = answer.json()["data"]["version"]
            name, description = kept(person, app_id, version)
            assert int(name.split()[1]) - int(description) in (0, 1)
            seen += 1
            if seen % 3 == 0:
                admin.decide(app_id, "approve", version)
                approved = version, (name, description)
                assert kept(person, app_id, version) == approved[1]
        changes.result()
    version = person.submit(app_id)["version"]
    assert kept(person, app_id, version) == (f"Run {RUNS}", str(RUNS))
    if approved and approved[0] != version:
        assert kept(person, app_id, approved[0]) == approved[1]


# Both parts by turns, each committed by itself, with a pause of so many seconds at most.
CHANGES = """do $$ begin
    for number in 1 .. 1000000 loop
        update auth.app set name = 'Run ' || number, updated_at = clock_timestamp() where app_id = %s;
        commit;
        perform pg_sleep(random() * %s);
        update developer_apps.listing set description = number::text where app_id = %s;
        commit;
        perform pg_sleep(random() * %s);
    end loop;
end $$"""


@contextlib.contextmanager
def changing(platform, app_id, pause):
    connection = platform.postgres.connect()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        changes = pool.submit(connection.cursor().execute, CHANGES, (app_id, pause, app_id, pause))
        try:
            yield
        finally:
            assert not changes.done()
            connection.cancel()
            with pytest.raises(psycopg2.errors.QueryCanceled):
                changes.result()
            connection.close()


@pytest.mark.parametrize("pause, until", [(0.02, {200: 10}), (0, {503: 1})], ids=["some", "all the time"])
def test_an_app_that_does_not_hold_still(platform, person, pause, until):
    """Whatever is kept was between two changes; where there is no such moment it is told so, and nothing is done."""
    app_id = person.make(name="Run 0", description="0")["app_id"]
    statuses = []
    with changing(platform, app_id, pause):
        while any(statuses.count(status) < count for status, count in until.items()):
            before = person.see(f"/{app_id}/versions")["items"]
            answer = person.ask("POST", f"/{app_id}/submit-for-review")
            statuses.append(answer.status_code)
            if answer.status_code == 200:
                name, description = kept(person, app_id, answer.json()["data"]["version"])
                assert int(name.split()[1]) - int(description) in (0, 1)
            else:
                is_error(answer, 503, "SERVICE_UNAVAILABLE")
                assert person.see(f"/{app_id}/versions")["items"] == before
    assert person.submit(app_id)["status"] == "submitted"


def test_a_reason_says_something(person, admin):
    app_id = person.make()["app_id"]
    person.submit(app_id)
    for action in ("reject", "approve"):
        for message in (" ", "\n\t", "\u00a0", "\u200b\u200b", "\u3164", ""):
            body = {"action": action, "version": 1, "message": message}
            answer = admin.platform.post(f"/api/apps/{app_id}/review", body, headers=admin.dashboard)
            assert [error["field"] for error in is_error(answer, 400, "validation_error")["errors"]] == ["message"]
    is_error(admin.review(app_id, "reject", 1), 400, "validation_error")
    assert person.see(f"/{app_id}/versions/1")["status"] == "submitted"
    assert admin.decide(app_id, "reject", 1, " Say what it does.\n\nAnd for whom. ")["message"] == " Say what it does.\n\nAnd for whom. "

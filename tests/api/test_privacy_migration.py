"""A database whose erasing was under way when it was brought up to date (schema/092_redaction.sql), and indexes that find persons."""

from pathlib import Path

from .plans import Plans

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*(ROOT / "services" / "store-data" / "schema").glob("*.sql"), *(ROOT / "libshared" / "schema").glob("*.sql")], key=lambda file: file.name)


def test_an_erasing_begins_again(platform):
    """Of one customer, of one whose row was emptied already, of a store; and one that had ended stays so."""
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()
        cursor.execute("create role old; create schema old; set local search_path = old; create table migration (name text)")
        for file in FILES:
            if file.name < "080":
                cursor.execute(file.read_text())
        cursor.execute("insert into customer (store_id, user_id, name, phone, email) values (1, 1, 'a', '+8801712345678', ' A@Example.com'), "
                       "(1, 2, '', null, null), (1, 3, 'c', '+8801700000000', null)")
        cursor.execute("insert into redaction (store_id, user_id, step, after_id, after_key, orders, tries, next_at, created_at, completed_at) values "
                       "(1, 1, 0, 0, '', 0, 3, 'infinity', now(), null), (1, 2, 2, 77, 'k', 9, 0, now(), now(), null), (2, 0, 3, 5, '', 1, 0, now(), now(), null), "
                       "(1, 3, 5, 0, '', 4, 0, now(), now(), now())")
        for file in FILES:
            if file.name >= "080":
                cursor.execute(file.read_text())
        cursor.execute("select store_id, user_id, step, after_id, after_key, orders, tries, phone, email, next_at <= now() from redaction order by 1, 2")
        assert cursor.fetchall() == [
            (1, 1, 0, 0, "", 0, 0, "1712345678", "a@example.com", True), (1, 2, 0, 0, "", 0, 0, None, None, True),
            (1, 3, 5, 0, "", 4, 0, None, None, True), (2, 0, 0, 0, "", 0, 0, None, None, True)]
    finally:
        connection.rollback()
        connection.close()


def test_persons_are_found_by_index(platform, tmp_path):
    plans = Plans(platform, tmp_path)
    assert plans.scanned("REDACT_GUEST_ORDERS_PAGE", 1, 0, 200, "1712345678", "a@example.com") == set()
    assert plans.scanned("REDACT_ORDERS_PAGE", 1, 0, 200, 7) == set()
    assert plans.scanned("REDACT_CODE_USES", 1, "1712345678", "a@example.com", 200) == set()


def test_indexes_are_looked_at_by_everybody(platform):
    """Whoever analyzes or restores a table has another search path: what an index is made of calls nothing by its name alone."""
    platform.postgres.rows("insert into store_data.store_order (store_id, order_status, sub_total, tax, shipping, discount, grand_total, store_serial_order_no, "
                           "shipping_address, created_at, updated_at) values (999999, 'pending', 1, 0, 0, 0, 1, 'x', '{\"phone\": \"01712345678\"}', now(), now())",
                           user="store_data")
    for table, in platform.postgres.rows("select relname from pg_class where relnamespace = 'store_data'::regnamespace and relkind = 'r'"):
        platform.postgres.rows(f"analyze store_data.{table}")

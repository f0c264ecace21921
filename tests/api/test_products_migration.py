"""Products of before there were categories and unique codes, brought up to date by schema/010_products.sql."""

from pathlib import Path

SCHEMA = Path(__file__).resolve().parents[2] / "services" / "store-data" / "schema"


def test_old_rows(platform):
    connection = platform.postgres.connect()
    connection.autocommit = False
    try:
        cursor = connection.cursor()
        cursor.execute("create schema old; set local search_path = old")
        cursor.execute((SCHEMA / "001_init.sql").read_text())
        cursor.execute("insert into product (store_id, product_id, name, slug, category_id) values (1, 1, 'a', 'a', 7), (1, 2, 'b', 'b', 7), "
                       "(1, 3, 'c', 'c', null), (2, 4, 'd', 'd', 900)")
        cursor.execute("insert into sku (store_id, sku_id, product_id, variant_name, sku_code, price, quantity, deleted_at) values "
                       "(1, 11, 1, '', 'X', 1, 1, null), (1, 12, 2, '', 'X', 1, 1, null), (1, 13, 2, '', 'X', 1, 1, null), (1, 14, 3, '', 'X', 1, 1, now()), "
                       "(1, 15, 3, '', '', 1, 1, null), (1, 16, 3, '', '', 1, 1, null), (2, 17, 4, '', 'X', 1, 1, null)")
        cursor.execute((SCHEMA / "010_products.sql").read_text())
        cursor.execute("select sku_id, sku_code from sku order by sku_id")
        assert cursor.fetchall() == [(11, "X"), (12, "X-12"), (13, "X-13"), (14, "X"), (15, ""), (16, ""), (17, "X")]
        cursor.execute("select store_id, category_id, slug from category order by 1, 2")
        assert cursor.fetchall() == [(1, 7, "category-7"), (2, 900, "category-900")]
        cursor.execute("insert into category (store_id, name, slug) values (1, 'x', 'x') returning category_id")
        assert cursor.fetchall() == [(901,)]
    finally:
        connection.rollback()
        connection.close()

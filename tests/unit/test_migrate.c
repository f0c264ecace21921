/* Migrations against a real PostgreSQL: once each, all or nothing, never changed afterwards. */
#include "database.h"

#include <pthread.h>

static const char good_sql[] = "create table one (a int);\ninsert into one values (1);\n";
static const char half_sql[] = "create table two (a int);\nselect nothing from nowhere;\n";
static const char index_sql[] = "-- no transaction\ncreate index concurrently if not exists one_a on one (a);\n";

static int
fresh_schema(void **state)
{
    (void)state;
    if (config.database_url)
        make_schema();
    return 0;
}

static int
migrate(const struct migration *migrations, unsigned count)
{
    PGconn *owner = db_connect(TEST_SERVICE, true);
    int status;

    assert_non_null(owner);
    status = migrate_run(owner, TEST_SCHEMA, migrations, count);
    PQfinish(owner);
    return status;
}

static int
check(const struct migration *migrations, unsigned count)
{
    PGconn *service = db_connect(TEST_SERVICE, false);
    int status;

    assert_non_null(service);
    status = migrate_check(service, TEST_SCHEMA, migrations, count);
    PQfinish(service);
    return status;
}

static int64_t
applied(void)
{
    return admin_sql("select count(*) from sx_test.migration");
}

static void
files_run_once_in_order(void **state)
{
    struct migration files[] = {shared_migration(), {"001_good.sql", good_sql}, {"002_index.sql", index_sql}};

    (void)state;
    needs_database();
    assert_int_equal(check(files, 3), -1);
    assert_int_equal(migrate(files, 2), 0);
    assert_int_equal(check(files, 2), 0);
    assert_int_equal(check(files, 3), -1);
    assert_int_equal(migrate(files, 3), 0);
    assert_int_equal(migrate(files, 3), 0);
    assert_int_equal(check(files, 3), 0);
    assert_int_equal(check(files, 2), 0); /* an older binary beside a newer schema */
    assert_int_equal(applied(), 3);
    assert_int_equal(admin_sql("select count(*) from sx_test.one"), 1);
    assert_int_equal(admin_sql("select count(*) from pg_indexes where indexname = 'one_a'"), 1);
}

static void
changed_files_are_refused(void **state)
{
    struct migration files[] = {
        shared_migration(), {"001_good.sql", good_sql}, {"002_more.sql", "create table more (a int)"}};

    (void)state;
    needs_database();
    assert_int_equal(migrate(files, 2), 0);
    files[1].sql = "create table one (a int);\ninsert into one values (2);\n";
    assert_int_equal(migrate(files, 3), -1);
    assert_int_equal(check(files, 2), -1);
    assert_int_equal(applied(), 2); /* nothing behind it either */
    files[1].sql = good_sql;
    assert_int_equal(migrate(files, 3), 0);
}

static void
failed_files_leave_nothing(void **state)
{
    struct migration files[] = {shared_migration(), {"001_half.sql", half_sql}};

    (void)state;
    needs_database();
    assert_int_equal(migrate(files, 2), -1);
    assert_int_equal(applied(), 1);
    assert_int_equal(admin_sql("select count(*) from pg_tables where schemaname = 'sx_test' and tablename = 'two'"), 0);
    files[1].sql = good_sql; /* it never ran, so it may be mended */
    assert_int_equal(migrate(files, 2), 0);
}

static void *
migrate_slowly(void *result)
{
    struct migration files[] = {shared_migration(),
                                {"001_slow.sql", "create table slow (a int); select pg_sleep(0.3)"}};

    *(int *)result = migrate(files, 2);
    return NULL;
}

static void
several_at_once_take_turns(void **state)
{
    pthread_t threads[4];
    int results[4];

    (void)state;
    needs_database();
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate_slowly, &results[i]), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(results[i], 0);
    assert_int_equal(applied(), 2);
}

static void
a_service_cannot_write_down_migrations(void **state)
{
    struct migration files[] = {shared_migration()};
    PGconn *service;
    PGresult *result;

    (void)state;
    needs_database();
    assert_int_equal(migrate(files, 1), 0);
    service = db_connect(TEST_SERVICE, false);
    assert_non_null(service);
    result = PQexec(service, "insert into migration (name, sha256) values ('x', 'y')");
    assert_string_equal(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42501");
    PQclear(result);
    PQfinish(service);
}

static void
names_must_be_given(void **state)
{
    /* Without a database: what a generated table looks like, so that this program never counts as one that ran nothing.
     */
    struct migration migration = shared_migration();

    (void)state;
    assert_string_equal(migration.name, "000_shared.sql");
    assert_non_null(strstr(migration.sql, "create table idempotency"));
    assert_non_null(strstr(migration.sql, "create table outbox"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_must_be_given),
        cmocka_unit_test_setup(files_run_once_in_order, fresh_schema),
        cmocka_unit_test_setup(changed_files_are_refused, fresh_schema),
        cmocka_unit_test_setup(failed_files_leave_nothing, fresh_schema),
        cmocka_unit_test_setup(several_at_once_take_turns, fresh_schema),
        cmocka_unit_test_setup(a_service_cannot_write_down_migrations, fresh_schema),
    };

    return cmocka_run_group_tests(tests, database_setup, NULL);
}

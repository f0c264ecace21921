/* Making a connection: with a password from a file, and what is said and returned when there is none. */
#include "database.h"

#include <unistd.h>

#include "clock.h"
#include "connection.h"

#define SERVICE "sx-password" /* the one role that with_postgres.sh does not trust */

static char path[] = "/tmp/sx-connection-XXXXXX";

static int
setup(void **state)
{
    if (database_setup(state) != 0 || !config.database_url)
        return 0;
    close(mkstemp(path));
    admin_sql("do $$ begin if not exists (select from pg_roles where rolname = 'sx_password') then "
              "create role sx_password login; end if; "
              "execute format('grant connect on database %I to sx_password', current_database()); end $$");
    admin_sql("alter role sx_password password 'correct horse'");
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    unlink(path);
    return 0;
}

/* Connects with a password file of this content; NULL for none at all. */
static bool
connects(const char *content)
{
    PGconn *connection;
    FILE *file;

    config.database_password_file = content ? path : NULL;
    if (content) {
        file = fopen(path, "w");
        fputs(content, file);
        fclose(file);
    }
    connection = connection_open(SERVICE, "test", CONNECTION_SERVICE, clock_monotonic_ms() + 2000);
    config.database_password_file = NULL;
    PQfinish(connection);
    return connection != NULL;
}

static void
the_password_comes_from_a_file(void **state)
{
    (void)state;
    needs_database();
    assert_true(connects("correct horse"));
    assert_true(connects("correct horse\n"));
    assert_true(connects("correct horse\r\n"));
}

static void
a_wrong_password_is_refused(void **state)
{
    (void)state;
    needs_database();
    assert_false(connects("wrong"));
    assert_false(connects("correct horse battery"));
    assert_false(connects(""));
    assert_false(connects(NULL));
}

static void
a_file_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    needs_database();
    config.database_password_file = "/nonexistent/password";
    assert_null(connection_open(TEST_SERVICE, "test", CONNECTION_SERVICE, clock_monotonic_ms() + 2000));
    config.database_password_file = NULL;
}

static void
who_needs_none_may_have_one(void **state)
{
    PGconn *connection;

    (void)state;
    needs_database();
    assert_true(connects("correct horse"));
    config.database_password_file = path;
    connection = connection_open(TEST_SERVICE, "test", CONNECTION_OWNER, clock_monotonic_ms() + 2000);
    config.database_password_file = NULL;
    assert_non_null(connection);
    assert_string_equal(PQuser(connection), "sx_test_owner");
    PQfinish(connection);
}

/* Another session keeps the table for longer than statement_timeout (700 ms), then lets it go. */
static PGconn *
lock_for_a_second(void)
{
    PGconn *admin = admin_open();

    admin_sql("create table sx_test.wanted (id bigint)");
    assert_true(PQsendQuery(admin, "begin; lock table sx_test.wanted; select pg_sleep(1); commit"));
    while (admin_sql("select count(*) from pg_locks where relation = 'sx_test.wanted'::regclass and granted") == 0)
        usleep(1000);
    return admin;
}

static void
preparing_takes_the_time_it_needs(void **state)
{
    const struct connection_statement statements[] = {{"s0", "select 1"}, {"s1", "select id from wanted"}};
    PGconn *connection, *admin;
    PGresult *result;

    (void)state;
    needs_database();
    admin_sql("alter role sx_test set lock_timeout = 0");
    connection = connection_open(TEST_SERVICE, "test", CONNECTION_SERVICE, clock_monotonic_ms() + 2000);
    assert_non_null(connection);
    admin = lock_for_a_second();
    assert_int_equal(connection_prepare(connection, statements, 2, clock_monotonic_ms() + 30000), 0);
    assert_int_equal(PQexitPipelineMode(connection), 1);
    result = PQexec(connection, "show statement_timeout");
    assert_string_equal(PQgetvalue(result, 0, 0), "700ms");
    PQclear(result);
    PQfinish(admin);
    PQfinish(connection);
    admin_sql("alter role sx_test set lock_timeout = '200ms'");
}

static void
names_become_schemas(void **state)
{
    char schema[16];

    (void)state;
    connection_schema(schema, sizeof schema, "store-data");
    assert_string_equal(schema, "store_data");
    connection_schema(schema, sizeof schema, "auth");
    assert_string_equal(schema, "auth");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_password_comes_from_a_file),       cmocka_unit_test(a_wrong_password_is_refused),
        cmocka_unit_test(a_file_that_is_not_there_is_an_error), cmocka_unit_test(who_needs_none_may_have_one),
        cmocka_unit_test(preparing_takes_the_time_it_needs),    cmocka_unit_test(names_become_schemas),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

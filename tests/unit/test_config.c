/* Settings: defaults, bounds, and the refusal of what nobody has defined. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"

extern char **environ;

/* Each test starts without any SX_ variable of the caller. */
static int
clean_environment(void **state)
{
    (void)state;
    for (char **variable = environ; *variable;) {
        char name[64];

        if (strncmp(*variable, "SX_", 3) != 0) {
            variable++;
            continue;
        }
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*variable, "="), *variable);
        unsetenv(name);
        variable = environ;
    }
    return 0;
}

/* Without its complaints on the terminal. */
static int
load(void)
{
    int terminal = dup(STDERR_FILENO), nothing = open("/dev/null", O_WRONLY);
    int status;

    fflush(stderr);
    dup2(nothing, STDERR_FILENO);
    status = config_load();
    fflush(stderr);
    dup2(terminal, STDERR_FILENO);
    close(terminal);
    close(nothing);
    return status;
}

static int
load_with(const char *name, const char *value)
{
    int status;

    setenv(name, value, 1);
    status = load();
    unsetenv(name);
    return status;
}

static void
defaults_are_those_of_the_table(void **state)
{
    char *path;

    (void)state;
    assert_int_equal(load(), 0);
    assert_int_equal(config.port, 8080);
    assert_int_equal(config.rate_global.count, 1000);
    assert_int_equal(config.rate_global.seconds, 60);
    assert_null(config.database_url);
    assert_string_equal(config.log_level, "info");
    path = config_path("run/x");
    assert_memory_equal(path, config.home, strlen(config.home));
    assert_string_equal(path + strlen(config.home), "/run/x");
    free(path);
}

static void
unknown_names_are_refused(void **state)
{
    (void)state;
    assert_int_equal(load_with("SX_PROT", "8080"), -1);
    assert_int_equal(load_with("SX_", "1"), -1);
    assert_int_equal(load_with("SX_PORTS", "1"), -1);
    assert_int_equal(load_with("SXPORT", "1"), 0);
}

static void
numbers_are_whole_and_in_bounds(void **state)
{
    static const char *const bad[] = {"0",   "65536", "-1",  "80 ", " 80",
                                      "80a", "0x50",  "8.0", "1e3", "99999999999999999999"};

    (void)state;
    assert_int_equal(load_with("SX_PORT", "65535"), 0);
    assert_int_equal(config.port, 65535);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(load_with("SX_PORT", bad[i]), -1);
    assert_int_equal(load_with("SX_PORT", ""), 0); /* empty counts as unset */
    assert_int_equal(config.port, 8080);
}

static void
rates_are_count_per_seconds(void **state)
{
    static const char *const bad[] = {"10", "10/", "/60", "0/60", "10/0", "10/60/1", "10 /60", "a/b", "10/86401"};

    (void)state;
    assert_int_equal(load_with("SX_RATE_TOKEN", "100000/1"), 0);
    assert_int_equal(config.rate_token.count, 100000);
    assert_int_equal(config.rate_token.seconds, 1);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++)
        assert_int_equal(load_with("SX_RATE_TOKEN", bad[i]), -1);
}

static void
home_becomes_absolute(void **state)
{
    char here[2048];
    char longest[128];

    (void)state;
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir("/tmp"), 0);
    assert_int_equal(load_with("SX_HOME", "./a/b/"), 0);
    assert_string_equal(config.home, "/tmp/a/b");
    assert_int_equal(load_with("SX_HOME", "/x/"), 0);
    assert_string_equal(config.home, "/x");
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[89] = '\0';
    assert_int_equal(load_with("SX_HOME", longest), -1); /* the sockets in it would not fit */
    longest[87] = '\0';
    assert_int_equal(load_with("SX_HOME", longest), 0);
    assert_int_equal(chdir(here), 0);
}

static void
what_needs_another_setting_is_refused_alone(void **state)
{
    (void)state;
    assert_int_equal(load_with("SX_CLOCK_FILE", "/tmp/clock"), -1);
    assert_int_equal(load_with("SX_FAULT", "db:3"), -1);
    assert_int_equal(load_with("SX_LOG_LEVEL", "loud"), -1);
    assert_int_equal(load_with("SX_GATEWAY", "gateway:5570"), -1);
    setenv("SX_DEV", "1", 1);
    assert_int_equal(load_with("SX_CLOCK_FILE", "/tmp/clock"), 0);
    assert_int_equal(load_with("SX_FAULT", "db:3"), 0);
    unsetenv("SX_DEV");
}

static void
any_card_pays_in_development_only(void **state)
{
    (void)state;
    assert_int_equal(load(), 0);
    assert_null(config.billing_provider);
    assert_int_equal(load_with("SX_BILLING_PROVIDER", "sandbox"), -1);
    assert_int_equal(load_with("SX_DEV", "1"), 0);
    assert_string_equal(config.billing_provider, "sandbox");
    setenv("SX_DEV", "1", 1);
    assert_int_equal(load_with("SX_BILLING_PROVIDER", "sandbox"), 0);
    unsetenv("SX_DEV");
}

static void
a_password_goes_to_https_only(void **state)
{
    static const char *const settings[][2] = {{"SX_BILLING_PROVIDER", "eps"}, {"SX_PUBLIC_URL", "https://pay.example"},
                                              {"SX_EPS_USERNAME", "u"},       {"SX_EPS_PASSWORD_FILE", "p"},
                                              {"SX_EPS_HASH_KEY_FILE", "h"},  {"SX_EPS_MERCHANT_ID", "m"},
                                              {"SX_EPS_STORE_ID", "s"}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_COUNT(settings); i++)
        setenv(settings[i][0], settings[i][1], 1);
    assert_int_equal(load(), 0);
    assert_int_equal(load_with("SX_EPS_URL", "http://pgapi.eps.com.bd"), -1);
    setenv("SX_DEV", "1", 1);
    assert_int_equal(load_with("SX_EPS_URL", "http://pgapi.eps.com.bd"), 0);
    unsetenv("SX_DEV");
    for (unsigned i = 0; i < ARRAY_COUNT(settings); i++)
        unsetenv(settings[i][0]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(defaults_are_those_of_the_table, clean_environment),
        cmocka_unit_test_setup(unknown_names_are_refused, clean_environment),
        cmocka_unit_test_setup(numbers_are_whole_and_in_bounds, clean_environment),
        cmocka_unit_test_setup(rates_are_count_per_seconds, clean_environment),
        cmocka_unit_test_setup(home_becomes_absolute, clean_environment),
        cmocka_unit_test_setup(what_needs_another_setting_is_refused_alone, clean_environment),
        cmocka_unit_test_setup(any_card_pays_in_development_only, clean_environment),
        cmocka_unit_test_setup(a_password_goes_to_https_only, clean_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

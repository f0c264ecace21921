/* supervise.c - `sxctl supervise`: keeps the processes of one host running (decision 13).
 *
 * Starts PostgreSQL (the private cluster, unless SX_DATABASE_URL is set), brings every schema to its newest version,
 * starts the gateways and services, and starts again what dies. What is stopped (SIGSTOP) for over a second is
 * continued. When the supervisor itself is killed its children live on; the next supervisor adopts them (process.h).
 *
 * Signals: SIGTERM, SIGINT: stop everything in order. SIGUSR1: migrate, then restart what runs an older binary, this
 * program first. SIGHUP: the same; in the foreground, where it says that the terminal is gone, it is an end like
 * SIGTERM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "contract.h"
#include "log.h"
#include "process.h"
#include "sxctl.h"

#define PROCESSES_MAX     48
#define LOOK_INTERVAL_MS  250  /* how often stopped processes are looked for */
#define STOPPED_TOLERATED 4    /* looks in a row: one second */
#define DRAIN_MS          8000 /* after SIGTERM; then SIGKILL */
#define POSTGRES_STOP_MS  30000
#define POSTGRES_START_MS 30000
#define PATH_SIZE         4096

static struct process processes[PROCESSES_MAX];
static unsigned process_count;

static struct process *
process_add(enum layer layer, const char *name, const char *program, const char *index)
{
    struct process *process = &processes[process_count];

    if (process_count == PROCESSES_MAX)
        log_fatal("too_many_processes", NULL);
    process_count++;
    process->layer = layer;
    snprintf(process->name, sizeof process->name, "%s", name);
    snprintf(process->program, sizeof process->program, "%s", program);
    snprintf(process->index, sizeof process->index, "%s", index);
    process->pidfd = -1;
    return process;
}

/* ---- one-shot steps ---------------------------------------------------------------------------------------------- */

static void
postgres_wait(void)
{
    char *socket_dir = config_path("run"), conninfo[1024];
    int64_t until_ms = clock_monotonic_ms() + POSTGRES_START_MS;

    snprintf(conninfo, sizeof conninfo, "host='%s' port=%d dbname=selorax user=auth", socket_dir,
             (int)config.postgres_port);
    while (PQping(conninfo) != PQPING_OK) {
        if (clock_monotonic_ms() > until_ms)
            log_fatal("postgres_not_ready", "s:look_into", "SX_HOME/log/postgres.log", NULL);
        usleep(50 * 1000);
    }
    free(socket_dir);
}

static int
migrate_all(void)
{
    for (unsigned i = 0; i < process_count; i++) {
        char *arguments[] = {processes[i].program, "migrate", NULL};
        int status = 0;
        pid_t pid;

        if (processes[i].layer != LAYER_SERVICE)
            continue;
        pid = process_spawn("migrate", "", arguments);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            log_event(LOG_ERROR, "migration_failed", "s:service", processes[i].name, "s:look_into",
                      "SX_HOME/log/migrate.log", NULL);
            return -1;
        }
    }
    return 0;
}

/* ---- watching ---------------------------------------------------------------------------------------------------- */

/* Continues what has been stopped for STOPPED_TOLERATED looks in a row. A debugger's tracing stop is state 't' and is
 * left alone. */
static void
continue_if_stopped(pid_t pid, const char *name, unsigned *looks)
{
    char state = 0;
    unsigned long long start_time;

    if (!process_look(pid, &state, &start_time) || state != 'T') {
        *looks = 0;
        return;
    }
    if (++*looks < STOPPED_TOLERATED)
        return;
    *looks = 0;
    log_event(LOG_WARN, "process_was_stopped", "s:child", name, "l:pid", (int64_t)pid, NULL);
    kill(pid, SIGCONT);
}

/* PostgreSQL's backends are not ours to start, but one that is stopped holds its locks. */
static void
continue_backends(pid_t postmaster)
{
    static struct {
        pid_t pid;
        unsigned looks;
    } seen[256];
    char path[64];
    FILE *file;
    int pid;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)postmaster, (int)postmaster);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    while (fscanf(file, "%d", &pid) == 1) {
        unsigned slot = (unsigned)pid % ARRAY_COUNT(seen);

        if (seen[slot].pid != (pid_t)pid) {
            seen[slot].pid = (pid_t)pid;
            seen[slot].looks = 0;
        }
        continue_if_stopped((pid_t)pid, "postgres backend", &seen[slot].looks);
    }
    fclose(file);
}

static void
look_for_stopped(void)
{
    for (unsigned i = 0; i < process_count; i++) {
        if (processes[i].pid == 0)
            continue;
        continue_if_stopped(processes[i].pid, processes[i].name, &processes[i].stopped_looks);
        if (processes[i].layer == LAYER_POSTGRES)
            continue_backends(processes[i].pid);
    }
}

/* ---- stopping ---------------------------------------------------------------------------------------------------- */

static void
layer_stop(enum layer layer, int first_signal, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;

    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].pid != 0 && processes[i].layer == layer) {
            kill(processes[i].pid, SIGCONT);
            kill(processes[i].pid, first_signal);
        }
    for (unsigned i = 0; i < process_count; i++) {
        struct pollfd one = {.fd = processes[i].pidfd, .events = POLLIN};
        int64_t left_ms = until_ms - clock_monotonic_ms();

        if (processes[i].pid == 0 || processes[i].layer != layer)
            continue;
        if (poll(&one, 1, left_ms > 0 ? (int)left_ms : 0) == 0) {
            log_event(LOG_WARN, "process_killed", "s:child", processes[i].name, "s:why", "did not end in time", NULL);
            kill(processes[i].pid, layer == LAYER_POSTGRES ? SIGQUIT : SIGKILL);
            poll(&one, 1, 5000);
        }
        process_ended(&processes[i]);
    }
}

/* Whether the binary that a process runs was replaced since it started; then target is where the new one is. */
static bool
is_outdated(pid_t pid, char target[PATH_SIZE])
{
    static const char mark[] = " (deleted)";
    char link[64], *end;
    ssize_t size;

    snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    size = readlink(link, target, PATH_SIZE - 1);
    if (size < (ssize_t)sizeof mark)
        return false;
    target[size] = '\0';
    end = target + size - (sizeof mark - 1);
    if (strcmp(end, mark) != 0)
        return false;
    *end = '\0';
    return true;
}

static void
restart_outdated(void)
{
    char target[PATH_SIZE];

    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].pid != 0 && processes[i].layer != LAYER_POSTGRES && is_outdated(processes[i].pid, target))
            kill(processes[i].pid, SIGTERM);
}

/* A newer supervisor may know more services. It takes this one's place and adopts what runs. */
static void
give_way_to_newer(bool foreground)
{
    char program[PATH_SIZE];
    char *arguments[] = {program, "supervise", foreground ? "--foreground" : NULL, NULL};

    if (!is_outdated(getpid(), program))
        return;
    execv(program, arguments);
    log_event(LOG_ERROR, "exec_failed", "s:program", program, "s:why", strerror(errno), NULL);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

static void
start_what_is_due(void)
{
    int64_t now_ms = clock_monotonic_ms();

    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].pid == 0 && processes[i].start_at_ms <= now_ms)
            process_start(&processes[i]);
}

static void
watch(int signal_fd, bool foreground)
{
    for (;;) {
        struct pollfd polled[PROCESSES_MAX + 1];
        struct signalfd_siginfo info;

        start_what_is_due();
        for (unsigned i = 0; i < process_count; i++)
            polled[i] = (struct pollfd){.fd = processes[i].pidfd, .events = POLLIN};
        polled[process_count] = (struct pollfd){.fd = signal_fd, .events = POLLIN};
        poll(polled, process_count + 1, LOOK_INTERVAL_MS);
        for (unsigned i = 0; i < process_count; i++)
            if (processes[i].pid != 0 && polled[i].revents != 0)
                process_ended(&processes[i]);
        look_for_stopped();
        if (polled[process_count].revents == 0 || read(signal_fd, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo != SIGUSR1 && (info.ssi_signo != SIGHUP || foreground))
            return;
        give_way_to_newer(foreground);
        if (migrate_all() == 0)
            restart_outdated();
    }
}

static void
find_postgres(char *target, size_t size)
{
    const char *folder = "/usr/lib/postgresql";
    DIR *versions = opendir(folder);
    struct dirent *entry;
    long newest = 0;

    while (versions != NULL && (entry = readdir(versions)) != NULL) {
        long version = strtol(entry->d_name, NULL, 10);
        char program[128];

        snprintf(program, sizeof program, "%s/%ld/bin/postgres", folder, version);
        if (version > newest && access(program, X_OK) == 0)
            newest = version;
    }
    if (versions != NULL)
        closedir(versions);
    if (newest == 0)
        log_fatal("postgres_not_installed", "s:looked_in", folder, NULL);
    snprintf(target, size, "%s/%ld/bin/postgres", folder, newest);
}

/* PostgreSQL, the gateways, and each service that the contract names, from the folder this program stands in. */
static void
list_processes(void)
{
    char folder[256], program[512], name[40], index[8];
    ssize_t size = readlink("/proc/self/exe", folder, sizeof folder - 1);

    if (size <= 0)
        log_fatal("own_path_unknown", NULL);
    folder[size] = '\0';
    *strrchr(folder, '/') = '\0';
    if (config.database_url == NULL) {
        find_postgres(program, sizeof program);
        process_add(LAYER_POSTGRES, "postgres", program, "");
    }
    for (unsigned i = 0; i < operation_count; i++) {
        if (i > 0 && strcmp(operations[i].service, operations[i - 1].service) == 0)
            continue; /* operations are sorted by name, so by service */
        snprintf(program, sizeof program, "%s/%s", folder, operations[i].service);
        process_add(LAYER_SERVICE, operations[i].service, program, "");
    }
    for (int64_t i = 1; i <= config.gateways; i++) {
        snprintf(program, sizeof program, "%s/gateway", folder);
        snprintf(name, sizeof name, "gateway-%d", (int)i);
        snprintf(index, sizeof index, "%d", (int)i);
        process_add(LAYER_GATEWAY, name, program, index);
    }
}

static bool
take_lock(void)
{
    char *path = config_path("run/supervisor.lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        log_fatal("lock_not_opened", "s:path", path, "l:errno", (int64_t)errno, NULL);
    free(path);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return false;
    if (ftruncate(fd, 0) != 0 || dprintf(fd, "%d\n", (int)getpid()) < 0)
        log_fatal("lock_not_written", NULL);
    return true; /* held until the process ends */
}

int
sxctl_supervise(int argc, char **argv)
{
    sigset_t own_signals;
    bool foreground = argc > 1 && strcmp(argv[1], "--foreground") == 0;
    int signal_fd;
    bool migrated;

    process_write_logs(!foreground);
    log_start("supervisor", LOG_INFO);
    if (!take_lock()) {
        log_event(LOG_INFO, "already_supervised", NULL);
        return 0;
    }
    sigemptyset(&own_signals);
    sigaddset(&own_signals, SIGTERM);
    sigaddset(&own_signals, SIGINT);
    sigaddset(&own_signals, SIGHUP);
    sigaddset(&own_signals, SIGUSR1);
    sigprocmask(SIG_BLOCK, &own_signals, NULL);
    signal_fd = signalfd(-1, &own_signals, SFD_CLOEXEC);

    list_processes();
    for (unsigned i = 0; i < process_count; i++)
        process_adopt(&processes[i]);
    if (processes[0].layer == LAYER_POSTGRES) {
        if (processes[0].pid == 0)
            process_start(&processes[0]);
        postgres_wait();
    }
    migrated = migrate_all() == 0;
    if (migrated) {
        restart_outdated();
        watch(signal_fd, foreground);
    }
    log_event(LOG_INFO, "stopping", NULL);
    layer_stop(LAYER_GATEWAY, SIGTERM, DRAIN_MS);
    layer_stop(LAYER_SERVICE, SIGTERM, DRAIN_MS);
    layer_stop(LAYER_POSTGRES, SIGINT, POSTGRES_STOP_MS);
    log_event(LOG_INFO, "stopped", NULL);
    return migrated ? 0 : 1;
}

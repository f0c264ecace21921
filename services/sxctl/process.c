/* process.c - one process that the supervisor watches: started, found again, ended. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "log.h"

#define SHORT_LIFE_MS       1000 /* a process that ends sooner is started again more slowly */
#define RESTART_WAIT_MS_MAX 2000

static bool writes_logs = true;

/* ---- pid files: "PID STARTTIME", so that a pid used again by a stranger is not taken for ours -------------------- */

bool
process_look(pid_t pid, char *state, unsigned long long *start_time)
{
    char path[64], text[1024];
    int fd;
    ssize_t size;
    const char *after;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    after = strrchr(text, ')'); /* the command's name may hold anything */
    if (after == NULL)
        return false;
    return sscanf(after + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", state,
                  start_time) == 2;
}

static char *
process_pid_file(const struct process *self, const char *ending)
{
    char relative[64];

    snprintf(relative, sizeof relative, "run/%s%s", self->name, ending);
    return config_path(relative);
}

/* Whoever reads it, also after this supervisor was lost, finds it whole. */
static void
process_remember(const struct process *self)
{
    char *path = process_pid_file(self, ".pid"), *fresh = process_pid_file(self, ".pid.new"), state;
    unsigned long long start_time;
    FILE *file = process_look(self->pid, &state, &start_time) ? fopen(fresh, "we") : NULL;

    if (file != NULL) {
        fprintf(file, "%d %llu\n", (int)self->pid, start_time);
        if (fclose(file) != 0 || rename(fresh, path) != 0)
            log_event(LOG_WARN, "pid_file_failed", "s:child", self->name, "l:errno", (int64_t)errno, NULL);
    }
    free(fresh);
    free(path);
}

static void
process_opened(struct process *self, pid_t pid)
{
    self->pid = pid;
    self->started_ms = clock_monotonic_ms();
    self->stopped_looks = 0;
    self->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (self->pidfd < 0 && errno != ESRCH)
        log_fatal("pidfd_open_failed", "s:child", self->name, "l:errno", (int64_t)errno, NULL);
}

bool
process_adopt(struct process *self)
{
    char *path = process_pid_file(self, ".pid"), state = 0;
    unsigned long long start_time, recorded;
    int pid;
    bool ours = false;
    FILE *file = fopen(path, "re");

    if (file != NULL) {
        ours = fscanf(file, "%d %llu", &pid, &recorded) == 2 && process_look((pid_t)pid, &state, &start_time) &&
               start_time == recorded && state != 'Z';
        fclose(file);
    }
    free(path);
    if (!ours)
        return false;
    process_opened(self, (pid_t)pid);
    if (self->pidfd < 0) {
        self->pid = 0;
        return false;
    }
    log_event(LOG_INFO, "process_adopted", "s:child", self->name, "l:pid", (int64_t)pid, NULL);
    return true;
}

/* ---- starting ---------------------------------------------------------------------------------------------------- */

void
process_write_logs(bool on)
{
    writes_logs = on;
}

static void
child_output(const char *name)
{
    char relative[64], *path;
    int fd;

    if (!writes_logs)
        return;
    snprintf(relative, sizeof relative, "log/%s.log", name);
    path = config_path(relative);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
}

pid_t
process_spawn(const char *name, const char *index, char *const arguments[])
{
    sigset_t none;
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* Ctrl-C on the terminal reaches the supervisor only, which stops all in order */
    child_output(name);
    if (index[0] != '\0')
        setenv("SX_GATEWAY_INDEX", index, 1);
    execv(arguments[0], arguments);
    log_event(LOG_ERROR, "exec_failed", "s:program", arguments[0], "l:errno", (int64_t)errno, NULL);
    _exit(127);
}

void
process_start(struct process *self)
{
    char *home = config_path("postgres"), *socket_dir = config_path("run"), port[16];
    char *service[] = {self->program, NULL};
    char *postgres[] = {self->program, "-D", home, "-k", socket_dir, "-p", port, NULL};
    pid_t pid;

    snprintf(port, sizeof port, "%d", (int)config.postgres_port);
    pid = process_spawn(self->name, self->index, self->layer == LAYER_POSTGRES ? postgres : service);
    free(home);
    free(socket_dir);
    if (pid < 0) {
        self->start_at_ms = clock_monotonic_ms() + RESTART_WAIT_MS_MAX;
        return;
    }
    process_opened(self, pid);
    process_remember(self);
    log_event(LOG_INFO, "process_started", "s:child", self->name, "l:pid", (int64_t)pid, NULL);
}

void
process_ended(struct process *self)
{
    int64_t now_ms = clock_monotonic_ms(), lived_ms = now_ms - self->started_ms;
    int status = -1; /* neither exited nor signalled: of a process that is not our child nobody tells */

    (void)waitpid(self->pid, &status, WNOHANG);
    log_event(LOG_WARN, "process_ended", "s:child", self->name, "l:pid", (int64_t)self->pid, "l:lived_ms", lived_ms,
              "l:exit_status", (int64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : -1), "l:signal",
              (int64_t)(WIFSIGNALED(status) ? WTERMSIG(status) : 0), NULL);
    close(self->pidfd);
    self->pidfd = -1;
    self->pid = 0;
    self->wait_ms = lived_ms >= SHORT_LIFE_MS ? 0 : self->wait_ms == 0 ? 100 : self->wait_ms * 2;
    if (self->wait_ms > RESTART_WAIT_MS_MAX)
        self->wait_ms = RESTART_WAIT_MS_MAX;
    self->start_at_ms = now_ms + self->wait_ms;
}

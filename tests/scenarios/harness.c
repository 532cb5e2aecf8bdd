/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <poll.h>
#include <stdarg.h>
#include <time.h>

enum { MAX_PIDS = 64, MAX_WORKERS = 1024 };

static pid_t pids[MAX_PIDS];
static int n_pids;
static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;
static char failure[512];
static long failures;
static bool signals_expected, replied;
static long turns;
static char line[512];
static size_t line_used;
static char flags[256];
static pthread_t workers[MAX_WORKERS];
static int n_workers;
static volatile bool stopping;
static void (*worker_body)(int index);
/* Through pointers that no compiler sees through, or link-time optimisation would make the target part of main. */
static void (*volatile do_work)(void) = target_work;
static void (*volatile do_check)(int) = target_check;
static void (*volatile do_command)(const char *) = target_command;
static void (*volatile do_start)(void) = target_start;

__attribute__((weak)) void target_start(void) {
}

__attribute__((weak)) void target_work(void) {
}

__attribute__((weak)) void target_check(int version) {
        (void)version;
}

__attribute__((weak)) void target_command(const char *word) {
        (void)word;
        harness_expect(false, "no such command", __LINE__);
}

__attribute__((weak)) void target_stop(void) {
}

__attribute__((weak)) void target_end(void) {
}

/* Whole lines in one write each, so that a forked child's do not tear the parent's. */
static void say(const char *format, ...) {
        char text[1024];
        va_list ap;
        va_start(ap, format);
        int n = vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (n < 0)
                return;
        size_t size = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1, done = 0;
        while (done < size) {
                ssize_t w = write(STDOUT_FILENO, text + done, size - done);
                if (w < 0 && errno != EINTR)
                        _exit(3);
                if (w > 0)
                        done += (size_t)w;
        }
}

void harness_expect(bool ok, const char *what, int at) {
        if (ok)
                return;
        pthread_mutex_lock(&failure_lock);
        if (failures++ == 0)
                snprintf(failure, sizeof(failure), "line %d: %s", at, what);
        pthread_mutex_unlock(&failure_lock);
}

void harness_expect_eq(long got, long want, const char *what, int at) {
        if (got == want)
                return;
        char text[256];
        snprintf(text, sizeof(text), "%.160s (got %ld, want %ld)", what, got, want);
        harness_expect(false, text, at);
}

void harness_expect_str(const char *got, const char *want, const char *what, int at) {
        if (got && !strcmp(got, want))
                return;
        char text[400];
        snprintf(text, sizeof(text), "%.120s (got \"%.100s\", want \"%.100s\")", what, got ? got : "(null)", want);
        harness_expect(false, text, at);
}

void harness_pid(pid_t pid) {
        if (n_pids < MAX_PIDS)
                pids[n_pids++] = pid;
}

void harness_signals(void) {
        signals_expected = true;
}

long harness_turns(void) {
        return turns;
}

bool harness_stopping(void) {
        return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

bool harness_flag(const char *word) {
        size_t n = strlen(word);
        for (const char *p = flags; (p = strstr(p, word)); p += n)
                if ((p == flags || p[-1] == ' ') && (p[n] == 0 || p[n] == ' '))
                        return true;
        return false;
}

uint64_t harness_usec(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint32_t harness_hash(const void *p, size_t n) {
        const unsigned char *b = p;
        uint32_t h = 2166136261u;
        for (size_t i = 0; i < n; i++)
                h = (h ^ b[i]) * 16777619u;
        return h;
}

void harness_skip(const char *why) {
        say("SKIP %s\n", why);
        _exit(77);
}

static void *worker_main(void *arg) {
        int index = (int)(intptr_t)arg;
        do
                worker_body(index);
        while (!harness_stopping());
        return NULL;
}

void harness_workers(int n, void (*body)(int index)) {
        pthread_attr_t attr;
        worker_body = body;
        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, 128 << 10);
        for (int i = 0; i < n && n_workers < MAX_WORKERS; i++) {
                int r = pthread_create(&workers[n_workers], &attr, worker_main, (void *)(intptr_t)i);
                harness_expect(r == 0, "pthread_create", __LINE__);
                if (r == 0)
                        n_workers++;
        }
        pthread_attr_destroy(&attr);
}

void harness_workers_stop(void) {
        __atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
        target_stop();
        for (int i = 0; i < n_workers; i++)
                pthread_join(workers[i], NULL);
        n_workers = 0;
}

void harness_replied(void) {
        replied = true;
}

static void reply(void) {
        pthread_mutex_lock(&failure_lock);
        if (failures)
                say("FAIL %s%s\n", failure, failures > 1 ? " (and more)" : "");
        else
                say("ok\n");
        pthread_mutex_unlock(&failure_lock);
}

/* Returns false for quit. */
static bool obey(char *command) {
        if (!strcmp(command, "quit"))
                return false;
        if (!strncmp(command, "check ", 6)) {
                char *rest;
                long version = strtol(command + 6, &rest, 10);
                snprintf(flags, sizeof(flags), "%s", *rest ? rest + 1 : "");
                do_check((int)version);
        } else if (!strncmp(command, "send ", 5)) {
                do_command(command + 5);
        } else {
                harness_expect(false, "unknown command", __LINE__);
        }
        if (!replied)
                reply();
        replied = false;
        return true;
}

void harness_begin(void) {
        char text[1024] = "READY";
        size_t used = strlen(text);
        do_start();
        if (n_pids == 0)
                harness_pid(getpid());
        for (int i = 0; i < n_pids; i++)
                used += (size_t)snprintf(text + used, sizeof(text) - used, " %d", (int)pids[i]);
        say("%s\n", text);
}

bool harness_turn(void) {
        struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
        int r = poll(&p, 1, 2);
        if (r < 0 && !(errno == EINTR && signals_expected))
                harness_expect(false, errno == EINTR ? "poll returned EINTR" : "poll failed", __LINE__);
        turns++;
        do_work();
        if (r <= 0)
                return true;
        ssize_t n = read(STDIN_FILENO, line + line_used, sizeof(line) - line_used - 1);
        if (n < 0 && errno == EINTR && signals_expected)
                return true;
        harness_expect(n >= 0, "read failed", __LINE__);
        if (n <= 0)
                return false;
        line_used += (size_t)n;
        line[line_used] = 0;
        char *end;
        while ((end = strchr(line, '\n'))) {
                *end = 0;
                if (!obey(line))
                        return false;
                line_used -= (size_t)(end + 1 - line);
                memmove(line, end + 1, line_used + 1);
        }
        return true;
}

int harness_end(void) {
        harness_workers_stop();
        target_end();
        if (failures)
                reply();
        return failures != 0;
}

__attribute__((weak)) int main(void) {
        harness_begin();
        while (harness_turn())
                ;
        return harness_end();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "verify/probe.h"
#include "agent/command-probe.h"
#include "agent/fetch.h"
#include "agent/sandbox.h"
#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/*
 * staunch-probe: makes the probes of a unit that was restarted, for those who may not make them themselves:
 * the executor of restarts, and `staunch rollback`. It reads {"patience_usec", "probes": [{"name", "kind",
 * "target", "argv", "user", "expect", "timeout_usec", "verify_tls"}]} from its standard input, and writes one
 * line about the first that does not pass within the patience, or nothing. With "once": true each is tried
 * once, and the numbers of all that do not pass are written, a line each, the first probe's being 0. Who
 * starts it gives it a time limit.
 *
 * Each try is made in a child: over the network as staunch-net is narrowed, a command as the starter's are.
 */
enum { AGAIN_USEC = 500000, ARGUMENTS = 1000, WAIT_MSEC = 1000 };

static const char *text_of(const json_t *j, const char *key) {
        return json_string_value(json_object_get(j, key));
}

static uint64_t usec_of(const json_t *j, const char *key) {
        json_int_t v = json_integer_value(json_object_get(j, key));

        return v > 0 ? (uint64_t)v : 0;
}

typedef struct Answer {
        bool there, good;
        Error *e;
} Answer;

static void on_done(void *data, unsigned id, uint64_t usec, const char *failed) {
        Answer *a = data;

        (void)id;
        (void)usec;
        a->there = true;
        a->good = !failed;
        if (failed)
                error_set(a->e, -EREMOTEIO, "%s", failed);
}

static int ask_network(const json_t *p, bool tcp, Error *e) {
        const char *target = text_of(p, "target");
        Answer answer = { .e = e };
        struct curl_waitfd none;
        SandboxReport report;
        Fetcher *f;
        char url[600];
        int r;

        if (!target)
                return error_set(e, -EINVAL, "there is nothing to ask");
        snprintf(url, sizeof(url), "http://%s", target);
        curl_global_init(CURL_GLOBAL_DEFAULT);
        r = sandbox_enter(SANDBOX_NET, &report, e);
        if (r == 0)
                r = fetcher_new(on_done, &answer, &f, e);
        if (r < 0)
                return r;
        fetch_begin(f, &(FetchRequest){ .id = 1,
                                        .tcp = tcp,
                                        .url = tcp ? url : target,
                                        .expect = text_of(p, "expect"),
                                        .timeout_usec = usec_of(p, "timeout_usec"),
                                        .verify_tls = !json_is_false(json_object_get(p, "verify_tls")) });
        while (!answer.there && r == 0)
                r = fetch_wait(f, &none, 0, WAIT_MSEC, e);
        return r < 0 || answer.good ? r : -EREMOTEIO;
}

static int ask_command(const json_t *p, Error *e) {
        const json_t *arguments = json_object_get(p, "argv");
        const char *argv[ARGUMENTS + 1] = { 0 }, *user = text_of(p, "user");
        uint64_t usec;
        int r = command_probe_narrow(e);

        for (size_t i = 0; i < MIN(json_array_size(arguments), (size_t)ARGUMENTS); i++)
                argv[i] = json_string_value(json_array_get(arguments, i));
        if (r == 0 && (!argv[0] || !user))
                r = error_set(e, -EINVAL, "there is nothing to run");
        return r < 0 ? r
                     : command_probe(argv, user, usec_of(p, "timeout_usec"), text_of(p, "expect"), &usec, e);
}

/* In the child: says what is wrong, or ends with 0. */
static _Noreturn void ask(const json_t *p, int out) {
        const char *kind = text_of(p, "kind");
        Error e = { 0 };
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (kind && strcmp(kind, probe_kind_text(PROBE_COMMAND)) == 0)
                r = ask_command(p, &e);
        else
                r = ask_network(p, kind && strcmp(kind, probe_kind_text(PROBE_TCP)) == 0, &e);
        if (r < 0 && write(out, e.text, strlen(e.text)) < 0)
                _exit(2);
        _exit(r < 0);
}

/* What a child says may be anything: one line of it is kept. */
static void keep(char *text, size_t n) {
        text[n] = 0;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
                        text[i] = '?';
}

static int try_once(const json_t *p, Error *e) {
        char text[300];
        int ends[2], status = 0;
        size_t n = 0;
        ssize_t got;
        pid_t pid;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(e, -errno, "pipe");
        pid = fork();
        if (pid == 0)
                ask(p, ends[1]);
        close(ends[1]);
        while (pid > 0 && n < sizeof(text) - 1 && (got = read(ends[0], text + n, sizeof(text) - 1 - n)) > 0)
                n += (size_t)got;
        close(ends[0]);
        while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        keep(text, n);
        if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        return error_set(e, -EREMOTEIO, "%s", n ? text : "it could not be made");
}

int main(void) {
        json_error_t bad;
        json_t *asked = json_loadfd(STDIN_FILENO, 0, &bad), *p;
        uint64_t deadline = now_usec() + usec_of(asked, "patience_usec");
        bool once = json_is_true(json_object_get(asked, "once"));
        Error e = { 0 };
        size_t i;

        if (!asked) {
                fprintf(stderr, "staunch-probe: %s\n", bad.text);
                return 1;
        }
        signal(SIGPIPE, SIG_IGN);
        json_array_foreach(json_object_get(asked, "probes"), i, p) {
                if (once && try_once(p, &e) < 0)
                        printf("%zu\n", i);
                while (!once && try_once(p, &e) < 0) {
                        if (now_usec() >= deadline) {
                                printf("the probe '%s' fails: %s\n", text_of(p, "name"), e.text);
                                json_decref(asked);
                                return 0;
                        }
                        nanosleep(&(struct timespec){ .tv_nsec = AGAIN_USEC * 1000L }, NULL);
                }
        }
        json_decref(asked);
        return 0;
}

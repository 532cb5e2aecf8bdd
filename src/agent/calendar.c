/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/calendar.h"
#include "agent/child.h"
#include "agent/sandbox.h"
#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

static volatile sig_atomic_t stopped; /* in the fork: the agent ends */

static void on_stop(int signal_number) {
        (void)signal_number;
        stopped = 1;
}

struct Calendar {
        sd_event *loop;
        sd_event_source *boundary, *child;
        const RestartOptions *options;
        void (*want_round)(void *data);
        void *data;
        pid_t pid;  /* of the turn that runs; 0: none */
        bool again; /* one more is wanted when it has ended */
        bool opens; /* the next boundary is one at which a window opens */
};

/* The next moment at which a window opens or closes. */
static void arm(Calendar *c) {
        int64_t now = (int64_t)(wall_usec() / 1000000), next = INT64_MAX;
        const Policy *p = c->options->policy;

        for (size_t i = 0; i < p->n_window; i++) {
                WindowSpan span;
                int64_t at;

                if (!window_next(&p->window[i], now, &span))
                        continue;
                at = window_open(&span, now) ? span.end : span.start;
                if (at < next) {
                        next = at;
                        c->opens = at == span.start;
                }
        }
        if (next == INT64_MAX) {
                sd_event_source_set_enabled(c->boundary, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(c->boundary, (uint64_t)next * 1000000);
        sd_event_source_set_enabled(c->boundary, SD_EVENT_ONESHOT);
}

static int on_boundary(sd_event_source *s, uint64_t usec, void *data) {
        Calendar *c = data;

        (void)s;
        (void)usec;
        if (c->opens)
                c->want_round(c->data); /* a turn follows it */
        else
                calendar_turn(c);
        arm(c);
        return 0;
}

static int on_end(sd_event_source *s, const siginfo_t *si, void *data) {
        Calendar *c = data;

        (void)s;
        if (si->si_code != CLD_EXITED || si->si_status != 0)
                child_log(LOG_WARNING, "restarts: a turn did not end well (%s %d)",
                          si->si_code == CLD_EXITED ? "code" : "signal", si->si_status);
        c->child = sd_event_source_unref(c->child);
        c->pid = 0;
        /* Processes were replaced, or not: the list of what is pending is looked at again. */
        if (TAKE(c->again, false))
                calendar_turn(c);
        return 0;
}

void calendar_turn(Calendar *c) {
        RestartOptions o = *c->options;
        SandboxReport report;
        sigset_t ends;
        Error e = { 0 };

        if (c->pid) {
                c->again = true;
                return;
        }
        c->pid = fork();
        if (c->pid < 0) {
                child_log(LOG_ERR, "fork: %s", strerror(errno));
                c->pid = 0;
                return;
        }
        if (c->pid == 0) {
                signal(SIGTERM, on_stop); /* what was begun is ended well */
                signal(SIGHUP, SIG_IGN);
                sigemptyset(&ends);
                sigaddset(&ends, SIGTERM); /* heard of where a turn can end: restart_pause() */
                sigprocmask(SIG_SETMASK, &ends, NULL);
                o.stop = &stopped;
                if (sandbox_enter(SANDBOX_EXECUTOR, &report, &e) < 0 || restart_turn(&o, &e) < 0) {
                        child_log(LOG_ERR, "restarts: %s", e.text);
                        _exit(EXIT_FAILURE);
                }
                _exit(EXIT_SUCCESS);
        }
        if (sd_event_add_child(c->loop, &c->child, c->pid, WEXITED, on_end, c) < 0) {
                child_log(LOG_ERR, "restarts: a turn is put off: its end could not be heard of");
                kill(c->pid, SIGKILL); /* it has just begun; others ask for turns */
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
                c->pid = 0;
        }
}

void calendar_changed(Calendar *c) {
        arm(c);
        calendar_turn(c);
}

int calendar_open(sd_event *loop, const RestartOptions *options, void (*want_round)(void *), void *data,
                  Calendar **out, Error *e) {
        Calendar *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return error_errno(e, -ENOMEM, "calendar");
        *c = (Calendar){ .loop = loop, .options = options, .want_round = want_round, .data = data };
        r = sd_event_add_time(loop, &c->boundary, CLOCK_REALTIME, UINT64_MAX, 1000000, on_boundary, c);
        if (r < 0) {
                free(c);
                return error_errno(e, r, "calendar");
        }
        arm(c);
        *out = c;
        return 0;
}

void calendar_close(Calendar *c) {
        if (!c)
                return;
        if (c->pid && kill(c->pid, SIGTERM) == 0)
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        sd_event_source_unref(c->child);
        sd_event_source_unref(c->boundary);
        free(c);
}

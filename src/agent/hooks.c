/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/hooks.h"
#include "agent/child.h"
#include "base/clock.h"
#include "base/command.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/policy.h"
#include "report/line.h"

#include <cap-ng.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
        CHANNEL_BYTES = 4 << 20, /* events that are under way: some thousand */
        FIELDS_MAX = 64,
};

/* How often one hook was run in the period that is under way. */
typedef struct Meter {
        uint64_t since_usec;
        unsigned starts;
        uint64_t dropped; /* events, not told of yet */
} Meter;

typedef struct Waiting {
        char *line;
        const PolicyHook *hook;
} Waiting;

typedef struct Runner {
        const char *config, *events;
        Policy policy;
        Meter *meters;   /* one a hook */
        VEC(Policy) old; /* of which something waits still */
        VEC(Waiting) queue;
        VEC(pid_t) running;
        bool open; /* more events may come */
} Runner;

static void emit(const Runner *r, EventKind kind, const PolicyHook *h, const char *detail) {
        char message[512];
        Error e = { 0 };

        snprintf(message, sizeof(message), "The hook %s: %s", h->command[0], detail);
        if (event_emit(&(Event){ .kind = kind,
                                 .message = message,
                                 .fields = (EventField[]){ { "STAUNCH_HOOK", h->command[0] },
                                                           { "STAUNCH_DETAIL", detail } },
                                 .n = 2 },
                       r->events, &e) < 0)
                child_log(LOG_WARNING, "%s (%s)", e.text, message);
}

/* The values of a field that has several, with a space between two. */
static const char *joined(const json_t *values) {
        char *all = NULL;

        for (size_t i = 0; i < json_array_size(values); i++) {
                const char *one = json_string_value(json_array_get(values, i));
                char *more;

                if (one && asprintf(&more, "%s%s%s", all ? all : "", all ? " " : "", one) > 0)
                        all = more;
        }
        return all;
}

/* "KEY=value" of what the event says. */
static void fill(const char **environment, const EventLine *l) {
        char number[16], priority[16];
        const struct {
                const char *key, *value;
        } own[] = {
                { "STAUNCH_EVENT", number },
                { "STAUNCH_KIND", l->kind },
                { "STAUNCH_MESSAGE", l->message },
                { "STAUNCH_PRIORITY", priority },
                { "STAUNCH_TIME", json_string_value(json_object_get(l->json, "time")) },
        };
        const char *key;
        json_t *value;
        size_t n = 0;
        char *text;

        snprintf(number, sizeof(number), "%u", l->number);
        snprintf(priority, sizeof(priority), "%d", l->priority);
        for (size_t i = 0; i < ELEMENTSOF(own); i++)
                if (asprintf(&text, "%s=%s", own[i].key, own[i].value ? own[i].value : "") > 0)
                        environment[n++] = text;
        json_object_foreach(json_object_get(l->json, "fields"), key, value) {
                const char *one = json_is_array(value) ? joined(value) : json_string_value(value);

                if (n < FIELDS_MAX && one && strncmp(key, "STAUNCH_", 8) == 0 &&
                    asprintf(&text, "%s=%s", key, one) > 0)
                        environment[n++] = text;
        }
}

/* In a process of its own. What it allocates goes with it. */
static _Noreturn void run_one(const Runner *r, const PolicyHook *h, const char *line) {
        const char *environment[FIELDS_MAX + 1] = { 0 };
        Command c = { .argv = h->command,
                      .environment = environment,
                      .timeout_usec = h->timeout_usec,
                      .user = geteuid() == 0 ? h->user : NULL };
        CommandResult result;
        Error e = { 0 };
        char *input;
        EventLine l;

        if (event_line_read(line, &l))
                fill(environment, &l);
        if (asprintf(&input, "%s\n", line) > 0)
                c.input = input;
        if (command_must(&c, &result, &e) < 0)
                emit(r, EVENT_HOOK_FAILED, h, e.text);
        _exit(EXIT_SUCCESS);
}

/* What was dropped in a period is told when it is over. */
static void turn_meter(const Runner *r, size_t hook, bool ending) {
        Meter *m = &r->meters[hook];
        uint64_t now = now_usec();
        char text[128];

        if (!ending && now - m->since_usec < HOOKS_PERIOD_SEC * UINT64_C(1000000))
                return;
        if (m->dropped) {
                snprintf(text, sizeof(text),
                         "%lu events were not given to it: it is run %d times in %d seconds at most",
                         (unsigned long)m->dropped, HOOKS_PER_PERIOD, HOOKS_PERIOD_SEC);
                emit(r, EVENT_HOOK_DROPPED, &r->policy.hook[hook], text);
        }
        *m = (Meter){ .since_usec = now };
}

static void put(Runner *r, size_t hook, const char *line) {
        Meter *m = &r->meters[hook];
        char *copy;

        turn_meter(r, hook, false);
        if (m->starts >= HOOKS_PER_PERIOD || r->queue.n >= HOOKS_QUEUE || !(copy = strdup(line))) {
                m->dropped++;
                return;
        }
        m->starts++;
        vec_push(&r->queue, (Waiting){ copy, &r->policy.hook[hook] });
}

static void start_some(Runner *r) {
        while (r->queue.n && r->running.n < HOOKS_RUNNING) {
                Waiting w = r->queue.items[0];
                pid_t pid = fork();

                if (pid == 0)
                        run_one(r, w.hook, w.line);
                if (pid < 0)
                        emit(r, EVENT_HOOK_FAILED, w.hook, strerror(errno));
                else
                        vec_push(&r->running, pid);
                memmove(r->queue.items, r->queue.items + 1, --r->queue.n * sizeof(w));
                free(w.line);
        }
        while (!r->queue.n && r->old.n)
                policy_free(&r->old.items[--r->old.n]);
}

static void take_policy(Runner *r) {
        Policy fresh;
        Error e = { 0 };
        bool same;

        if (policy_load(r->config, &fresh, &e) < 0)
                return; /* the agent has told of it */
        same = r->meters && fresh.n_hook == r->policy.n_hook;
        for (size_t i = 0; !same && i < r->policy.n_hook; i++)
                turn_meter(r, i, true);
        if (r->policy.arena)
                vec_push(&r->old, r->policy);
        r->policy = fresh;
        if (same)
                return; /* a policy that is read again and again is no way around the limits */
        free(r->meters);
        r->meters = calloc(fresh.n_hook + 1, sizeof(*r->meters));
        if (!r->meters)
                r->policy.n_hook = 0;
}

static void take_events(Runner *r, int channel) {
        char line[EVENT_MAX + 1];
        ssize_t n;

        while ((n = recv(channel, line, EVENT_MAX, MSG_DONTWAIT)) > 0) {
                EventKind kind;
                EventLine l;

                line[n] = 0;
                if (!event_line_read(line, &l))
                        continue;
                kind = event_find(l.kind);
                event_line_release(&l);
                if (kind == EVENT_CONFIG_CHANGED)
                        take_policy(r);
                for (size_t i = 0; kind != EVENT_N && i < r->policy.n_hook; i++)
                        if (r->policy.hook[i].events[kind])
                                put(r, i, line);
        }
        r->open = n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void reap(Runner *r) {
        for (size_t i = 0; i < r->running.n;)
                if (waitpid(r->running.items[i], NULL, WNOHANG) != 0)
                        r->running.items[i] = r->running.items[--r->running.n];
                else
                        i++;
}

/* Only becoming another user, and ending what runs as one, is left; a hook that is to run as root gets root's
 * again. */
static void narrow(void) {
        if (geteuid() != 0)
                return;
        capng_clear(CAPNG_SELECT_CAPS);
        capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID, CAP_SETGID, CAP_KILL,
                      CAP_DAC_OVERRIDE, -1);
        if (capng_apply(CAPNG_SELECT_CAPS) != 0)
                child_log(LOG_WARNING, "hooks: capabilities could not be dropped");
}

static _Noreturn void run(Runner *r, int channel) {
        struct signalfd_siginfo si;
        sigset_t children;
        int ended;

        prctl(PR_SET_NAME, "staunch-hooks");
        event_forward(-1);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        narrow();
        /* The agent's end is seen on the channel; until then, and to the end of what waits, it stays. */
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        sigemptyset(&children);
        sigaddset(&children, SIGCHLD);
        sigprocmask(SIG_SETMASK, &children, NULL);
        ended = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
        r->open = true;
        take_policy(r);
        while (r->open || r->queue.n || r->running.n) {
                struct pollfd p[] = { { r->open ? channel : -1, POLLIN, 0 }, { ended, POLLIN, 0 } };
                bool dropped = false;

                for (size_t i = 0; i < r->policy.n_hook; i++) {
                        turn_meter(r, i, false);
                        dropped |= r->meters[i].dropped > 0;
                }
                if (poll(p, ELEMENTSOF(p), dropped ? 1000 : -1) < 0 && errno != EINTR)
                        break;
                while (read(ended, &si, sizeof(si)) > 0)
                        ;
                reap(r);
                if (r->open)
                        take_events(r, channel);
                start_some(r);
        }
        for (size_t i = 0; i < r->policy.n_hook; i++)
                turn_meter(r, i, true);
        _exit(EXIT_SUCCESS);
}

int hooks_start(Hooks *h, const char *config, const char *events, Error *e) {
        Runner r = { .config = config, .events = events };
        int ends[2], size = CHANNEL_BYTES;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return error_errno(e, -errno, "socketpair");
        if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
                setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        h->pid = fork();
        if (h->pid == 0) {
                close(ends[0]);
                run(&r, ends[1]);
        }
        close(ends[1]);
        h->channel = ends[0];
        if (h->pid < 0) {
                h->pid = 0;
                closep(&h->channel);
                return error_errno(e, -errno, "fork");
        }
        event_forward(h->channel);
        return 0;
}

bool hooks_ended(Hooks *h) {
        if (h->pid <= 0 || waitpid(h->pid, NULL, WNOHANG) == 0)
                return false;
        h->pid = 0;
        event_forward(-1);
        closep(&h->channel);
        return true;
}

void hooks_stop(Hooks *h) {
        struct pollfd p = { .fd = h->pid > 0 ? (int)syscall(SYS_pidfd_open, h->pid, 0) : -1,
                            .events = POLLIN };

        if (h->pid <= 0)
                return;
        event_forward(-1);
        closep(&h->channel);
        if (p.fd >= 0 && poll(&p, 1, HOOKS_FAREWELL_SEC * 1000) > 0)
                waitpid(h->pid, NULL, 0);
        closep(&p.fd);
        h->pid = 0;
}

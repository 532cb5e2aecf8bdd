/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/drain.h"
#include "base/clock.h"
#include "base/macro.h"
#include "deliver/haproxy.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { LOOK_USEC = 50000 }; /* between two looks at HAProxy, which tells of nothing by itself */

static bool matches(const PolicyDrain *d, const char *unit) {
        return fnmatch(d->unit, unit, 0) == 0;
}

uint64_t drain_need_usec(const Policy *p, const char *unit) {
        uint64_t sec = 0;

        for (size_t i = 0; i < p->n_drain; i++)
                if (matches(&p->drain[i], unit))
                        sec += p->drain[i].timeout_sec *
                               (uint64_t)(!!*p->drain[i].before + !!*p->drain[i].after +
                                          2 * !!*p->drain[i].haproxy);
        return sec * 1000000;
}

static int run(Manager *m, const char *unit, const char *when, const char *command, uint32_t timeout_sec,
               Error *e) {
        static unsigned count;
        char name[MANAGER_NAME], environment[MANAGER_NAME + 32], result[MANAGER_WORD];
        int r;

        snprintf(name, sizeof(name), "staunch-drain-%s-%d-%u.service", when, getpid(), count++);
        snprintf(environment, sizeof(environment), "STAUNCH_UNIT=%s", unit);
        r = manager_run(m, name, command, environment, (uint64_t)timeout_sec * 1000000, result, e);
        if (r == 0 && strcmp(result, "done") != 0)
                r = error_set(e, -EREMOTEIO, "the drain command '%s' of %s: %s ('journalctl -u %s')", when,
                              unit, result, name);
        return r;
}

/* Adds "WHAT", or "WHAT SOCKET SERVER", to what is to be undone. */
static int note_line(char note[DRAIN_NOTE], const char *what, const char *socket, const char *server,
                     Error *e) {
        size_t n = strlen(note);

        if (snprintf(note + n, DRAIN_NOTE - n, "%s%s%s%s%s\n", what, *socket ? " " : "", socket,
                     *server ? " " : "", server) < (int)(DRAIN_NOTE - n))
                return 0;
        note[n] = 0;
        return error_set(e, -E2BIG, "too much to drain");
}

static void pause_a_moment(void) {
        nanosleep(&(struct timespec){ .tv_nsec = LOOK_USEC * 1000L }, NULL);
}

/* Until the server has no session, or the time is over. */
static int await_silence(const PolicyDrain *d, const char *server, Error *e) {
        uint64_t deadline = now_usec() + (uint64_t)d->timeout_sec * 1000000;

        for (;;) {
                HaproxyServer s;
                int r = haproxy_server(d->haproxy, server, &s, e);

                if (r < 0 || s.sessions == 0)
                        return r;
                if (now_usec() >= deadline)
                        return d->force ? 0
                                        : error_set(e, -ETIME, "%lu sessions of %s have not ended in %u s",
                                                    (unsigned long)s.sessions, server, d->timeout_sec);
                pause_a_moment();
        }
}

static int drain_haproxy(const PolicyDrain *d, char note[DRAIN_NOTE],
                         int (*keep)(void *, const char *, Error *), void *data, Error *e) {
        int r = 0;

        for (size_t i = 0; i < d->n_servers && r == 0; i++) {
                HaproxyServer s;

                r = haproxy_server(d->haproxy, d->servers[i], &s, e);
                if (r < 0 || s.admin)
                        continue; /* somebody else keeps it out, and may go on with that */
                r = note_line(note, "haproxy", d->haproxy, d->servers[i], e);
                if (r == 0)
                        r = keep(data, note, e);
                if (r == 0)
                        r = haproxy_set(d->haproxy, d->servers[i], "state drain", e);
        }
        for (size_t i = 0; i < d->n_servers && r == 0; i++)
                r = await_silence(d, d->servers[i], e);
        return r;
}

int drain_begin(Manager *m, const Policy *p, const char *unit, char note[DRAIN_NOTE],
                int (*keep)(void *, const char *, Error *), void *data, Error *e) {
        int r = 0;

        note[0] = 0;
        for (size_t i = 0; i < p->n_drain && r == 0; i++) {
                const PolicyDrain *d = &p->drain[i];

                if (!matches(d, unit))
                        continue;
                if (*d->before || *d->after) {
                        r = note_line(note, "command", "", "", e);
                        if (r == 0)
                                r = keep(data, note, e);
                }
                if (r == 0 && *d->before)
                        r = run(m, unit, "before", d->before, d->timeout_sec, e);
                if (r == 0 && *d->haproxy)
                        r = drain_haproxy(d, note, keep, data, e);
        }
        return r;
}

/* How long a server may take to be found well. */
static uint32_t timeout_of(const Policy *p, const char *unit) {
        uint32_t sec = 0;

        for (size_t i = 0; i < p->n_drain; i++)
                if (matches(&p->drain[i], unit))
                        sec = MAX(sec, p->drain[i].timeout_sec);
        return sec ? sec : 60;
}

static int end_haproxy(const char *socket, const char *server, bool restarted, uint32_t timeout_sec,
                       Error *e) {
        uint64_t deadline = now_usec() + (uint64_t)timeout_sec * 1000000;
        HaproxyServer s;
        int r = haproxy_server(socket, server, &s, e);

        /* HAProxy may not have noticed that it was away, and it need not listen yet. */
        if (r == 0 && restarted && s.checked)
                r = haproxy_set(socket, server, "health down", e);
        if (r == 0)
                r = haproxy_set(socket, server, "state ready", e);
        while (r == 0 && restarted && s.checked) {
                r = haproxy_server(socket, server, &s, e);
                if (r < 0 || strncmp(s.status, "UP", 2) == 0)
                        break;
                if (now_usec() >= deadline)
                        return error_set(e, -ETIME, "HAProxy does not find %s well after %u s: %s", server,
                                         timeout_sec, s.status);
                pause_a_moment();
        }
        return r;
}

int drain_end(Manager *m, const Policy *p, const char *unit, const char *note, bool restarted, Error *e) {
        bool command = false;
        int first = 0;

        for (const char *line = note; *line;) {
                size_t n = strcspn(line, "\n");
                char text[DRAIN_NOTE], *server;
                int r = 0;

                snprintf(text, sizeof(text), "%.*s", (int)n, line);
                server = strrchr(text, ' ');
                if (strncmp(text, "haproxy ", 8) == 0 && server > text + 8) {
                        *server++ = 0;
                        r = end_haproxy(text + 8, server, restarted, timeout_of(p, unit), first ? NULL : e);
                }
                command |= strncmp(text, "command", 7) == 0;
                first = first ? first : r;
                line += n + (line[n] == '\n');
        }
        for (size_t i = 0; command && i < p->n_drain; i++)
                if (matches(&p->drain[i], unit) && *p->drain[i].after) {
                        int r = run(m, unit, "after", p->drain[i].after, p->drain[i].timeout_sec,
                                    first ? NULL : e);

                        first = first ? first : r;
                }
        return first;
}

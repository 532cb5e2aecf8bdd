/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/probed.h"
#include "base/command.h"
#include "base/macro.h"
#include "base/program.h"
#include "config.h"
#include "patch/json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MARGIN_USEC = 10000000 }; /* for its start and its end */

bool probed_has(const Policy *p, const char *unit) {
        for (size_t i = 0; i < p->n_probe; i++)
                if (strcmp(p->probe[i].subject, unit) == 0)
                        return true;
        return false;
}

/* So long a probe that fails is tried again. */
static uint64_t patience_usec(const Policy *p, uint64_t start_max_usec) {
        uint64_t limit = (uint64_t)p->restart.timeout_sec * 1000000;

        return start_max_usec ? MIN(start_max_usec, limit) : limit;
}

uint64_t probed_need_usec(const Policy *p, const char *unit, uint64_t start_max_usec) {
        uint64_t usec = 0;

        for (size_t i = 0; i < p->n_probe; i++)
                if (strcmp(p->probe[i].subject, unit) == 0)
                        usec += p->probe[i].timeout_usec;
        return usec ? usec + patience_usec(p, start_max_usec) + MARGIN_USEC : 0;
}

static json_t *probe_json(const Probe *p) {
        json_t *argv = json_array();

        for (const char *const *a = p->command; a && *a; a++)
                json_array_append_new(argv, json_text(*a));
        return json_pack("{s:o, s:s, s:o*, s:o, s:o*, s:o*, s:I, s:b}", "name", json_text(p->name), "kind",
                         probe_kind_text(p->kind), "target", p->target ? json_text(p->target) : NULL, "argv",
                         argv, "user", p->user ? json_text(p->user) : NULL, "expect",
                         p->expect ? json_text(p->expect) : NULL, "timeout_usec", (json_int_t)p->timeout_usec,
                         "verify_tls", p->verify_tls);
}

static bool is_named(const ProbeNames *names, const Probe *p) {
        for (size_t i = 0; names && i < names->n; i++)
                if (strcmp(names->items[i].unit, p->subject) == 0 &&
                    strcmp(names->items[i].name, p->name) == 0)
                        return true;
        return false;
}

int probed_each(const Policy *p, const char *unit, int (*ask)(void *data, const char *unit, Error *e),
                void *data, Error *e) {
        if (strcmp(unit, "machine") != 0)
                return probed_has(p, unit) ? ask(data, unit, e) : 0;
        for (size_t i = 0; i < p->n_probe; i++) {
                const char *subject = p->probe[i].subject;
                bool first = strncmp(subject, "process ", 8) != 0;
                int r;

                for (size_t k = 0; k < i; k++)
                        first &= strcmp(p->probe[k].subject, subject) != 0;
                r = first ? ask(data, subject, e) : 0;
                if (r) {
                        error_prefix(e, "%s", subject);
                        return r;
                }
        }
        return 0;
}

typedef VEC(const Probe *) Probes;

/* What staunch-probe is asked: each of them once, or until it passes. malloc'ed. */
static char *question(const Probes *ask, bool once, uint64_t patience) {
        json_t *probes = json_array(), *j;
        char *text;

        for (size_t i = 0; i < ask->n; i++)
                json_array_append_new(probes, probe_json(ask->items[i]));
        j = json_pack("{s:I, s:b, s:o}", "patience_usec", (json_int_t)patience, "once", once, "probes",
                      probes);
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        return text;
}

enum { SAID = 2048 }; /* what staunch-probe may say: a line, or the numbers of all that fail */

static int by_child(const char *program, const char *asked, uint64_t limit_usec, char said[SAID],
                    Error *why) {
        const char *const argv[] = { program, NULL };
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv, .input = asked, .timeout_usec = limit_usec }, &result,
                             why);

        if (r < 0)
                return r;
        snprintf(said, SAID, "%s", result.output ? result.output : "");
        command_result_free(&result);
        return 0;
}

static int by_manager(Manager *m, const char *program, const char *asked, uint64_t limit_usec,
                      char said[SAID], Error *why) {
        _cleanup_(closep) int in = memfd_create("staunch-probes", MFD_CLOEXEC),
                              out = memfd_create("staunch-probe", MFD_CLOEXEC);
        char name[64], result[MANAGER_WORD];
        static unsigned count;
        ssize_t n;
        int r;

        if (in < 0 || out < 0 || write(in, asked, strlen(asked)) != (ssize_t)strlen(asked) ||
            lseek(in, 0, SEEK_SET) < 0)
                return error_errno(why, -errno, "staunch-probe");
        snprintf(name, sizeof(name), "staunch-probe-%d-%u.service", getpid(), count++);
        r = manager_filter(m, name, program, in, out, limit_usec, result, why);
        if (r < 0)
                return r;
        if (strcmp(result, "done") != 0)
                return error_set(why, -EREMOTEIO, "probes could not be made: %s ('journalctl -u %s')", result,
                                 name);
        n = pread(out, said, SAID - 1, 0);
        if (n < 0)
                return error_errno(why, -errno, "staunch-probe");
        said[n] = 0;
        return 0;
}

/* The probes of the unit but these. */
static Probes choose(const Policy *p, const char *unit, const ProbeNames *but) {
        Probes found = { 0 };

        for (size_t i = 0; i < p->n_probe; i++)
                if (strcmp(p->probe[i].subject, unit) == 0 && !is_named(but, &p->probe[i]))
                        vec_push(&found, &p->probe[i]);
        return found;
}

static int make(Manager *m, const Probes *ask, bool once, uint64_t patience, char said[SAID], Error *why) {
        _cleanup_(freep) char *asked = question(ask, once, patience);
        uint64_t limit_usec = patience + MARGIN_USEC;
        char program[PATH_MAX];

        for (size_t i = 0; i < ask->n; i++)
                limit_usec += ask->items[i]->timeout_usec;
        if (!asked)
                return error_set(why, -EINVAL, "probes can't be written down");
        program_find("staunch-probe", LIBEXEC_DIR, program);
        return m ? by_manager(m, program, asked, limit_usec, said, why)
                 : by_child(program, asked, limit_usec, said, why);
}

int probed_ask(const Policy *p, Manager *m, const char *unit, uint64_t start_max_usec, const ProbeNames *but,
               Error *why) {
        Probes ask = choose(p, unit, but);
        char said[SAID] = "";
        int r = ask.n ? make(m, &ask, false, patience_usec(p, start_max_usec), said, why) : 0;

        vec_free(&ask);
        said[strcspn(said, "\n")] = 0;
        return r == 0 && *said ? (error_set(why, -EREMOTEIO, "%s", said), 1) : r;
}

void probed_failing(const Policy *p, Manager *m, const char *unit, ProbeNames *out) {
        Probes ask = choose(p, unit, NULL);
        char said[SAID] = "", *save = NULL;
        bool made = ask.n && make(m, &ask, true, 0, said, NULL) == 0;

        for (size_t i = 0; !made && i < ask.n; i++)
                vec_push(out, (ProbeName){ ask.items[i]->subject, ask.items[i]->name });
        for (const char *word = strtok_r(said, "\n", &save); made && word;
             word = strtok_r(NULL, "\n", &save)) {
                size_t i = strtoul(word, NULL, 10);

                if (i < ask.n)
                        vec_push(out, (ProbeName){ ask.items[i]->subject, ask.items[i]->name });
        }
        vec_free(&ask);
}

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

/* What staunch-probe is asked; malloc'ed. */
static char *question(const Policy *p, const char *unit, uint64_t start_max_usec) {
        json_t *probes = json_array(), *j;
        char *text;

        for (size_t i = 0; i < p->n_probe; i++)
                if (strcmp(p->probe[i].subject, unit) == 0)
                        json_array_append_new(probes, probe_json(&p->probe[i]));
        j = json_pack("{s:I, s:o}", "patience_usec", (json_int_t)patience_usec(p, start_max_usec), "probes",
                      probes);
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        return text;
}

/* What it said: nothing, or the probe that does not pass. */
static int said(char *text, Error *why) {
        text[strcspn(text, "\n")] = 0;
        return *text ? (error_set(why, -EREMOTEIO, "%s", text), 1) : 0;
}

static int by_child(const char *program, const char *asked, uint64_t limit_usec, Error *why) {
        const char *const argv[] = { program, NULL };
        CommandResult result;
        int r = command_must(&(Command){ .argv = argv, .input = asked, .timeout_usec = limit_usec }, &result,
                             why);

        if (r < 0)
                return r;
        r = result.output ? said(result.output, why) : 0;
        command_result_free(&result);
        return r;
}

static int by_manager(Manager *m, const char *program, const char *asked, uint64_t limit_usec, Error *why) {
        _cleanup_(closep) int in = memfd_create("staunch-probes", MFD_CLOEXEC),
                              out = memfd_create("staunch-probe", MFD_CLOEXEC);
        char name[64], result[MANAGER_WORD], text[512];
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
        n = pread(out, text, sizeof(text) - 1, 0);
        if (n < 0)
                return error_errno(why, -errno, "staunch-probe");
        text[n] = 0;
        return said(text, why);
}

int probed_ask(const Policy *p, Manager *m, const char *unit, uint64_t start_max_usec, Error *why) {
        uint64_t limit_usec = probed_need_usec(p, unit, start_max_usec);
        _cleanup_(freep) char *asked = NULL;
        char program[PATH_MAX];

        if (!limit_usec)
                return 0;
        asked = question(p, unit, start_max_usec);
        if (!asked)
                return error_set(why, -EINVAL, "the probes of %s can't be written down", unit);
        program_find("staunch-probe", LIBEXEC_DIR, program);
        return m ? by_manager(m, program, asked, limit_usec, why) : by_child(program, asked, limit_usec, why);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A command of the administrator's that takes snapshots: docs/baseline.md. */
#include "base/command.h"
#include "base/macro.h"
#include "snapshot/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { WORDS = 32, CODE_ABSENT = 3, CODE_REBOOT = 10 };

/* Runs it; negative when it can't be run. Anything but code 0, `also` and (for available) CODE_ABSENT is an
 * error. */
static int ask(const SnapshotContext *c, const char *verb, const char *operand, int also, CommandResult *out,
               Error *e) {
        const SnapshotPolicy *p = c->policy;
        const char *argv[WORDS + 3] = { 0 };
        _cleanup_(freep) char *root = NULL, *state = NULL;
        const char *environment[3] = { 0 };
        size_t n = 0;
        int r;

        if (!p->n_hook || p->n_hook > WORDS)
                return error_set(e, -EINVAL, "[baseline] hook: a command of 1 to %d words is needed", WORDS);
        for (; n < p->n_hook; n++)
                argv[n] = p->hook[n];
        argv[n++] = verb;
        argv[n] = operand;
        if (asprintf(&root, "STAUNCH_ROOT=%s", c->root) < 0 ||
            asprintf(&state, "STAUNCH_STATE=%s", c->state) < 0)
                return error_errno(e, -ENOMEM, "%s", argv[0]);
        environment[0] = root;
        environment[1] = state;
        r = command_run(
                &(Command){ .argv = argv, .environment = environment, .timeout_usec = p->hook_timeout_usec },
                out, e);
        if (r < 0 || out->code == 0 || out->code == also)
                return r;
        error_set(e, -EREMOTEIO, "%s %s ended with code %d%s%s", argv[0], verb, out->code,
                  out->complaint[0] ? ": " : "", out->complaint);
        command_result_free(out);
        return -EREMOTEIO;
}

static int available(const SnapshotContext *c, Error *e) {
        CommandResult out = { 0 };
        int r;

        if (!c->policy->n_hook) {
                error_set(e, -ENOENT, "hook: no command is given ([baseline] hook)");
                return SNAPSHOT_ABSENT;
        }
        r = ask(c, "available", NULL, CODE_ABSENT, &out, e);
        if (r == 0 && out.code == CODE_ABSENT) {
                error_set(e, -ENOENT, "hook: %s", out.complaint[0] ? out.complaint : "not available here");
                r = SNAPSHOT_ABSENT;
        }
        command_result_free(&out);
        return r;
}

/* The line at *at, without its end; false at the end, or at one that is no id. */
static bool next_id(char **at, char **id) {
        char *line = *at;
        size_t n = strcspn(line, "\r\n");

        if (!n || n >= SNAPSHOT_HANDLE)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!isgraph((unsigned char)line[i]))
                        return false;
        *at = line + n + strspn(line + n, "\r\n");
        line[n] = 0;
        *id = line;
        return true;
}

static int take(const SnapshotContext *c, const char *name, SnapshotMade *made, Error *e) {
        CommandResult out = { 0 };
        int r = ask(c, "take", name, 0, &out, e);
        char *at = out.output, *id;

        if (r == 0 && (!at || strlen(at) != out.n || !next_id(&at, &id) || *at))
                r = error_set(e, -EPROTO,
                              "%s take did not print one line with an id of at most %d characters",
                              c->policy->hook[0], SNAPSHOT_HANDLE - 1);
        if (r == 0)
                snprintf(made->handle, sizeof(made->handle), "%s", id);
        command_result_free(&out);
        return r;
}

static int list(const SnapshotContext *c, void (*each)(void *, const SnapshotMade *), void *data, Error *e) {
        CommandResult out = { 0 };
        int r = ask(c, "list", NULL, 0, &out, e);
        char *at = out.output, *id;

        while (r == 0 && at && *at) {
                SnapshotMade made = { 0 };

                if (!next_id(&at, &id)) {
                        r = error_set(e, -EPROTO, "%s list: a line is not an id of at most %d characters",
                                      c->policy->hook[0], SNAPSHOT_HANDLE - 1);
                        break;
                }
                snprintf(made.handle, sizeof(made.handle), "%s", id);
                each(data, &made);
        }
        command_result_free(&out);
        return r;
}

static int rollback(const SnapshotContext *c, const SnapshotMade *m, const char *name, Error *e) {
        CommandResult out = { 0 };
        int r = ask(c, "rollback", m->handle, CODE_REBOOT, &out, e);

        (void)name;
        if (r == 0 && out.code == CODE_REBOOT)
                r = SNAPSHOT_REBOOT;
        command_result_free(&out);
        return r;
}

static int drop(const SnapshotContext *c, const SnapshotMade *m, Error *e) {
        CommandResult out = { 0 };
        int r = ask(c, "drop", m->handle, 0, &out, e);

        command_result_free(&out);
        return r;
}

static int space(const SnapshotContext *c, SnapshotSpace *made, Error *e) {
        CommandResult out = { 0 };
        int r = ask(c, "space", NULL, 0, &out, e), end = 0;

        *made = (SnapshotSpace){ 0 };
        if (r == 0 && out.n &&
            (sscanf(out.output, "%" SCNu64 " %" SCNu64 " %n", &made->free, &made->total, &end) != 2 ||
             out.output[end]))
                r = error_set(e, -EPROTO, "%s space did not print two numbers of bytes", c->policy->hook[0]);
        command_result_free(&out);
        return r;
}

const SnapshotProvider snapshot_hook = { "hook", available, take, list, rollback, drop, space };

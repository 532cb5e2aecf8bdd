/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/running.h"
#include "base/macro.h"
#include "cli/text.h"
#include "deliver/round.h"
#include "patch/json.h"

#include <string.h>

void running_find(const json_t *agent, const char *lock, Running *out) {
        const json_t *mine = json_object_get(agent, "round");
        RoundHolder holder;

        *out = (Running){ .pid = (pid_t)json_integer_value(json_object_get(mine, "pid")) };
        if (round_holder(lock, &holder, NULL) == 1 && (!holder.pid || holder.pid != out->pid)) {
                out->runs = true;
                out->pid = holder.pid;
                out->begun_usec = holder.begun_usec;
        } else if (out->pid) {
                out->runs = true;
                out->begun_usec = (uint64_t)json_integer_value(json_object_get(mine, "begun"));
                out->of_agent = mine;
        }
        if (out->pid && process_read(out->pid, &out->program, NULL) < 0)
                out->program = (Process){ 0 };
}

static json_t *part(const Running *r, const char *key) {
        json_t *v = json_object_get(r->of_agent, key);

        return v ? json_incref(v) : json_null();
}

json_t *running_json(const Running *r) {
        if (!r->runs)
                return json_null();
        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "program",
                         r->program.pid ? json_text(r->program.comm) : json_null(), "pid",
                         r->pid ? json_integer(r->pid) : json_null(), "begun",
                         r->begun_usec ? json_time(r->begun_usec) : json_null(), "kind", part(r, "kind"),
                         "doing", part(r, "doing"), "processes", part(r, "processes"), "at", part(r, "at"));
}

static bool is(const Running *r, const char *key, const char *word) {
        const char *have = json_string_value(json_object_get(r->of_agent, key));

        return have && strcmp(have, word) == 0;
}

static const char *kind_of(const Running *r) {
        if (!r->of_agent)
                return "by hand";
        if (is(r, "kind", "started"))
                return "processes that have just started";
        if (is(r, "kind", "quarantine"))
                return "a harmful patch is taken out";
        return "all processes";
}

/* ", 12 processes so far; it changes nginx (pid 5)" */
static const char *progress_of(Arena *a, const Running *r) {
        const json_t *at = json_object_get(r->of_agent, "at");
        const char *comm = json_string_value(json_object_get(at, "comm"));
        size_t n = (size_t)json_integer_value(json_object_get(r->of_agent, "processes"));
        const char *looked = arena_printf(a, ", %zu process%s so far", n, plural_es(n));

        if (!r->of_agent)
                return "";
        if (is(r, "doing", "waits"))
                return "; it begins, or waits for another to end";
        if (is(r, "doing", "compares"))
                return arena_printf(a, "%s; it compares builds", looked);
        if (!comm)
                return looked;
        return arena_printf(a, "%s; it %s %s (pid %d)", looked,
                            is(r, "doing", "changes") ? "changes" : "looks at", comm,
                            (int)json_integer_value(json_object_get(at, "pid")));
}

const char *running_text(Arena *a, const Running *r) {
        char since[TEXT_TIME];

        if (!r->runs)
                return NULL;
        if (!r->program.pid)
                return "a round runs; whose it is is not known";
        return arena_printf(a, "a round (%s; %s, pid %d) runs since %s%s", kind_of(r), r->program.comm,
                            (int)r->pid, text_time(r->begun_usec, since), progress_of(a, r));
}

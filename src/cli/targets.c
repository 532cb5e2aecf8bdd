/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/targets.h"
#include "base/macro.h"
#include "base/vec.h"
#include "cli/json.h"
#include "cli/text.h"
#include "proc/loaded.h"

#include <errno.h>
#include <string.h>

int targets_hidden(size_t n, int code) {
        if (!n)
                return code;
        progress_clear();
        if (geteuid() == 0) {
                fprintf(stderr, "staunch: %zu process%s not looked at: more privileged than this program\n",
                        n, plural_es(n));
                return code;
        }
        fprintf(stderr, "staunch: %zu process%s of other users could not be looked at; run as root\n", n,
                plural_es(n));
        return EXIT_ERROR;
}

int targets_maps(pid_t pid, const BuildId *id, Error *e) {
        _cleanup_(maps_free) Maps maps = { 0 };
        _cleanup_(freep) Loaded *loaded = NULL;
        size_t n = 0;
        int r = maps_read(pid, &maps, e);

        if (r < 0)
                return r;
        r = loaded_list(pid, &maps, &loaded, &n, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (build_id_equal(&loaded[i].head.build_id, id))
                        return 1;
        return 0;
}

Action *actions_add(ActionList *l, const Process *p) {
        vec_push(l, (Action){ .process = *p, .result = { .refusal = REFUSAL_N } });
        return &l->items[l->n - 1];
}

void actions_free(ActionList *l) {
        vec_free(l);
}

void action_finish(Action *a, int returned, Done good) {
        if (returned < 0) {
                a->done = DONE_ERROR;
                a->error.code = returned;
        } else {
                a->done = returned == ENGINE_REFUSED ? DONE_REFUSED : good;
        }
}

static const char *const done_text[] = { "patched", "reverted", "refused", "current", "error" };

json_t *refusal_json(const EngineResult *r) {
        const Refusal *code = refusal_get(r->refusal);

        return json_pack("{s:o, s:o, s:o}", "code", json_text(code ? code->code : "unknown"), "subject",
                         json_text(r->subject), "detail", json_text(r->detail));
}

static json_t *action_json(const Action *a) {
        json_t *j = json_object();
        const struct {
                const char *name;
                uint64_t value;
        } figures[] = {
                { "functions", a->result.functions },
                { "pause_usec", a->result.pause_usec },
                { "pause_total_usec", a->result.pause_total_usec },
                { "stage_usec", a->result.stage_usec },
                { "attempts", a->result.attempts },
                { "threads", a->result.threads },
                { "private_bytes", a->result.private_bytes },
                { "shared_bytes", a->result.shared_bytes },
        };

        json_object_set_new(j, "pid", json_integer(a->process.pid));
        json_object_set_new(j, "comm", json_text(a->process.comm));
        json_object_set_new(j, "outcome", json_text(done_text[a->done]));
        json_object_set_new(j, "refusal", a->done == DONE_REFUSED ? refusal_json(&a->result) : json_null());
        json_object_set_new(j, "error", a->done == DONE_ERROR ? json_text(a->error.text) : json_null());
        for (size_t i = 0; i < ELEMENTSOF(figures); i++)
                json_object_set_new(j, figures[i].name, json_integer((json_int_t)figures[i].value));
        return j;
}

static const char *action_reason(const Action *a, Arena *arena) {
        const Refusal *r = refusal_get(a->result.refusal);

        if (a->done == DONE_ERROR)
                return arena_printf(arena, "%s%s",
                                    a->error.text[0] ? a->error.text : strerror(-a->error.code),
                                    error_hint(&a->error));
        if (a->done != DONE_REFUSED || !r)
                return "";
        return arena_printf(
                arena, "%s: %s%s%s%s", r->code, a->result.subject[0] ? a->result.subject : r->title,
                a->result.detail[0] ? " (" : "", a->result.detail, a->result.detail[0] ? ")" : "");
}

static void actions_table(const ActionList *l) {
        static const char *const titles[] = { "PID",   "PROCESS", "OUTCOME", "FUNCTIONS",
                                              "PAUSE", "THREADS", "TRIES",   "REASON" };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Table t;

        table_init(&t, arena, ELEMENTSOF(titles));
        for (size_t i = 0; i < ELEMENTSOF(titles); i++) {
                t.right[i] = i == 0 || (i >= 3 && i <= 6);
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        }
        for (size_t i = 0; i < l->n; i++) {
                const Action *a = &l->items[i];
                bool stopped = a->result.attempts > 0;
                Colour c = a->done <= DONE_REVERTED  ? COLOUR_GOOD
                           : a->done == DONE_CURRENT ? COLOUR_NONE
                                                     : COLOUR_BAD;

                table_cell(&t, COLOUR_NONE, "%d", a->process.pid);
                table_cell(&t, COLOUR_NONE, "%s", a->process.comm);
                table_cell(&t, c, "%s", done_text[a->done]);
                table_cell(&t, COLOUR_NONE, a->done <= DONE_REVERTED ? "%u" : "-", a->result.functions);
                table_cell(&t, COLOUR_NONE, "%s", stopped ? text_duration(arena, a->result.pause_usec) : "-");
                table_cell(&t, COLOUR_NONE, stopped ? "%u" : "-", a->result.threads);
                table_cell(&t, COLOUR_NONE, stopped ? "%u" : "-", a->result.attempts);
                table_cell(&t, COLOUR_NONE, "%s", action_reason(a, arena));
        }
        table_print(&t, stdout);
}

/* What to do about refusals, once a code. */
static void actions_advice(const ActionList *l) {
        bool said[REFUSAL_N] = { false };

        for (size_t i = 0; i < l->n; i++) {
                RefusalCode code = l->items[i].result.refusal;

                if (l->items[i].done != DONE_REFUSED || code >= REFUSAL_N || said[code])
                        continue;
                said[code] = true;
                printf("\n%s: %s\n", refusal_get(code)->code, refusal_get(code)->title);
                text_wrap(stdout, refusal_get(code)->remedy, 2);
        }
}

int actions_print(const ActionList *l, bool json) {
        int code = EXIT_DONE;

        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].done == DONE_ERROR)
                        code = EXIT_ERROR;
                else if (l->items[i].done == DONE_REFUSED && code == EXIT_DONE)
                        code = EXIT_REFUSED;
        progress_clear();
        if (json) {
                json_t *list = json_array();

                for (size_t i = 0; i < l->n; i++)
                        json_array_append_new(list, action_json(&l->items[i]));
                return json_print(json_pack("{s:o}", "processes", list)) == EXIT_DONE ? code : EXIT_ERROR;
        }
        if (l->n)
                actions_table(l);
        actions_advice(l);
        return code;
}

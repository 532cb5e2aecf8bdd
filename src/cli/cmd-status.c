/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/ask.h"
#include "cli/json.h"
#include "cli/running.h"
#include "cli/targets.h"
#include "cli/text.h"
#include "patch/digest.h"

#include <errno.h>
#include <string.h>
#include <time.h>

enum { ANSWER_SEC = 5 };

/* status tells what processes say of themselves; verify also judges it: exit code 3 for damage. */

static const char *state_text(PatchState s) {
        switch (s) {
        case PATCH_STATE_STAGED:
                return "staged";
        case PATCH_STATE_SWITCHING:
                return "switching";
        case PATCH_STATE_ACTIVE:
                return "active";
        case PATCH_STATE_REVERTED:
                return "reverted";
        }
        return "unknown";
}

static const char *way_back_text(WayBack w) {
        static const char *const text[] = { "unknown", "proved", "unproved" };

        return text[w];
}

/* An interrupted switch, or an active patch of which jumps are missing. */
static bool is_damaged(const ProcessPatch *p) {
        return p->state == PATCH_STATE_SWITCHING ||
               (p->state == PATCH_STATE_ACTIVE && p->sites_intact != p->sites);
}

static json_t *patch_json(const ProcessPatch *p) {
        json_t *j = json_object();

        json_object_set_new(j, "digest", json_digest(p->digest));
        json_object_set_new(j, "name", json_text(p->name));
        json_object_set_new(j, "old_build_id", json_build_id(&p->old_id));
        json_object_set_new(j, "new_build_id", json_build_id(&p->new_id));
        json_object_set_new(j, "state", json_text(state_text(p->state)));
        json_object_set_new(j, "sites", json_integer(p->sites));
        json_object_set_new(j, "sites_intact", json_integer(p->sites_intact));
        json_object_set_new(j, "time", json_integer((json_int_t)p->time_sec));
        json_object_set_new(j, "image_base", json_hex(p->image_base));
        json_object_set_new(j, "shadow_base", json_hex(p->shadow_base));
        json_object_set_new(j, "way_back", json_text(way_back_text(p->way_back)));
        json_object_set_new(j, "way_back_reason", json_text(p->way_back_why));
        json_object_set_new(j, "intact", json_boolean(!is_damaged(p)));
        return j;
}

static void add_rows(Table *t, const Process *p, const ProcessPatch *patches, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const ProcessPatch *q = &patches[i];
                char digest[2 * DIGEST_SIZE + 1], when[32] = "-";
                time_t sec = (time_t)q->time_sec;
                struct tm tm;

                if (sec && localtime_r(&sec, &tm))
                        strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
                digest_text(q->digest, digest);
                table_cell(t, COLOUR_NONE, "%d", p->pid);
                table_cell(t, COLOUR_NONE, "%s", p->comm);
                table_cell(t, COLOUR_NONE, "%s", p->unit[0] ? p->unit : "-");
                table_cell(t, COLOUR_NONE, "%s", q->name);
                table_cell(t,
                           is_damaged(q)                    ? COLOUR_BAD
                           : q->state == PATCH_STATE_ACTIVE ? COLOUR_GOOD
                                                            : COLOUR_NONE,
                           "%s", state_text(q->state));
                table_cell(t, is_damaged(q) ? COLOUR_BAD : COLOUR_NONE, "%u/%u", q->sites_intact, q->sites);
                table_cell(t, COLOUR_NONE, "%s", when);
                table_cell(t, q->way_back == WAY_BACK_PROVED ? COLOUR_NONE : COLOUR_WARN, "%s",
                           way_back_text(q->way_back));
                table_cell(t, COLOUR_DIM, "%.16s", digest);
        }
}

static void add_titles(Table *t) {
        static const char *const titles[] = { "PID",    "PROCESS", "UNIT",     "IMAGE", "STATE",
                                              "INTACT", "SINCE",   "WAY BACK", "DIGEST" };

        for (size_t i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(t, COLOUR_BOLD, "%s", titles[i]);
}

typedef struct Sums {
        size_t processes, patches, damaged, hidden, errors;
} Sums;

/* Looks at all of them; a named process without patches is listed, another is not. */
static void collect(const ProcessList *targets, const Options *o, Table *t, json_t *list, Sums *sums) {
        for (size_t i = 0; i < targets->n; i++) {
                const Process *p = &targets->items[i];
                _cleanup_(freep) ProcessPatch *patches = NULL;
                json_t *of_process;
                size_t n = 0;
                Error e = { 0 };
                int r;

                progress("%d %s (%zu of %zu)", p->pid, p->comm, i + 1, targets->n);
                r = process_exists(p) ? engine_status(p->pid, &patches, &n, &e)
                                      : error_set(&e, -ESRCH, "there is no process %d", p->pid);
                if (r < 0 && !o->pids.n && (r == -ESRCH || r == -EACCES || r == -EPERM)) {
                        sums->hidden += r != -ESRCH;
                        continue;
                }
                if (r < 0) {
                        sums->errors++;
                        report_error(&e);
                        continue;
                }
                if (!n && !o->pids.n)
                        continue;
                sums->processes++;
                sums->patches += n;
                add_rows(t, p, patches, n);
                of_process = json_array();
                for (size_t k = 0; k < n; k++) {
                        sums->damaged += is_damaged(&patches[k]);
                        json_array_append_new(of_process, patch_json(&patches[k]));
                }
                json_array_append_new(list, json_pack("{s:i, s:o, s:o, s:o}", "pid", (int)p->pid, "comm",
                                                      json_text(p->comm), "unit", json_text(p->unit),
                                                      "patches", of_process));
        }
        progress_clear();
}

/* Others than root are told of no round. */
static json_t *now_runs(const Options *o, Arena *arena, const char **text) {
        const char *runtime = o->runtime ? o->runtime : RUNTIME_DIR;
        json_t *agent = NULL, *round;
        Running running;

        agent_ask(arena_printf(arena, "%s/control", runtime), "status", ANSWER_SEC, &agent, NULL);
        running_find(agent, arena_printf(arena, "%s/lock", runtime), &running);
        *text = running_text(arena, &running);
        round = running_json(&running);
        json_decref(agent);
        return round;
}

static int look(const Options *o, bool judge) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        ProcessList targets = { 0 };
        json_t *list = json_array(), *round = NULL;
        const char *running = NULL;
        Sums sums = { 0 };
        Error e = { 0 };
        int code;
        Table t;

        if (process_select(o->pids.items, o->pids.n, &targets, &e) < 0) {
                json_decref(list);
                return report_error(&e);
        }
        if (!judge)
                round = now_runs(o, arena, &running);
        table_init(&t, arena, 9);
        t.right[0] = t.right[5] = true;
        add_titles(&t);
        collect(&targets, o, &t, list, &sums);
        process_list_free(&targets);
        code = sums.errors ? EXIT_ERROR : judge && sums.damaged ? EXIT_REFUSED : EXIT_DONE;
        code = targets_hidden(sums.hidden, code);
        if (o->json)
                return json_print(json_pack("{s:o, s:o*}", "processes", list, "round", round)) == EXIT_DONE
                               ? code
                               : EXIT_ERROR;
        json_decref(list);
        json_decref(round);
        if (sums.patches)
                table_print(&t, stdout);
        else if (!sums.errors)
                puts(o->pids.n ? "The processes carry no patch." : "No process carries a patch.");
        if (running)
                printf("\nRight now %s.\n", running);
        if (judge && sums.patches) {
                if (sums.damaged)
                        printf("\nDamaged: %zu of %zu. Not every replaced function leads to its "
                               "new code. Revert "
                               "them, or restart the processes.\n",
                               sums.damaged, sums.patches);
                else
                        printf("\n%zu patch%s in %zu process%s, all intact.\n", sums.patches,
                               plural_es(sums.patches), sums.processes, plural_es(sums.processes));
        }
        return code;
}

static int run_status(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, TAKES_JSON | TAKES_PIDS | TAKES_RUNTIME, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "there is nothing to name but processes: --pid PID");
        return look(&o, false);
}

static int run_verify(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, TAKES_JSON | TAKES_PIDS | TAKES_ALL, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "there is nothing to name but processes: --pid PID");
        return look(&o, true);
}

const Command command_status = {
        .name = "status",
        .arguments = "[--pid PID...]",
        .summary = "Lists which processes carry which patches, from the processes themselves",
        .help = "To root it also tells of a round that runs right now: the agent's, or one by hand.\n\n"
                "      --pid PID       this process (repeatable, or PID,PID,...); default: all\n"
                "      --runtime DIR   the agent's sockets and lock (default " RUNTIME_DIR ")\n"
                "      --json          print JSON\n"
                "  -h, --help          this text\n",
        .run = run_status,
};

const Command command_verify = {
        .name = "verify",
        .arguments = "(--pid PID... | --all)",
        .summary = "Reads patched processes back and checks that every patch is whole",
        .help = "      --pid PID       this process (repeatable, or PID,PID,...)\n"
                "      --all           every process that carries a patch\n"
                "      --json          print JSON\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 all intact, 3 damage was found, 1 error, 2 usage.\n",
        .run = run_verify,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/baseline.h"
#include "cli/json.h"
#include "cli/schedule.h"
#include "cli/text.h"
#include "store/baseline.h"
#include "store/change.h"
#include "store/store.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* history, list and release: what the agent's state says. */

enum { DIGEST_PART = 8 }; /* digits: what is shorter is a baseline's number */

typedef struct Output {
        json_t *json; /* the array that grows; NULL: a table */
        Table table;
        Arena *arena;
        const Schedule *schedule; /* list: when what waits is restarted */
        size_t n;
} Output;

static const char *local_time(Arena *a, uint64_t usec) {
        time_t sec = (time_t)(usec / 1000000);
        struct tm tm;
        char text[64];

        localtime_r(&sec, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S%z", &tm);
        return arena_strdup(a, text);
}

static json_t *utc_time(uint64_t usec) {
        time_t sec = (time_t)(usec / 1000000);
        struct tm tm;
        char text[64];

        gmtime_r(&sec, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        return json_string(text);
}

static void begin_table(Output *out, const char *const *titles, size_t n) {
        table_init(&out->table, out->arena, n);
        for (size_t i = 0; i < n; i++)
                table_cell(&out->table, COLOUR_BOLD, "%s", titles[i]);
}

static void add_action(void *data, const StoreAction *a) {
        Output *out = data;
        bool good = strcmp(a->outcome, "patched") == 0 || strcmp(a->outcome, "reverted") == 0 ||
                    strcmp(a->outcome, "restarted") == 0;

        out->n++;
        if (out->json) {
                json_array_append_new(
                        out->json,
                        json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I}",
                                  "time", utc_time(a->time_usec), "pid", a->pid, "comm", json_text(a->comm),
                                  "unit", json_text(a->unit), "image", json_text(a->image), "old_build_id",
                                  json_text(a->old_id), "new_build_id", json_text(a->new_id), "digest",
                                  json_text(a->digest), "action", json_text(a->action), "outcome",
                                  json_text(a->outcome), "reason", json_text(a->reason), "detail",
                                  json_text(a->detail), "functions", (json_int_t)a->functions, "pause_usec",
                                  (json_int_t)a->pause_usec));
                return;
        }
        table_cell(&out->table, COLOUR_NONE, "%s", local_time(out->arena, a->time_usec));
        table_cell(&out->table, COLOUR_NONE, "%s", a->pid ? arena_printf(out->arena, "%d", a->pid) : "-");
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, *a->unit ? a->unit : a->comm));
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, a->image));
        table_cell(&out->table, good ? COLOUR_GOOD : COLOUR_BAD, "%s", arena_strdup(out->arena, a->outcome));
        table_cell(&out->table, COLOUR_NONE, "%.12s", *a->digest ? a->digest : "-");
        table_cell(&out->table, COLOUR_NONE, "%s",
                   arena_printf(out->arena, "%s%s%s", a->reason, *a->reason && *a->detail ? ": " : "",
                                a->detail));
}

/* A baseline, in a table of its own below the actions. */
static void add_baseline(void *data, const StoreBaseline *b) {
        Output *out = data;
        bool good = strcmp(b->state, "done") == 0;

        out->n++;
        if (out->json) {
                json_array_append_new(
                        out->json, json_pack("{s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)b->id, "time",
                                             utc_time(b->since_usec), "changed", utc_time(b->changed_usec),
                                             "state", json_text(b->state), "reason", json_text(b->reason)));
                return;
        }
        table_cell(&out->table, COLOUR_NONE, "%lld", (long long)b->id);
        table_cell(&out->table, COLOUR_NONE, "%s", local_time(out->arena, b->since_usec));
        table_cell(&out->table, good ? COLOUR_GOOD : COLOUR_WARN, "%s", arena_strdup(out->arena, b->state));
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, b->reason));
}

static int show_baselines(Store *store, Output *out, Error *e) {
        static const char *const titles[] = { "BASELINE", "TIME", "STATE", "REASON" };
        size_t before = out->n;
        int r;

        if (!out->json)
                begin_table(out, titles, ELEMENTSOF(titles));
        r = store_each_baseline(store, add_baseline, out, e);
        if (r == 0 && !out->json && out->n > before) {
                if (before)
                        putchar('\n');
                table_print(&out->table, stdout);
        }
        return r;
}

/* Opens the state for reading; the exit code, or negative: go on. */
static int open_state(const Options *o, Store **store) {
        const char *dir = o->state ? o->state : STATE_DIR;
        Error e = { 0 };
        int r = store_open_read(dir, store, &e);

        if (r == 0)
                return -1;
        if (r == -ENOENT)
                error_set(&e, r, "%s: the agent has not run here yet", dir);
        return report_error(&e);
}

static int run_history(const Command *self, int argc, char **argv) {
        static const char *const titles[] = { "TIME",    "PID",   "UNIT OR PROCESS", "IMAGE",
                                              "OUTCOME", "PATCH", "REASON" };
        _cleanup_(options_free) Options o;
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Output out = { .arena = arena };
        Error e = { 0 };
        int code = options_read(&o, self, TAKES_JSON | TAKES_STATE | TAKES_QUERY, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        code = open_state(&o, &store);
        if (code >= 0)
                return code;
        if (o.json)
                out.json = json_array();
        else
                begin_table(&out, titles, ELEMENTSOF(titles));
        if (store_each_action(store, &(StoreActionQuery){ .unit = o.unit, .since_usec = o.since_usec },
                              add_action, &out, &e) < 0) {
                json_decref(out.json);
                return report_error(&e);
        }
        if (o.json) {
                json_t *actions = out.json;

                out.json = json_array();
                if (show_baselines(store, &out, &e) < 0) {
                        json_decref(actions);
                        json_decref(out.json);
                        return report_error(&e);
                }
                return json_print(json_pack("{s:o, s:o}", "actions", actions, "baselines", out.json));
        }
        if (out.n)
                table_print(&out.table, stdout);
        if (show_baselines(store, &out, &e) < 0)
                return report_error(&e);
        if (!out.n)
                puts("Nothing was done yet.");
        return EXIT_DONE;
}

static json_t *when_json(const Output *out, const char *subject, const char **window) {
        const RestartStep *step = schedule_step(out->schedule, subject);
        WindowSpan span;
        const Window *w = step && step->obstacle
                                  ? NULL
                                  : schedule_next(&out->schedule->policy, out->schedule->now, subject, &span);

        *window = w ? w->name : "";
        return w ? json_time((uint64_t)span.start * 1000000) : json_null();
}

/* A list of the words of a text. */
static json_t *words(const char *text) {
        json_t *list = json_array();
        size_t n;

        for (; *text; text += n + (text[n] == ' ')) {
                n = strcspn(text, " ");
                json_array_append_new(list, json_stringn(text, n));
        }
        return list;
}

static void add_restart(void *data, const StoreRestart *r) {
        const RestartStep *step;
        const char *window;
        json_t *when;
        Output *out = data;

        out->n++;
        step = schedule_step(out->schedule, r->subject);
        if (out->json) {
                when = when_json(out, r->subject, &window);
                json_array_append_new(
                        out->json,
                        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:i, s:o, s:o, s:o, s:o}",
                                  "subject", json_text(r->subject), "image", json_text(r->image),
                                  "new_build_id", json_text(r->new_id), "reason", json_text(r->reason),
                                  "detail", json_text(r->detail), "packages", words(r->package), "cves",
                                  words(r->cves), "cves_omitted", (json_int_t)r->omitted, "since",
                                  utc_time(r->since_usec), "attempts", (int)r->attempts, "last_result",
                                  json_text(r->last_result), "when", when, "window",
                                  *window ? json_text(window) : json_null(), "obstacle",
                                  step && step->obstacle ? json_text(step->obstacle) : json_null()));
                return;
        }
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, r->subject));
        table_cell(&out->table, COLOUR_WARN, "restart");
        table_cell(&out->table, COLOUR_NONE, "%s",
                   arena_strdup(out->arena, *r->image ? r->image : r->package));
        table_cell(&out->table, COLOUR_NONE, "%s", local_time(out->arena, r->since_usec));
        table_cell(&out->table, COLOUR_NONE, "%s", schedule_when(out->schedule, r->subject, out->arena));
        table_cell(&out->table, COLOUR_NONE, "%s", arena_printf(out->arena, "%s: %s", r->reason, r->detail));
}

static void add_quarantine(void *data, const StoreQuarantine *q) {
        Output *out = data;

        out->n++;
        if (out->json) {
                json_array_append_new(out->json,
                                      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b}", "digest",
                                                json_text(q->digest), "image", json_text(q->image),
                                                "old_build_id", json_text(q->old_id), "new_build_id",
                                                json_text(q->new_id), "reason", json_text(q->reason), "since",
                                                utc_time(q->since_usec), "by_hand", q->by_hand));
                return;
        }
        table_cell(&out->table, COLOUR_NONE, "%.16s", q->digest);
        table_cell(&out->table, COLOUR_BAD, q->by_hand ? "held" : "quarantined");
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, q->image));
        table_cell(&out->table, COLOUR_NONE, "%s", local_time(out->arena, q->since_usec));
        table_cell(&out->table, COLOUR_NONE, "-");
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, q->reason));
}

static void add_held(void *data, const StoreHeld *h) {
        Output *out = data;

        out->n++;
        if (out->json) {
                json_array_append_new(
                        out->json, json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "package", json_text(h->name),
                                             "arch", json_text(h->arch), "version", json_text(h->version),
                                             "baseline", (json_int_t)h->baseline, "reason",
                                             json_text(h->reason), "since", utc_time(h->since_usec)));
                return;
        }
        table_cell(&out->table, COLOUR_NONE, "baseline %lld", (long long)h->baseline);
        table_cell(&out->table, COLOUR_BAD, "held");
        table_cell(&out->table, COLOUR_NONE, "%s", arena_printf(out->arena, "%s %s", h->name, h->version));
        table_cell(&out->table, COLOUR_NONE, "%s", local_time(out->arena, h->since_usec));
        table_cell(&out->table, COLOUR_NONE, "-");
        table_cell(&out->table, COLOUR_NONE, "%s", arena_strdup(out->arena, h->reason));
}

static int run_list(const Command *self, int argc, char **argv) {
        static const char *const titles[] = { "UNIT OR PATCH", "STATE",    "IMAGE OR PACKAGE",
                                              "SINCE",         "RESTARTS", "REASON" };
        _cleanup_(options_free) Options o;
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Output out = { .arena = arena };
        json_t *restarts, *quarantine;
        Schedule schedule = { 0 };
        Error e = { 0 };
        int r, code = options_read(&o, self, TAKES_JSON | TAKES_STATE | TAKES_CONFIG, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        code = open_state(&o, &store);
        if (code >= 0)
                return code;
        if (schedule_open(o.config, store, &schedule, &e) < 0) {
                /* What waits is shown all the same, without when. */
                schedule.alone = "";
                report_error(&e);
                e = (Error){ 0 };
        }
        out.schedule = &schedule;
        restarts = out.json = o.json ? json_array() : NULL;
        if (!o.json)
                begin_table(&out, titles, ELEMENTSOF(titles));
        r = store_each_restart(store, add_restart, &out, &e);
        quarantine = out.json = o.json ? json_array() : NULL;
        if (r == 0)
                r = store_each_quarantine(store, add_quarantine, &out, &e);
        out.json = o.json ? json_array() : NULL;
        if (r == 0)
                r = store_each_held(store, add_held, &out, &e);
        schedule_close(&schedule);
        if (r < 0) {
                json_decref(restarts);
                json_decref(quarantine);
                json_decref(out.json);
                return report_error(&e);
        }
        if (o.json) {
                code = json_print(json_pack("{s:o, s:o, s:o}", "restarts", restarts, "quarantine", quarantine,
                                            "held", out.json));
                return code == EXIT_DONE && out.n ? EXIT_REFUSED : code;
        }
        if (out.n)
                table_print(&out.table, stdout);
        else
                puts("Nothing waits for a restart, and nothing is in quarantine or held.");
        return out.n ? EXIT_REFUSED : EXIT_DONE;
}

/* The versions of a baseline that was rolled back. */
static int release_baseline(const Options *o, int64_t id) {
        _cleanup_(baseline_cli_end) BaselineCli c = { 0 };
        unsigned n = 0;
        Error e = { 0 };
        int code = baseline_cli_begin(&c, o);

        if (code >= 0)
                return code;
        if (baseline_release(&c.baseline, id, &n, &e) < 0)
                return report_error(&e);
        if (!n) {
                fprintf(stderr,
                        "staunch: no version is held for baseline %lld; 'staunch list' shows what is\n",
                        (long long)id);
                return EXIT_ERROR;
        }
        printf("Released: %u version%s may be installed and brought into force again.\n", n, plural(n));
        return EXIT_DONE;
}

static int run_release(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(store_closep) Store *store = NULL;
        unsigned n = 0;
        int64_t baseline;
        Error e = { 0 };
        int code = options_read(&o, self, TAKES_STATE | TAKES_ROOT | TAKES_CONFIG, argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind != 1)
                return usage_error(self, "which patch, or which baseline? 'staunch list' shows what is held");
        code = open_state(&o, &store);
        if (code >= 0)
                return code;
        if (strlen(argv[optind]) < DIGEST_PART && baseline_cli_number(argv[optind], &baseline)) {
                store = store_close(store);
                return release_baseline(&o, baseline);
        }
        store = store_close(store);
        if (store_open(o.state ? o.state : STATE_DIR, &store, &e) < 0 ||
            store_release(store, argv[optind], &n, &e) < 0)
                return report_error(&e);
        if (!n) {
                fprintf(stderr,
                        "staunch: no patch that is in quarantine or held has the digest '%s'; 'staunch list' "
                        "shows them\n",
                        argv[optind]);
                return EXIT_ERROR;
        }
        puts("Released: it is applied again at the next round ('staunch converge' makes one now).");
        return EXIT_DONE;
}

const Command command_history = {
        .name = "history",
        .arguments = "[OPTION]...",
        .summary = "Prints what was done to which process, and baselines, oldest first",
        .help = "      --since WHEN    not older: 90s, 30min, 2h, 7d, today, yesterday, 2026-01-31\n"
                "      --unit UNIT     only this systemd unit\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0, 1 error, 2 usage.\n",
        .run = run_history,
};
const Command command_list = {
        .name = "list",
        .arguments = "[OPTION]...",
        .summary = "Lists what waits for a restart, is in quarantine, or is held",
        .help = "      --config FILE   policy, for when it is restarted (default " POLICY_FILE ")\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 there is nothing, 3 there is something, 1 error, 2 usage.\n",
        .run = run_list,
};
const Command command_release = {
        .name = "release",
        .arguments = "DIGEST|BASELINE",
        .summary = "Lets the agent apply a patch again that is in quarantine or held, or versions that were "
                   "rolled back",
        .help = "DIGEST is the patch's, or its first digits (at least 8): 'staunch list' shows it.\n"
                "BASELINE is the number of one that was rolled back: its versions may be tried again.\n\n"
                "      --config FILE   the policy (default " POLICY_FILE ")\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "      --root DIR      the root file system (default /)\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 released, 1 error, 2 usage.\n",
        .run = run_release,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/baseline.h"
#include "cli/json.h"
#include "cli/text.h"
#include "deliver/baseline-changes.h"
#include "snapshot/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is known of the baseline that is to be undone. */
typedef struct Target {
        int64_t id;
        bool last, unfinished;
        BaselineState state;
        uint64_t since_usec;
        Arena *arena;
        const char *reason;
        json_t *units;
        const char *unit_names;
} Target;

static bool can_go_back(BaselineState s) {
        return s == BASELINE_RESTARTING || s == BASELINE_SETTLING || s == BASELINE_DONE ||
               s == BASELINE_FAILED || s == BASELINE_ROLLING_BACK || s == BASELINE_REBOOTING ||
               s == BASELINE_ROLLBACK_FAILED;
}

static void find_baseline(void *data, const StoreBaseline *b) {
        BaselineState s = baseline_state(b->state);
        Target *t = data;

        if (t->last ? !can_go_back(s) : b->id != t->id)
                return;
        t->id = b->id;
        t->state = s;
        t->since_usec = b->since_usec;
        t->reason = arena_strdup(t->arena, b->reason);
}

static void add_unit(void *data, const StoreStep *p) {
        Target *t = data;

        if (strcmp(p->phase, "forward") != 0)
                return;
        json_array_append_new(t->units, json_text(p->unit));
        t->unit_names = arena_printf(t->arena, "%s%s%s", t->unit_names, *t->unit_names ? ", " : "", p->unit);
}

static int find(const BaselineCli *c, Store *store, Target *t, Error *e) {
        int r = store_each_baseline(store, find_baseline, t, e);

        (void)c;
        if (r == 0 && !t->since_usec)
                r = t->last ? error_set(e, -ENOENT,
                                        "there is no baseline that could be rolled back; 'staunch history' "
                                        "shows all")
                            : error_set(e, -ENOENT,
                                        "there is no baseline %" PRId64 "; 'staunch history' shows all",
                                        t->id);
        if (r == 0 && !can_go_back(t->state))
                r = error_set(e, -EINVAL, "baseline %" PRId64 " is %s: there is nothing to go back from",
                              t->id, baseline_state_text(t->state));
        return r < 0 ? r : store_each_step(store, t->id, add_unit, t, e);
}

static json_t *packages_json(const Restore *plan) {
        json_t *j = json_array();

        for (size_t i = 0; i < plan->n; i++) {
                const RestorePackage *p = &plan->packages[i];

                json_array_append_new(j, json_pack("{s:o, s:o, s:o, s:o, s:b}", "name", json_text(p->name),
                                                   "arch", json_text(p->arch), "from", json_text(p->from),
                                                   "to", p->version[0] ? json_text(p->version) : json_null(),
                                                   "done", p->done));
        }
        return j;
}

static void show(const Target *t, const Restore *plan, const char *snapshot) {
        _cleanup_(arena_freep) Arena *a = arena_new();
        char time[TEXT_TIME];
        Table table;

        printf("Baseline %" PRId64 " of %s, %s%s%s\n", t->id, text_time(t->since_usec, time),
               baseline_state_text(t->state), *t->reason ? ": " : "", text_safe(a, t->reason));
        if (snapshot) {
                printf("  the root file system goes back to %s, with all data that was written to it since,\n"
                       "  and after a reboot\n",
                       text_safe(a, snapshot));
                return;
        }
        table_init(&table, a, 4);
        for (size_t i = 0; i < plan->n; i++) {
                const RestorePackage *p = &plan->packages[i];

                table_cell(&table, COLOUR_NONE, "  %s:%s", p->name, p->arch);
                table_cell(&table, COLOUR_NONE, "%s", p->from[0] ? p->from : "not installed");
                table_cell(&table, COLOUR_NONE, "→");
                table_cell(&table, p->done ? COLOUR_GOOD : COLOUR_WARN, "%s%s",
                           p->version[0] ? p->version : "removed", p->done ? " (already)" : "");
        }
        table_print(&table, stdout);
        printf("Restarted afterwards: %s\n"
               "Data, and configuration files that were changed, stay as they are.\n",
               *t->unit_names ? text_safe(a, t->unit_names) : "nothing");
}

/* 0: yes. Otherwise the exit code to end with. */
static int confirm(const Command *self) {
        char line[16] = "";

        if (!isatty(STDIN_FILENO))
                return usage_error(self, "--yes is needed where nobody can be asked");
        fputs("Go back? [y/N] ", stdout);
        fflush(stdout);
        if (!fgets(line, sizeof(line), stdin) || (line[0] != 'y' && line[0] != 'Y')) {
                puts("Nothing was changed.");
                return EXIT_REFUSED;
        }
        return 0;
}

static int outcome(const Options *o, int64_t id, int r, const Error *e) {
        const char *text = r == BASELINE_WENT_BACK ? "rolled-back"
                           : r == BASELINE_REBOOTS ? "rebooting"
                                                   : "rollback-failed";

        if (r < 0)
                return report_error(e);
        if (o->json) {
                int code = json_print(json_pack("{s:I, s:s, s:o}", "baseline", (json_int_t)id, "state", text,
                                                "reason", json_text(e->text)));

                return code != EXIT_DONE ? code : r == BASELINE_WENT_WRONG ? EXIT_REFUSED : EXIT_DONE;
        }
        if (r == BASELINE_WENT_WRONG) {
                report_error(e);
                return EXIT_REFUSED;
        }
        text_put(stdout, e->text);
        puts(r == BASELINE_REBOOTS ? "\nReboot the machine now." : "");
        printf("The new versions are held until 'staunch release %" PRId64 "', or newer ones.\n", id);
        return EXIT_DONE;
}

/* Shows what would be done, or (after a question) does it. */
static int go_back(const Command *self, const BaselineCli *c, const Options *o, Target *t, Store *store) {
        SnapshotContext context = baseline_cli_snapshots(c);
        bool packages = snapshot_wants_packages(context.policy);
        char snapshot[SNAPSHOT_HANDLE + 40] = "";
        FoundSnapshot found;
        Restore plan = { 0 };
        Error e = { 0 };
        int code = 0, r = find(c, store, t, &e);

        if (r == 0 && packages)
                r = restore_plan(&context, store, t->id, 0, &plan, &e);
        else if (r == 0)
                r = changes_snapshot(store, t->id, snapshot_kind_text(context.policy->kind), &found, &e);
        if (r == 0 && packages)
                r = restore_verify(&plan, &e);
        if (r < 0) {
                restore_free(&plan);
                store_close(store);
                return report_error(&e);
        }
        if (!packages)
                snprintf(snapshot, sizeof(snapshot), "%s (%s)", found.made.handle, found.provider);
        if (o->json && o->dry_run)
                code = json_print(json_pack("{s:I, s:s, s:O, s:o, s:o}", "baseline", (json_int_t)t->id,
                                            "state", baseline_state_text(t->state), "units", t->units,
                                            "packages", packages_json(&plan), "snapshot",
                                            packages ? json_null() : json_text(snapshot)));
        else if (!o->json)
                show(t, &plan, packages ? NULL : snapshot);
        restore_free(&plan);
        store_close(store);
        if (o->dry_run)
                return code;
        if (!o->yes)
                code = confirm(self);
        if (code)
                return code;
        r = baseline_rollback(&c->baseline, t->id, "asked for by 'staunch rollback'", &e);
        return outcome(o, t->id, r, &e);
}

/* One that failed is not unfinished, and may be what was meant. */
static void say_nothing_unfinished(const BaselineCli *c) {
        _cleanup_(arena_freep) Arena *arena = arena_new();
        _cleanup_(store_closep) Store *store = NULL;
        Target t = { .last = true, .arena = arena };
        bool failed = store_open_read(c->baseline.state, &store, NULL) == 0 &&
                      store_each_baseline(store, find_baseline, &t, NULL) == 0 && t.since_usec &&
                      (t.state == BASELINE_FAILED || t.state == BASELINE_ROLLBACK_FAILED);

        puts("No baseline is unfinished.");
        if (failed)
                printf("Baseline %" PRId64 " is %s: 'staunch rollback --last' tries again.\n", t.id,
                       baseline_state_text(t.state));
}

static int resume(const BaselineCli *c, const Options *o) {
        Error e = { 0 };
        int r = baseline_resume(&c->baseline, &e);

        if (r < 0)
                return report_error(&e);
        if (o->json) {
                int code = json_print(json_pack("{s:o}", "reason", json_text(e.text)));

                if (code != EXIT_DONE)
                        return code;
        } else if (r) {
                report_error(&e);
        } else {
                say_nothing_unfinished(c);
        }
        return r == BASELINE_WENT_WRONG ? EXIT_REFUSED : EXIT_DONE;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(baseline_cli_end) BaselineCli c = { 0 };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Target t = { .arena = arena, .reason = "", .unit_names = "" };
        Store *store = NULL;
        Error e = { 0 };
        int code = options_read(
                &o, self, TAKES_JSON | TAKES_STATE | TAKES_ROOT | TAKES_CONFIG | TAKES_ROLLBACK, argc, argv);

        if (code >= 0)
                return code;
        t.last = o.last;
        if ((argc - optind != 0) + o.last + o.resume != 1 || argc - optind > 1)
                return usage_error(self,
                                   "which baseline? its number, or --last; 'staunch history' shows them");
        if (o.json && !o.yes && !o.dry_run && !o.resume)
                return usage_error(self, "--json asks nobody: it takes --yes, or --dry-run");
        if (argc != optind && !baseline_cli_number(argv[optind], &t.id))
                return usage_error(self, "'%s' is no baseline's number", argv[optind]);
        code = baseline_cli_begin(&c, &o);
        if (code >= 0)
                return code;
        if (o.resume)
                return resume(&c, &o);
        code = store_open_read(c.baseline.state, &store, &e);
        if (code == -ENOENT)
                error_set(&e, code, "%s: there is no state yet, and so no baseline", c.baseline.state);
        if (code < 0)
                return report_error(&e);
        t.units = json_array();
        code = go_back(self, &c, &o, &t, store);
        json_decref(t.units);
        return code;
}

const Command command_rollback = {
        .name = "rollback",
        .arguments = "BASELINE|--last|--resume [OPTION]...",
        .summary = "Goes back to the versions from before a baseline",
        .help = "BASELINE is its number: 'staunch history' shows them.\n\n"
                "      --last          the newest that can be rolled back\n"
                "      --resume        go on with one that was cut off\n"
                "      --dry-run       only show what would be done, after all of it was verified\n"
                "      --yes           do not ask\n"
                "      --config FILE   the policy (default " POLICY_FILE ")\n"
                "      --state DIR     the agent's state (default /var/lib/staunch)\n"
                "      --root DIR      the root file system (default /)\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 done, 3 refused, or the rollback failed, 1 error, 2 usage.\n",
        .run = run,
};

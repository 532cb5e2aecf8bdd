/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "base/vec.h"
#include "cli/baseline.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/text.h"
#include "snapshot/retain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Packages {
        size_t n;
        uint64_t bytes;
        const char *names; /* the first few, with what becomes of them */
} Packages;

typedef struct Output {
        Arena *arena;
        Store *store;
        json_t *changes, *snapshots; /* NULL: a table */
        Table table;
        VEC(StoreSnapshot) all;
        Packages now;
        json_t *packages;
        size_t n;
} Output;

enum { SHOWN = 3 };

static void keep_snapshot(void *data, const StoreSnapshot *a) {
        Output *o = data;
        StoreSnapshot mine = *a;

        mine.provider = arena_strdup(o->arena, a->provider);
        mine.handle = arena_strdup(o->arena, a->handle);
        mine.mark = arena_strdup(o->arena, a->mark);
        mine.state = arena_strdup(o->arena, a->state);
        mine.reason = arena_strdup(o->arena, a->reason);
        vec_push(&o->all, mine);
}

static void add_package(void *data, const StorePackage *p) {
        Output *o = data;
        const char *from = p->old_version[0] ? p->old_version : "new",
                   *to = p->new_version[0] ? p->new_version : "removed";

        if (o->packages)
                json_array_append_new(o->packages,
                                      json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "name", json_text(p->name),
                                                "arch", json_text(p->arch), "old_version",
                                                json_text(p->old_version), "new_version",
                                                json_text(p->new_version), "copy",
                                                p->origin[0] ? json_text(p->origin) : json_null(), "bytes",
                                                (json_int_t)p->bytes));
        if (o->now.n < SHOWN)
                o->now.names = arena_printf(o->arena, "%s%s%s %s → %s", o->now.n ? o->now.names : "",
                                            o->now.n ? ", " : "", p->name, from, to);
        o->now.n++;
        o->now.bytes += p->bytes;
}

static void add_change(void *data, const StoreChange *c) {
        Output *o = data;
        const char *snapshots = "";
        char time[TEXT_TIME];

        o->now = (Packages){ .names = "" };
        o->packages = o->changes ? json_array() : NULL;
        if (store_each_package(o->store, c->id, add_package, o, NULL) < 0)
                return;
        o->n++;
        if (o->changes) {
                json_array_append_new(o->changes,
                                      json_pack("{s:I, s:o, s:o, s:b, s:o, s:o}", "id", (json_int_t)c->id,
                                                "time", json_time(c->time_usec), "baseline",
                                                c->baseline ? json_integer(c->baseline) : json_null(),
                                                "complete", c->complete, "reason", json_text(c->reason),
                                                "packages", o->packages));
                return;
        }
        for (size_t i = 0; i < o->all.n; i++)
                if (o->all.items[i].change == c->id)
                        snapshots = arena_printf(o->arena, "%s s%" PRId64, o->all.items[i].provider,
                                                 o->all.items[i].id);
        table_cell(&o->table, COLOUR_NONE, "%" PRId64, c->id);
        table_cell(&o->table, COLOUR_NONE, "%s", arena_strdup(o->arena, text_time(c->time_usec, time)));
        table_cell(&o->table, c->complete ? COLOUR_GOOD : COLOUR_WARN, "%s",
                   c->complete ? arena_printf(o->arena, "complete, %.1f MiB", (double)o->now.bytes / 1048576)
                               : "incomplete");
        table_cell(&o->table, COLOUR_NONE, "%s", *snapshots ? snapshots : "-");
        table_cell(&o->table, COLOUR_NONE, "%s",
                   c->baseline ? arena_printf(o->arena, "%" PRId64, c->baseline) : "-");
        table_cell(&o->table, COLOUR_NONE, "%s",
                   arena_printf(o->arena, "%s%s%s%s", o->now.names,
                                o->now.n > SHOWN ? arena_printf(o->arena, " and %zu more", o->now.n - SHOWN)
                                                 : "",
                                c->complete ? "" : "; ", c->complete ? "" : c->reason));
}

static void add_by_hand(Output *o) {
        char time[TEXT_TIME];

        for (size_t i = 0; i < o->all.n; i++) {
                const StoreSnapshot *a = &o->all.items[i];

                if (o->snapshots)
                        json_array_append_new(o->snapshots,
                                              json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
                                                        (json_int_t)a->id, "time", json_time(a->time_usec),
                                                        "provider", json_text(a->provider), "name",
                                                        json_text(a->handle), "state", json_text(a->state),
                                                        "reason", json_text(a->reason), "change",
                                                        a->change ? json_integer(a->change) : json_null()));
                if (o->snapshots || a->change)
                        continue;
                o->n++;
                table_cell(&o->table, COLOUR_NONE, "-");
                table_cell(&o->table, COLOUR_NONE, "%s",
                           arena_strdup(o->arena, text_time(a->time_usec, time)));
                table_cell(&o->table, strcmp(a->state, "ready") == 0 ? COLOUR_GOOD : COLOUR_WARN, "%s",
                           a->state);
                table_cell(&o->table, COLOUR_NONE, "%s",
                           arena_printf(o->arena, "%s s%" PRId64, a->provider, a->id));
                table_cell(&o->table, COLOUR_NONE, "-");
                table_cell(&o->table, COLOUR_NONE, "%s", *a->reason ? a->reason : "by hand");
        }
}

static int list(BaselineCli *c, const Options *options) {
        static const char *const titles[] = {
                "CHANGE", "TIME", "WAY BACK", "SNAPSHOT", "BASELINE", "PACKAGES"
        };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Output o = { .arena = arena };
        Error e = { 0 };
        int r, code = EXIT_DONE;

        r = store_open_read(c->baseline.state, &o.store, &e);
        if (r == -ENOENT)
                error_set(&e, r, "%s: there is no state yet", c->baseline.state);
        if (r == 0)
                r = store_each_snapshot(o.store, keep_snapshot, &o, &e);
        if (options->json) {
                o.changes = json_array();
                o.snapshots = json_array();
        } else {
                table_init(&o.table, arena, ELEMENTSOF(titles));
                for (size_t i = 0; i < ELEMENTSOF(titles); i++)
                        table_cell(&o.table, COLOUR_BOLD, "%s", titles[i]);
        }
        if (r == 0)
                r = store_each_change(o.store, add_change, &o, &e);
        if (r == 0)
                add_by_hand(&o);
        store_close(o.store);
        vec_free(&o.all);
        if (r < 0) {
                json_decref(o.changes);
                json_decref(o.snapshots);
                return report_error(&e);
        }
        if (options->json)
                return json_print(json_pack("{s:o, s:o}", "changes", o.changes, "snapshots", o.snapshots));
        if (o.n)
                table_print(&o.table, stdout);
        else
                puts("No change of packages was noted yet, and no snapshot taken.");
        return code;
}

static int take(BaselineCli *c, const Options *options) {
        SnapshotContext context = baseline_cli_snapshots(c);
        _cleanup_(store_closep) Store *store = NULL;
        const SnapshotProvider *p = NULL;
        int64_t id = 0;
        Error e = { 0 };
        int r = snapshot_choose(&context, &p, &e);

        if (r == 0 && !p)
                r = error_set(&e, -ENOTSUP,
                              "the policy wants no snapshot of a file system (copies of packages are made "
                              "before each change)");
        if (r > 0)
                r = error_prefix(&e, "no snapshot can be taken here");
        if (r == 0)
                r = store_open(c->baseline.state, &store, &e);
        if (r >= 0)
                r = snapshot_room(&context, p, &e);
        if (r >= 0)
                r = snapshot_take(&context, p, store, 0, &id, &e);
        if (r < 0)
                return report_error(&e);
        if (options->json)
                return json_print(json_pack("{s:I, s:s}", "id", (json_int_t)id, "provider", p->name));
        printf("Snapshot s%" PRId64 " (%s) was taken. It stays until 'staunch snapshot drop s%" PRId64 "'.\n",
               id, p->name, id);
        return EXIT_DONE;
}

typedef struct Drop {
        int64_t id;
        Arena *arena;
        StoreSnapshot found;
} Drop;

static void find_snapshot(void *data, const StoreSnapshot *a) {
        Drop *d = data;

        if (a->id != d->id)
                return;
        d->found = *a;
        d->found.provider = arena_strdup(d->arena, a->provider);
        d->found.handle = arena_strdup(d->arena, a->handle);
        d->found.mark = arena_strdup(d->arena, a->mark);
        d->found.state = arena_strdup(d->arena, a->state);
}

static int drop(const Command *self, BaselineCli *c, const Options *options, const char *which) {
        SnapshotContext context = baseline_cli_snapshots(c);
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Drop d = { .arena = arena };
        Error e = { 0 };
        int r;

        if (!baseline_cli_number(which[0] == 's' ? which + 1 : which, &d.id) || which[0] != 's')
                return usage_error(
                        self, "'%s' is no snapshot; 'staunch snapshot list' shows them: s1, s2, ...", which);
        r = store_open(c->baseline.state, &store, &e);
        if (r >= 0)
                r = store_each_snapshot(store, find_snapshot, &d, &e);
        if (r >= 0 && !d.found.id)
                r = error_set(&e, -ENOENT,
                              "there is no snapshot s%" PRId64 "; 'staunch snapshot list' shows them", d.id);
        if (r >= 0)
                r = snapshot_drop(&context, store, &d.found, &e);
        if (r < 0)
                return report_error(&e);
        if (options->json)
                return json_print(json_pack("{s:I}", "dropped", (json_int_t)d.id));
        printf("Snapshot s%" PRId64 " is deleted.\n", d.id);
        return EXIT_DONE;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        _cleanup_(baseline_cli_end) BaselineCli c = { 0 };
        int code = options_read(&o, self, TAKES_JSON | TAKES_STATE | TAKES_ROOT | TAKES_CONFIG, argc, argv);
        const char *what = optind < argc ? argv[optind] : "list";
        int operands = argc - optind;

        if (code >= 0)
                return code;
        code = baseline_cli_begin(&c, &o);
        if (code >= 0)
                return code;
        if (strcmp(what, "list") == 0 && operands <= 1)
                return list(&c, &o);
        if (strcmp(what, "take") == 0 && operands == 1)
                return take(&c, &o);
        if (strcmp(what, "drop") == 0 && operands == 2)
                return drop(self, &c, &o, argv[optind + 1]);
        return usage_error(self, "'list', 'take' or 'drop SNAPSHOT'?");
}

const Command command_snapshot = {
        .name = "snapshot",
        .arguments = "[list|take|drop SNAPSHOT] [OPTION]...",
        .summary = "Lists what can be gone back to; takes or drops a snapshot",
        .help = "list (the default): each change of packages, with what was kept before it.\n"
                "take: a snapshot of the root file system now (btrfs, LVM, or the policy's hook).\n"
                "drop SNAPSHOT: deletes one that Staunch took: s1, s2, ...\n\n"
                "      --config FILE   the policy (default " POLICY_FILE ")\n"
                "      --state DIR     the agent's state (default /var/lib/staunch)\n"
                "      --root DIR      the root file system (default /)\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0, 1 error, 2 usage.\n",
        .run = run,
};

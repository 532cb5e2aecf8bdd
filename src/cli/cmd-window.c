/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/schedule.h"
#include "cli/text.h"

#include <errno.h>
#include <string.h>

static json_t *window_json(const Window *w, int64_t now) {
        json_t *units = json_array();
        WindowSpan span;
        bool some = window_next(w, now, &span);

        for (size_t i = 0; i < w->n_units; i++)
                json_array_append_new(units, json_text(w->units[i]));
        return json_pack("{s:o, s:b, s:o, s:o, s:I, s:o, s:o, s:o}", "name", json_text(w->name), "open",
                         some && window_open(&span, now), "start",
                         some ? json_time((uint64_t)span.start * 1000000) : json_null(), "end",
                         some ? json_time((uint64_t)span.end * 1000000) : json_null(), "duration_sec",
                         (json_int_t)w->duration_sec, "time_zone", json_text(w->zone), "recur",
                         json_text(w->recur_text), "unit", units);
}

static const char *length_text(Arena *a, uint64_t sec) {
        return sec % 3600 ? arena_printf(a, "%lluh%02llumin", (unsigned long long)(sec / 3600),
                                         (unsigned long long)(sec / 60 % 60))
                          : arena_printf(a, "%lluh", (unsigned long long)(sec / 3600));
}

static void window_row(Table *t, const Window *w, int64_t now) {
        Arena *a = t->arena;
        const char *units = "";
        WindowSpan span;
        bool some = window_next(w, now, &span), open = some && window_open(&span, now);

        for (size_t i = 0; i < w->n_units; i++)
                units = arena_printf(a, "%s%s%s", units, *units ? " " : "", w->units[i]);
        table_cell(t, COLOUR_NONE, "%s", text_safe(a, w->name));
        table_cell(t, open ? COLOUR_GOOD : COLOUR_NONE, "%s", open ? "open" : some ? "closed" : "over");
        table_cell(t, COLOUR_NONE, "%s", some ? schedule_time(w->zone, span.start, a) : "-");
        table_cell(t, COLOUR_NONE, "%s", some ? schedule_time(w->zone, span.end, a) : "-");
        table_cell(t, COLOUR_NONE, "%s", length_text(a, w->duration_sec));
        table_cell(t, COLOUR_NONE, "%s", *w->recur_text ? text_safe(a, w->recur_text) : "once");
        table_cell(t, COLOUR_NONE, "%s", *units ? text_safe(a, units) : "all");
}

static void titles(Table *t, Arena *a, const char *const *texts, size_t n) {
        table_init(t, a, n);
        for (size_t i = 0; i < n; i++)
                table_cell(t, COLOUR_BOLD, "%s", texts[i]);
}

/* All windows, or the one that is open or opens next. */
static int show_windows(const char *config, bool next, bool json) {
        static const char *const texts[] = { "WINDOW", "STATE", "START", "END", "LENGTH", "RECURS", "UNITS" };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        int64_t now = (int64_t)(wall_usec() / 1000000);
        json_t *all = json_array();
        const Window *first;
        WindowSpan span;
        size_t shown = 0;
        Policy p;
        Table t;
        Error e = { 0 };

        if (policy_load(config ? config : POLICY_FILE, &p, &e) < 0) {
                json_decref(all);
                return report_error(&e);
        }
        first = schedule_next(&p, now, NULL, &span);
        titles(&t, arena, texts, ELEMENTSOF(texts));
        for (size_t i = 0; i < p.n_window; i++) {
                if (next && &p.window[i] != first)
                        continue;
                json_array_append_new(all, window_json(&p.window[i], now));
                window_row(&t, &p.window[i], now);
                shown++;
        }
        if (json) {
                json_print(json_pack("{s:o}", "windows", all));
        } else {
                json_decref(all);
                if (shown)
                        table_print(&t, stdout);
                else
                        puts(next && p.n_window
                                     ? "No window opens any more."
                                     : "The policy has no [[window]]: nothing is restarted by itself.");
        }
        policy_free(&p);
        return next && !first ? EXIT_REFUSED : EXIT_DONE;
}

static json_t *texts_json(const char *const *texts, size_t n) {
        json_t *j = json_array();

        for (size_t i = 0; i < n; i++)
                json_array_append_new(j, json_text(texts[i]));
        return j;
}

static json_t *step_json(const Schedule *s, const RestartStep *step) {
        WindowSpan span;
        const Window *w = step->obstacle ? NULL : schedule_next(&s->policy, s->now, step->subject, &span);

        return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:b, s:o}", "subject",
                         json_text(step->subject), "images", texts_json(step->images, step->n_images),
                         "reason", json_text(step->reason), "window", w ? json_text(w->name) : json_null(),
                         "start", w ? json_time((uint64_t)span.start * 1000000) : json_null(), "with",
                         texts_json(step->with, step->n_with), "need_usec", (json_int_t)step->need_usec,
                         "obstacle", step->obstacle ? json_text(step->obstacle) : json_null(), "machine",
                         step->machine, "last_result", json_text(step->last_result));
}

static void step_row(Table *t, const Schedule *s, const RestartStep *step, size_t number) {
        Arena *a = t->arena;
        const char *with = "", *note = "";

        for (size_t i = 0; i < step->n_with; i++)
                with = arena_printf(a, "%s%s%s", with, *with ? ", " : "", step->with[i]);
        if (step->obstacle)
                note = step->obstacle;
        else if (*with)
                note = arena_printf(a, "with %s", with);
        else if (*step->last_result)
                note = arena_printf(a, "last time: %s", step->last_result);
        table_cell(t, COLOUR_NONE, "%s", step->obstacle ? "-" : arena_printf(a, "%zu", number));
        table_cell(t, step->obstacle ? COLOUR_WARN : COLOUR_NONE, "%s", text_safe(a, step->subject));
        table_cell(t, COLOUR_NONE, "%s", schedule_when(s, step->subject, a));
        table_cell(t, COLOUR_NONE, "%s",
                   step->obstacle
                           ? "-"
                           : arena_printf(a, "%llu s", (unsigned long long)(step->need_usec / 1000000)));
        table_cell(t, COLOUR_NONE, "%s", text_safe(a, note));
}

static int show_plan(const Options *o) {
        static const char *const texts[] = { "#", "UNIT", "WHEN", "AT MOST", "NOTE" };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        _cleanup_(store_closep) Store *store = NULL;
        const char *dir = o->state ? o->state : STATE_DIR;
        json_t *steps;
        Schedule s;
        Table t;
        Error e = { 0 };
        int r = store_open_read(dir, &store, &e), code;

        if (r == -ENOENT)
                error_set(&e, r, "%s: the agent has not run here yet", dir);
        if (r < 0 || schedule_open(o->config, store, &s, &e) < 0)
                return report_error(&e);
        code = s.plan.n || s.plan.machine ? EXIT_REFUSED : EXIT_DONE;
        if (o->json) {
                steps = json_array();
                for (size_t i = 0; i < s.plan.n; i++)
                        json_array_append_new(steps, step_json(&s, &s.plan.steps[i]));
                r = json_print(json_pack("{s:o, s:o, s:s}", "steps", steps, "machine",
                                         s.plan.machine ? json_text(s.plan.machine) : json_null(), "reboot",
                                         reboot_setting_text(s.policy.restart.reboot)));
                code = r == EXIT_DONE ? code : r;
        } else if (code == EXIT_DONE) {
                puts("Nothing waits for a restart.");
        } else {
                titles(&t, arena, texts, ELEMENTSOF(texts));
                for (size_t i = 0; i < s.plan.n; i++)
                        step_row(&t, &s, &s.plan.steps[i], i + 1);
                if (s.plan.n)
                        table_print(&t, stdout);
                if (s.plan.machine) {
                        printf("%sThe machine needs a restart: ", s.plan.n ? "\n" : "");
                        text_put(stdout, s.plan.machine);
                        printf("\n[restart] reboot = \"%s\"\n", reboot_setting_text(s.policy.restart.reboot));
                }
        }
        if (*s.alone) {
                fputs("staunch: ", stderr);
                text_put(stderr, s.alone);
                fputs(": without it nothing can be restarted, and the order is not known\n", stderr);
        }
        schedule_close(&s);
        return code;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        int code = options_read(&o, self, TAKES_JSON | TAKES_STATE | TAKES_CONFIG, argc, argv);
        const char *what = optind < argc ? argv[optind] : "list";

        if (code >= 0)
                return code;
        if (argc - optind > 1)
                return usage_error(self, "one of 'list', 'next' and 'plan'");
        if (strcmp(what, "list") == 0 || strcmp(what, "next") == 0)
                return show_windows(o.config, *what == 'n', o.json);
        if (strcmp(what, "plan") == 0)
                return show_plan(&o);
        return usage_error(self, "'list', 'next' or 'plan'?");
}

const Command command_window = {
        .name = "window",
        .arguments = "[list|next|plan] [OPTION]...",
        .summary = "Shows maintenance windows, and what is restarted in them in which order",
        .help = "list (all of the policy's windows) is what is shown without a word; next is the one that is "
                "open or\n"
                "opens next; plan is what waits for a restart, in the order in which it is restarted, when, "
                "how long\n"
                "each may take, and what stands in the way of the others.\n\n"
                "      --config FILE   policy (default " POLICY_FILE ")\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0, 1 error, 2 usage, 3 no window opens any more (next), something waits "
                "(plan).\n",
        .run = run,
};

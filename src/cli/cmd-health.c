/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/text.h"
#include "verify/health.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* health: what the agent measures of services before and after their patches. */

enum { TIMEOUT_SEC = 10 };

static Measure measure_of(const char *word) {
        Measure m = MEASURE_RESPONSE;

        while (m < MEASURE_N && (!word || strcmp(measure_text(m), word) != 0))
                m++;
        return m;
}

static const char *text_of(const json_t *j, const char *key) {
        const char *s = json_string_value(json_object_get(j, key));

        return s ? s : "-";
}

static void figure(Table *t, const json_t *series, const char *key, Measure m) {
        const json_t *v = json_object_get(series, key);
        char text[32] = "-";

        if (json_is_number(v))
                measure_format(m, json_number_value(v), text, sizeof(text));
        table_cell(t, COLOUR_NONE, "%s", text);
}

static void rows(Table *t, const json_t *subject) {
        const char *state = text_of(subject, "state");
        Colour colour = strcmp(state, "degraded") == 0    ? COLOUR_BAD
                        : strcmp(state, "confirmed") == 0 ? COLOUR_GOOD
                                                          : COLOUR_NONE;
        const json_t *series;
        size_t i;

        json_array_foreach(json_object_get(subject, "series"), i, series) {
                Measure m = measure_of(json_string_value(json_object_get(series, "measure")));

                table_cell(t, COLOUR_NONE, "%s", text_of(subject, "subject"));
                table_cell(t, COLOUR_NONE, "%s", text_of(series, "name"));
                table_cell(t, colour, "%s", state);
                table_cell(t, COLOUR_NONE, "%.12s", text_of(subject, "patch"));
                figure(t, series, "usual", m);
                figure(t, series, "before", m);
                figure(t, series, "after", m);
                if (json_is_number(json_object_get(series, "last")))
                        figure(t, series, "last", m);
                else
                        table_cell(t, COLOUR_BAD, "failed");
        }
}

static bool is_degraded(const json_t *subjects) {
        const json_t *s;
        size_t i;

        json_array_foreach((json_t *)(uintptr_t)subjects, i,
                           s) if (strcmp(text_of(s, "state"), "degraded") == 0) return true;
        return false;
}

static int print(const json_t *answer) {
        static const char *const titles[] = { "UNIT",  "MEASURE", "STATE", "PATCH",
                                              "USUAL", "BEFORE",  "AFTER", "LAST" };
        const json_t *subjects = json_object_get(answer, "subjects"), *s;
        _cleanup_(arena_freep) Arena *arena = arena_new();
        Table table;
        size_t i;

        if (!json_array_size(subjects)) {
                puts("Nothing was measured yet: what carries a patch is, every [health] sample_interval, and "
                     "each [[probe]].");
                return EXIT_DONE;
        }
        table_init(&table, arena, ELEMENTSOF(titles));
        for (i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(&table, COLOUR_BOLD, "%s", titles[i]);
        json_array_foreach((json_t *)(uintptr_t)subjects, i, s) rows(&table, s);
        table_print(&table, stdout);
        return is_degraded(subjects) ? EXIT_REFUSED : EXIT_DONE;
}

static int run(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        char path[PATH_MAX];
        json_t *answer;
        Error e = { 0 };
        int r, code = options_read(&o, self, TAKES_JSON | TAKES_RUNTIME, argc, argv);

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        snprintf(path, sizeof(path), "%s/control", o.runtime ? o.runtime : RUNTIME_DIR);
        r = agent_ask(path, "health", TIMEOUT_SEC, &answer, &e);
        if (r == -ENOENT || r == -ECONNREFUSED)
                error_set(&e, r, "%s: the agent does not run; 'systemctl start staunch-agent'", path);
        if (r < 0)
                return report_error(&e);
        if (!o.json) {
                code = print(answer);
                json_decref(answer);
                return code;
        }
        r = is_degraded(json_object_get(answer, "subjects"));
        code = json_print(answer);
        return code == EXIT_DONE && r ? EXIT_REFUSED : code;
}

const Command command_health = {
        .name = "health",
        .arguments = "[OPTION]...",
        .summary = "Shows how services do since they were patched",
        .help = "Of each service with a probe or a patch: what it usually takes, what it took before the "
                "patch and after\n"
                "it, and whether it got worse. The agent has to run.\n\n"
                "      --runtime DIR   the agent's sockets (default " RUNTIME_DIR ")\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0, 3 a service got worse and its patch is still there, 1 error, 2 usage.\n",
        .run = run,
};

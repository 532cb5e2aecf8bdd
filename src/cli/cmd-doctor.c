/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/cli.h"
#include "cli/doctor.h"
#include "cli/json.h"
#include "cli/text.h"

static const struct {
        const char *title;
        const DoctorCheck *checks;
} groups[] = {
        { "Kernel", doctor_kernel },
        { "Machine", doctor_machine },
        { "Agent", doctor_agent },
};

static void print(const DoctorCheck *c, const DoctorFinding *f) {
        static const struct {
                const char *text;
                Colour colour;
        } looks[DOCTOR_GRADES] = { { "ok", COLOUR_GOOD },
                                   { "warning", COLOUR_WARN },
                                   { "problem", COLOUR_BAD },
                                   { "-", COLOUR_DIM } };

        printf("  %s%-8s%s  %-18s  ", colour_begin(stdout, looks[f->grade].colour), looks[f->grade].text,
               colour_end(stdout), c->name);
        text_put(stdout, f->seen);
        putchar('\n');
        if (f->grade != DOCTOR_WARNING && f->grade != DOCTOR_PROBLEM)
                return;
        text_wrap(stdout, c->why, 12);
        text_wrap(stdout, f->todo, 12);
}

static json_t *as_json(const char *group, const DoctorCheck *c, const DoctorFinding *f) {
        return json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "group", group, "name", c->name, "grade",
                         doctor_grade_text(f->grade), "seen", json_text(f->seen), "why", c->why, "todo",
                         json_text(f->todo));
}

static int run(const Command *self, int argc, char **argv) {
        size_t counts[DOCTOR_GRADES] = { 0 };
        _cleanup_(options_free) Options o;
        _cleanup_(doctor_free) Doctor d = { 0 };
        int code = options_read(&o, self, TAKES_JSON | TAKES_ROOT, argc, argv);
        json_t *checks;

        if (code >= 0)
                return code;
        if (argc != optind)
                return usage_error(self, "takes no operand");
        checks = json_array();
        doctor_init(&d, o.root ? o.root : "");
        for (size_t g = 0; g < ELEMENTSOF(groups); g++) {
                if (!o.json)
                        printf("%s%s%s%s\n", g ? "\n" : "", colour_begin(stdout, COLOUR_BOLD),
                               groups[g].title, colour_end(stdout));
                for (const DoctorCheck *c = groups[g].checks; c->name; c++) {
                        DoctorFinding f = c->look(&d);

                        counts[f.grade]++;
                        if (o.json)
                                json_array_append_new(checks, as_json(groups[g].title, c, &f));
                        else
                                print(c, &f);
                }
        }
        code = counts[DOCTOR_PROBLEM] ? EXIT_REFUSED : EXIT_DONE;
        if (o.json) {
                int failed = json_print(json_pack("{s:o, s:I, s:I}", "checks", checks, "problems",
                                                  (json_int_t)counts[DOCTOR_PROBLEM], "warnings",
                                                  (json_int_t)counts[DOCTOR_WARNING]));

                return failed ? failed : code;
        }
        json_decref(checks);
        printf("\n  %zu problem%s, %zu warning%s, %zu ok, %zu not applicable.\n", counts[DOCTOR_PROBLEM],
               plural(counts[DOCTOR_PROBLEM]), counts[DOCTOR_WARNING], plural(counts[DOCTOR_WARNING]),
               counts[DOCTOR_OK], counts[DOCTOR_NOT_APPLICABLE]);
        return code;
}

const Command command_doctor = {
        .name = "doctor",
        .arguments = "[OPTION]...",
        .summary = "Checks what this machine needs for patching, and says how to mend what is missing",
        .help = "Each check says what was seen; a warning or a problem also why it matters and what to do. "
                "With a\n"
                "problem, patching or the agent does not work; with a warning, something works less well.\n\n"
                "      --root DIR      look at the machine whose files are below DIR; what only a running "
                "kernel\n"
                "                      says is left out\n"
                "      --json          print JSON\n"
                "      --explain CODE  say what a refusal code means\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 no problem (there may be warnings), 1 error, 2 usage, 3 a problem.\n",
        .run = run,
};

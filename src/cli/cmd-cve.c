/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "cli/evidence.h"
#include "cli/json.h"
#include "cli/text.h"
#include "evidence/changelog.h"
#include "evidence/exposure-json.h"

#include <string.h>

static const char *runs_text(const CveImage *c, Arena *a) {
        const RunningImage *image = c->image;
        const char *run = image->run->version ? image->run->version : "unknown";

        if (image->patched)
                return arena_printf(a, "%s, patched to %s", run,
                                    image->effective && image->effective->version ? image->effective->version
                                                                                  : "unknown");
        return image->damaged ? arena_printf(a, "%s, its patch is damaged", run) : run;
}

static void print_images(const CvePackage *p) {
        static const char *const titles[] = { "PID", "PROCESS", "UNIT", "IMAGE", "STATE", "RUNS", "WHY" };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        size_t current = 0, shown = 0;
        Table t;

        table_init(&t, arena, ELEMENTSOF(titles));
        t.right[0] = true;
        for (size_t i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        for (size_t i = 0; i < p->n; i++) {
                const CveImage *c = &p->images[i];
                const Process *process = c->image->process;

                if (c->state == CVE_CURRENT) {
                        current++;
                        continue;
                }
                shown++;
                table_cell(&t, COLOUR_NONE, "%d", process->pid);
                table_cell(&t, COLOUR_NONE, "%s", process->comm);
                table_cell(&t, COLOUR_NONE, "%s", process->unit[0] ? process->unit : "-");
                table_cell(&t, COLOUR_NONE, "%s", c->image->path);
                table_cell(&t, c->state == CVE_HOTPATCHED ? COLOUR_GOOD : COLOUR_BAD, "%s",
                           cve_state_text(c->state));
                table_cell(&t, COLOUR_NONE, "%s", runs_text(c, arena));
                table_cell(&t, COLOUR_NONE, "%s", c->why);
        }
        if (shown)
                table_print(&t, stdout);
        if (current)
                printf("  %zu image%s in processes run a version with the fix.\n", current, plural(current));
        if (!p->n)
                puts("  No process runs it.");
}

static void print_one(const Cve *cve) {
        printf("%s: %s\n", cve->name, cve_state_text(cve->state));
        if (!cve->n)
                text_wrap(stdout,
                          cve->state == CVE_NOT_AFFECTED ? "The security tracker's data name it, for no "
                                                           "package that is installed here."
                                                         : "Neither a changelog of an installed package nor "
                                                           "the security tracker's data "
                                                           "(if any are here) name it. That does not say "
                                                           "that this machine is not affected.",
                          2);
        for (size_t i = 0; i < cve->n; i++) {
                const CvePackage *p = &cve->packages[i];

                printf("\n%s %s (source %s): %s\n", p->name,
                       p->package ? p->package->version : "not installed", p->source,
                       cve_state_text(p->state));
                if (*p->fixed)
                        printf("  Fixed in %s of the source, says the %s.\n", p->fixed,
                               p->by == (CVE_BY_CHANGELOG | CVE_BY_TRACKER)
                                       ? "changelog; the tracker names it too"
                               : p->by == CVE_BY_CHANGELOG ? "changelog"
                                                           : "tracker");
                if (!p->on_disk && p->available)
                        puts("  An update with the fix is available: apt upgrade.");
                print_images(p);
        }
        for (size_t i = 0; i < cve->n; i++)
                if (cve->packages[i].state == CVE_EXPOSED_IN_MEMORY) {
                        puts("\n'staunch converge' patches what can be patched, and lists what needs a "
                             "restart.");
                        break;
                }
}

static int run_cve(const Command *self, int argc, char **argv) {
        _cleanup_(options_free) Options o;
        char name[CVE_MAX], *cve = NULL;
        size_t used;
        Exposure x;
        int answer, code = options_read(&o, self,
                                        TAKES_JSON | TAKES_PIDS | TAKES_ROOT | TAKES_STATE | TAKES_TRACKER |
                                                TAKES_FIXED,
                                        argc, argv);

        if (code >= 0)
                return code;
        if (argc - optind > 1)
                return usage_error(self, "one CVE at a time, or none for all");
        if (argc > optind) {
                if (!cve_read(argv[optind], strlen(argv[optind]), name, &used) || argv[optind][used])
                        return usage_error(self, "'%s' is no CVE; write CVE-2024-1234", argv[optind]);
                cve = name;
        }
        code = evidence_read(&o, cve, false, &x);
        if (code != EXIT_DONE)
                return code;
        answer = evidence_code(&x);
        if (o.json)
                code = json_print(exposure_json(&x));
        else if (cve)
                print_one(&x.cves[0]);
        else
                evidence_table(&x);
        if (!o.json)
                evidence_remarks(&x);
        exposure_free(&x);
        return code == EXIT_DONE ? answer : code;
}

const Command command_cve = {
        .name = "cve",
        .arguments = "[OPTION]... [CVE-YEAR-NUMBER]",
        .summary = "Says of a CVE, or of all known here, which processes still run code without the fix",
        .help = "Without an argument: every CVE that an update on disk fixes and some process was started "
                "without,\n"
                "and what the security tracker's data (where they are) say is not fixed on disk.\n\n"
                "      --fixed         also list those that everything which runs has the fix of\n"
                "      --pid PID       only this process (repeatable, or PID,PID,...)\n"
                "      --tracker FILE  the security tracker's data, in debsecan's form; default: the file "
                "that\n"
                "                      SOURCE=file:///... in /etc/default/debsecan names\n"
                "      --root DIR      only images below DIR, and the package manager there\n"
                "      --state DIR     the agent's state (default " STATE_DIR ")\n"
                "      --json          print JSON\n"
                "  -h, --help          this text\n\n"
                "Exit code: 0 nothing is exposed (current, hotpatched, not-affected), 3 exposed or\n"
                "exposed-in-memory, 5 unknown: nothing here tells, 1 error, 2 usage.\n",
        .run = run_cve,
};

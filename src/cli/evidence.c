/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/evidence.h"
#include "base/macro.h"
#include "cli/targets.h"
#include "cli/text.h"

int evidence_read(const Options *o, const char *cve, bool read_back, Exposure *out) {
        const ExposureOptions options = { .running = { .pids = o->pids.items,
                                                       .n_pids = o->pids.n,
                                                       .root = o->root,
                                                       .state = o->state ? o->state : STATE_DIR,
                                                       .read_back = read_back,
                                                       .progress = progress },
                                          .cve = cve,
                                          .tracker = o->tracker,
                                          .current = o->fixed };
        Error e = { 0 };
        int r = exposure_read(&options, out, &e);

        progress_clear();
        return r < 0 ? report_error(&e) : EXIT_DONE;
}

int evidence_code(const Exposure *x) {
        bool unknown = false;

        for (size_t i = 0; i < x->n; i++) {
                if (x->cves[i].state >= CVE_EXPOSED_IN_MEMORY)
                        return EXIT_REFUSED;
                unknown |= x->cves[i].state == CVE_UNKNOWN;
        }
        return unknown ? EXIT_UNKNOWN : EXIT_DONE;
}

static Colour colour_of(CveState s) {
        return s >= CVE_EXPOSED_IN_MEMORY ? COLOUR_BAD
               : s == CVE_UNKNOWN         ? COLOUR_WARN
               : s == CVE_HOTPATCHED      ? COLOUR_GOOD
                                          : COLOUR_NONE;
}

/* The processes of a package whose images are in this state; those of one process follow each other. */
static size_t processes_in(const CvePackage *p, CveState state) {
        pid_t last = 0;
        size_t n = 0;

        for (size_t i = 0; i < p->n; i++)
                if (p->images[i].state == state && p->images[i].image->process->pid != last) {
                        last = p->images[i].image->process->pid;
                        n++;
                }
        return n;
}

static const char *counts_text(const CvePackage *p, Arena *a) {
        const char *text = "";

        for (int s = CVE_STATE_N - 1; s >= 0; s--) {
                size_t n = processes_in(p, (CveState)s);

                if (n)
                        text = arena_printf(a, "%s%s%zu %s", text, *text ? ", " : "", n,
                                            cve_state_text((CveState)s));
        }
        return *text ? text : "none";
}

void evidence_table(const Exposure *x) {
        static const char *const titles[] = {
                "CVE", "STATE", "PACKAGE", "INSTALLED", "FIXED IN", "PROCESSES"
        };
        _cleanup_(arena_freep) Arena *arena = arena_new();
        size_t n[CVE_STATE_N];
        Table t;

        table_init(&t, arena, ELEMENTSOF(titles));
        for (size_t i = 0; i < ELEMENTSOF(titles); i++)
                table_cell(&t, COLOUR_BOLD, "%s", titles[i]);
        for (size_t i = 0; i < x->n; i++)
                for (size_t k = 0; k < x->cves[i].n; k++) {
                        const CvePackage *p = &x->cves[i].packages[k];

                        table_cell(&t, COLOUR_NONE, "%s", x->cves[i].name);
                        table_cell(&t, colour_of(p->state), "%s", cve_state_text(p->state));
                        table_cell(&t, COLOUR_NONE, "%s", p->name);
                        table_cell(&t, COLOUR_NONE, "%s", p->package ? p->package->version : "-");
                        table_cell(&t, COLOUR_NONE, "%s", *p->fixed ? p->fixed : "-");
                        table_cell(&t, COLOUR_NONE, "%s", counts_text(p, arena));
                }
        if (x->n)
                table_print(&t, stdout);
        exposure_count(x, n);
        printf("%s%zu CVE%s: ", x->n ? "\n" : "", x->n, plural(x->n));
        for (int s = CVE_STATE_N - 1; s > CVE_NOT_AFFECTED; s--)
                if (s != CVE_CURRENT || n[s])
                        printf("%zu %s%s", n[s], cve_state_text((CveState)s),
                               s > CVE_HOTPATCHED || (s == CVE_HOTPATCHED && n[CVE_CURRENT]) ? ", " : ".\n");
}

void evidence_remarks(const Exposure *x) {
        const struct {
                size_t n;
                const char *what;
        } remarks[] = {
                { x->unknown, "images of packages run in a version that is unknown" },
                { x->running.elsewhere,
                  "images lie in other root folders and were not looked at (--root looks there)" },
                { x->no_changelog,
                  "packages with processes have no changelog here, which is where fixes are named" },
        };

        progress_clear();
        for (size_t i = 0; i < ELEMENTSOF(remarks); i++)
                if (remarks[i].n)
                        fprintf(stderr, "staunch: %zu %s\n", remarks[i].n, remarks[i].what);
        if (!x->tracker_path)
                fputs("staunch: no data of the security tracker is here (--tracker); what no update on disk "
                      "fixes is "
                      "not known\n",
                      stderr);
        targets_hidden(x->running.hidden, EXIT_DONE);
}

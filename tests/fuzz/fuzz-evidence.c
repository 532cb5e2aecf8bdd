/* SPDX-License-Identifier: Apache-2.0 */
/* What a package manager leaves behind: changelogs, dpkg's status and log, apt's plans, the security
 * tracker's data, and their compressed forms. The first byte says which. */
#include "evidence/changelog.h"
#include "evidence/dpkg.h"
#include "evidence/dpkglog.h"
#include "evidence/read.h"
#include "evidence/tracker.h"
#include "evidence/upgrades.h"
#include "evidence/version.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool b) {
        if (!b)
                abort();
}

/* Any two texts have an order, and it does not depend on which comes first. */
static void order(const char *a, const char *b) {
        must(version_compare(a, b) == -version_compare(b, a));
        must(version_compare(a, a) == 0);
        must(version_source_length(a) <= strlen(a));
}

static void changelog(const FileBytes *text, Arena *a) {
        Changelog c = { 0 };

        if (changelog_parse("fuzz", text, a, &c, NULL) < 0)
                return;
        for (size_t i = 0; i < c.n; i++) {
                must(version_valid(c.entries[i].version));
                order(c.entries[i].version, c.entries[0].version);
                for (size_t k = 0; k < c.entries[i].n_cves; k++)
                        must(cve_read(c.entries[i].cves[k], strlen(c.entries[i].cves[k]),
                                      (char[CVE_MAX]){ 0 }, NULL));
        }
}

static void status(const FileBytes *text, Arena *a) {
        Dpkg d = { .arena = a };

        if (dpkg_parse_status("fuzz", text, a, &d.packages, &d.n, NULL) < 0)
                return;
        for (size_t i = 0; i < d.n; i++) {
                const Package *p = &d.packages[i];

                must(p->whole && p->source && p->source_version && dpkg_package(&d, p->name, p->arch));
                order(p->version, p->source_version);
        }
}

static void dpkg_log(const FileBytes *text, Arena *a) {
        DpkgLog log = { 0 };

        if (dpkglog_parse("fuzz", text, a, &log, NULL) < 0)
                return;
        for (size_t i = 0; i < log.n; i++) {
                must(log.items[i].begin_sec <= log.items[i].end_sec);
                dpkglog_at(&log, log.items[i].package, log.items[i].arch, log.items[i].begin_sec);
        }
}

static void tracker(const FileBytes *text, Arena *a) {
        Tracker t = { 0 };

        if (tracker_parse("fuzz", text, a, &t, NULL) < 0)
                return;
        for (size_t i = 0; i < t.n; i++) {
                size_t from, n;

                must(tracker_names(&t, t.entries[i].cve));
                tracker_of(&t, t.entries[i].package, &from, &n);
                must(from <= i && i < from + n);
                tracker_vulnerable(&t.entries[i], t.entries[i].unstable_version);
        }
}

static void upgrades(const FileBytes *text, Arena *a) {
        Upgrades u = { 0 };

        if (upgrades_parse((const char *)text->bytes, text->size, a, &u, NULL) < 0)
                return;
        for (size_t i = 0; i < u.n; i++)
                must(*u.items[i].name && *u.items[i].arch && version_valid(u.items[i].new));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const parsers[])(const FileBytes *, Arena *) = { changelog, status, dpkg_log, tracker,
                                                                       upgrades };
        enum { INFLATED_MAX = 1 << 20 };
        FileBytes text = { 0 };
        Arena *a;

        if (size < 2 || file_dup(data + 1, size - 1, &text, NULL) < 0)
                return 0;
        if (inflate_bytes("fuzz", &text, INFLATED_MAX, NULL) == 0) {
                a = arena_new();
                parsers[data[0] % 5](&text, a);
                read_setting(&text, "SOURCE", a);
                arena_free(a);
        }
        file_release(&text);
        return 0;
}

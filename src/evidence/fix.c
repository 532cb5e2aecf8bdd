/* SPDX-License-Identifier: Apache-2.0 */
#include "evidence/fix.h"
#include "evidence/version.h"

#include <string.h>

static const TrackerEntry *entry_of(const Tracker *t, const char *package, const char *cve, bool binary) {
        size_t from, n;

        tracker_of(t, package, &from, &n);
        for (size_t i = from; i < from + n; i++)
                if (t->entries[i].binary == binary && strcmp(t->entries[i].cve, cve) == 0)
                        return &t->entries[i];
        return NULL;
}

bool fix_find(const Changelog *c, const Tracker *t, const char *source, const char *package, const char *cve,
              Fix *out) {
        Fix f = { .source = entry_of(t, source, cve, false), .binary = entry_of(t, package, cve, true) };

        for (size_t i = 0; c && i < c->n; i++)
                for (size_t n = 0; n < c->entries[i].n_cves; n++)
                        if (strcmp(c->entries[i].cves[n], cve) == 0 &&
                            (!f.fixed || version_compare(c->entries[i].version, f.fixed) > 0))
                                f.fixed = c->entries[i].version;
        *out = f;
        return f.fixed || f.source || f.binary;
}

FixIn fix_in(const Fix *f, const char *version, const char *source_version) {
        if (!version || !source_version)
                return FIX_UNKNOWN;
        if (f->fixed && version_compare(source_version, f->fixed) >= 0)
                return FIX_THERE;
        if (f->source || f->binary) {
                bool vulnerable = (f->source && tracker_vulnerable(f->source, source_version)) ||
                                  (f->binary && tracker_vulnerable(f->binary, version));

                return vulnerable ? FIX_LACKING : FIX_THERE;
        }
        return f->fixed ? FIX_LACKING : FIX_UNKNOWN;
}

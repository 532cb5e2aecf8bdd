/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/about.h"
#include "base/macro.h"

#include <stdlib.h>
#include <string.h>

#define IMAGE "STAUNCH_IMAGE"
#define OLD_ID "STAUNCH_BUILD_ID_OLD"
#define NEW_ID "STAUNCH_BUILD_ID_NEW"
#define OMITTED "STAUNCH_CVES_OMITTED"

static bool has(const About *a, const char *key, const char *value) {
        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->fields[i].key, key) == 0 && strcmp(a->fields[i].value, value) == 0)
                        return true;
        return false;
}

/* False: there was nothing to add. */
static bool put(About *a, Arena *arena, const char *key, const char *value) {
        if (!*value || a->n == ABOUT_FIELDS || has(a, key, value))
                return false;
        if (!a->fields)
                a->fields = arena_newa(arena, EventField, ABOUT_FIELDS);
        a->fields[a->n++] = (EventField){ arena_strdup(arena, key), arena_strdup(arena, value) };
        return true;
}

static void put_package(About *a, Arena *arena, const char *package) {
        if (a->packages < ABOUT_PACKAGES)
                a->packages += put(a, arena, ABOUT_PACKAGE, package);
}

static void put_cve(About *a, Arena *arena, const char *cve) {
        if (a->cves < EVENT_CVES)
                a->cves += put(a, arena, EVENT_CVE, cve);
        else if (!has(a, EVENT_CVE, cve))
                a->omitted++;
}

void about_add(About *a, Arena *arena, const StoreRestart *r, bool builds) {
        char *packages = arena_strdup(arena, r->package), *package;
        char *at = arena_strdup(arena, r->cves), *cve;

        if (builds && a->images < ABOUT_IMAGES && put(a, arena, IMAGE, r->image)) {
                a->images++;
                put(a, arena, OLD_ID, r->old_id);
                put(a, arena, NEW_ID, r->new_id);
        }
        while ((package = strsep(&packages, " ")))
                put_package(a, arena, package);
        while ((cve = strsep(&at, " ")))
                put_cve(a, arena, cve);
        a->omitted = MAX(a->omitted, r->omitted); /* of one package, it is the same for each of its images */
}

void about_add_field(About *a, Arena *arena, const char *key, const char *value) {
        if (strcmp(key, EVENT_CVE) == 0)
                put_cve(a, arena, value);
        else if (strcmp(key, ABOUT_PACKAGE) == 0)
                put_package(a, arena, value);
}

const char *about_values(const About *a, Arena *arena, const char *key) {
        const char *text = "";

        for (size_t i = 0; i < a->n; i++)
                if (strcmp(a->fields[i].key, key) == 0)
                        text = arena_printf(arena, "%s%s%s", text, *text ? " " : "", a->fields[i].value);
        return text;
}

int about_emit(const About *about, const Event *event, const char *file, Error *e) {
        EventField fields[EVENT_FIELDS];
        Event more = *event;
        char omitted[24];
        size_t n = MIN(event->n, (size_t)EVENT_FIELDS - ABOUT_FIELDS);

        if (!about)
                return event_emit(event, file, e);
        if (n)
                memcpy(fields, event->fields, n * sizeof(*fields));
        if (about->n)
                memcpy(fields + n, about->fields, about->n * sizeof(*fields));
        n += about->n;
        snprintf(omitted, sizeof(omitted), "%lu", (unsigned long)about->omitted);
        if (about->omitted)
                fields[n++] = (EventField){ OMITTED, omitted };
        more.fields = fields;
        more.n = n;
        return event_emit(&more, file, e);
}

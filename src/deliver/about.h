/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "report/event.h"
#include "store/store.h"

/*
 * What a pending restart is for, as fields of the events that tell of it: images, their builds, packages and
 * the CVEs that the step fixes, all as the state has them since it became pending.
 */
enum {
        ABOUT_IMAGES = 8,                                                 /* with their builds, at most; */
        ABOUT_PACKAGES = 24,                                              /* and so many packages; */
        ABOUT_FIELDS = 3 * ABOUT_IMAGES + ABOUT_PACKAGES + EVENT_CVES + 1 /* no more than these in all */
};

typedef struct About {
        EventField *fields; /* each value once; in the arena; NULL: none yet */
        size_t n, images, packages, cves;
        uint64_t omitted; /* CVEs beyond EVENT_CVES, and those that the state says of */
} About;

/* Adds what one is for. `builds`: its image and builds, too; not where many are told of in one event. */
void about_add(About *a, Arena *arena, const StoreRestart *r, bool builds);
#define ABOUT_PACKAGE "STAUNCH_PACKAGE"
/* Adds one value of a package (ABOUT_PACKAGE) or a CVE (EVENT_CVE); others are passed over. */
void about_add_field(About *a, Arena *arena, const char *key, const char *value);
/* All values of one field, with a space between two. */
const char *about_values(const About *a, Arena *arena, const char *key);
/* Emits the event with these as further fields; `about` may be NULL. */
int about_emit(const About *about, const Event *event, const char *file, Error *e);

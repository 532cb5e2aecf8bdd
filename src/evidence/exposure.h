/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "evidence/running.h"
#include "evidence/tracker.h"

/* What the CVEs that are known here mean for what runs here. docs/evidence.md says what each answer rests on.
 */

/* Ordered: what is worse counts for the whole. */
typedef enum CveState {
        CVE_NOT_AFFECTED,      /* the tracker names it, and nothing that it names is here */
        CVE_CURRENT,           /* the build that runs is of a version with the fix */
        CVE_HOTPATCHED,        /* started without the fix, and runs the code of a version with it */
        CVE_UNKNOWN,           /* what would tell is not here */
        CVE_EXPOSED_IN_MEMORY, /* the fix is on disk, and this process does not run it */
        CVE_EXPOSED,           /* the fix is not on disk */
        CVE_STATE_N
} CveState;
const char *cve_state_text(CveState s); /* "exposed-in-memory" */

/* What says that versions are with or without the fix. */
typedef enum CveSource { CVE_BY_CHANGELOG = 1, CVE_BY_TRACKER = 2 } CveSource;
const char *cve_source_text(unsigned sources);

typedef struct CveImage {
        const RunningImage *image;
        CveState state;
        const char *why; /* it is unknown; "" otherwise */
} CveImage;

typedef struct CvePackage {
        const Package *package; /* installed; NULL: it is not any more */
        const char *name, *source, *arch;
        const char
                *fixed; /* source version whose changelog entry names it, or of the tracker; "": none known */
        unsigned by;    /* CveSource */
        bool on_disk;   /* the installed version has the fix */
        bool available; /* the tracker knows of a fixed version in this release */
        CveState state; /* the worst of the images; without one, of what is on disk */
        CveImage *images; /* of its processes; those of one process follow each other */
        size_t n;
} CvePackage;

typedef struct Cve {
        const char *name;
        CveState state;
        CvePackage *packages; /* by name; none: nothing that is here has to do with it, as far as is known */
        size_t n;
} Cve;

typedef struct Exposure {
        Running running;
        Arena *arena;
        Tracker tracker;          /* empty: there is no data */
        const char *tracker_path; /* NULL: none */
        Cve *cves;                /* by name */
        size_t n;
        size_t unknown;      /* images of packages that run in a version that is unknown */
        size_t no_changelog; /* packages with processes of which no changelog is here */
} Exposure;

typedef struct ExposureOptions {
        RunningOptions running;
        const char *cve;     /* this one only, in installed packages without a process too; NULL: all */
        const char *tracker; /* file with the tracker's data; NULL: where debsecan's configuration says */
        bool current;        /* also those that every process has the fix of by its own build */
} ExposureOptions;

int exposure_read(const ExposureOptions *o, Exposure *out, Error *e);
void exposure_free(Exposure *x);
/* How many CVEs there are in each state. */
void exposure_count(const Exposure *x, size_t counts[CVE_STATE_N]);

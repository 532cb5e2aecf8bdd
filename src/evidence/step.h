/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "evidence/builds.h"
#include "evidence/tracker.h"
#include "report/event.h"

/*
 * What the step from one build of an image to another is to who looks after packages: of which package, and
 * which CVEs the newer version fixes that the older one has, as `staunch cve` knows them. It is looked up
 * once, when an event about that pair of builds is told first, and kept in the state for all later ones: the
 * versions and the changelog that told it may be gone by then.
 */

typedef struct Step {
        const char *package; /* NULL: unknown */
        const char **cves;   /* at most EVENT_CVES, of the newest entries first */
        size_t n;
        uint64_t omitted; /* so many more */
} Step;

/* A pair of builds that may be asked for, and its step. */
typedef struct StepAsked {
        const char *image;           /* as its processes name it; "": any */
        const char *path;            /* below the root; NULL: it is another package manager's */
        const char *old_id, *new_id; /* as in events */
        Build from;                  /* the old build and the times of its file */
        BuildId to;
        bool lasting, found;
        Step step;
} StepAsked;

typedef struct Steps {
        Arena *arena;
        const char *root;
        Store *store; /* NULL: nothing is kept */
        VEC(StepAsked) asked;
} Steps;

/* Opens and reads nothing yet. `root`: NULL: "/". Both stay the caller's. */
void steps_begin(Steps *s, const char *root, Store *store);
void steps_end(Steps *s);
/*
 * Notes what may be asked for, so that all that has to be looked up is looked up together. `path`: of
 * builds_path(). `old_fd`: the file of the old build, or -1. `lasting`: what is found is kept; not what
 * anybody could show with files of their own.
 */
void steps_want(Steps *s, const char *image, const char *path, const BuildId *old_id, const BuildId *new_id,
                int old_fd, bool lasting);
/* Of an image that was wanted; of any other only what the state has. `look`: if it is not known yet, it (and
 * all others) is looked up now. Texts live until steps_end(). */
Step steps_of(Steps *s, const char *image, const char *old_id, const char *new_id, bool look);

/* The step of a package from a version that was installed to the one that is. Texts live until steps_end().
 */
Step steps_of_package(Steps *s, const char *package, const char *arch, const char *from);

/* Its CVEs, with a space between two. */
const char *step_cves(const Step *step, Arena *arena);
/* Keeps a copy of what was found elsewhere; not in the state. */
void steps_put(Steps *s, const char *old_id, const char *new_id, const Step *found);

/* Emits the event, with what the step says as further fields. */
int step_emit(const Step *step, const Event *event, const char *file, Error *e);
/* The same with the step between the builds that the event names, if it names two. */
int steps_emit(Steps *s, const Event *event, bool look, const char *file, Error *e);

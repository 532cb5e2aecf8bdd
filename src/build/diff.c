/* SPDX-License-Identifier: Apache-2.0 */
#include "build/diff.h"
#include "base/clock.h"
#include "base/macro.h"
#include "build/judge.h"
#include "build/passes.h"
#include "dwarf/types.h"
#include "elf/debug.h"

#include <pthread.h>
#include <time.h>

typedef struct LoadJob {
        const Image *image;
        unsigned threads;
        Code *code;
        Error error;
        int result;
} LoadJob;

static void *load_job(void *argument) {
        LoadJob *job = argument;

        job->result = code_load(job->image, job->threads, &job->code, &job->error);
        return NULL;
}

/* Both sides at once. */
static int load_codes(const Image *old, const Image *new, unsigned threads, Code **a, Code **b, Error *e) {
        LoadJob jobs[2] = { { .image = old, .threads = (threads + 1) / 2 },
                            { .image = new, .threads = (threads + 1) / 2 } };
        bool parallel = threads > 1;
        pthread_t id;

        if (parallel && pthread_create(&id, NULL, load_job, &jobs[1]) != 0)
                parallel = false;
        load_job(&jobs[0]);
        if (parallel)
                pthread_join(id, NULL);
        else
                load_job(&jobs[1]);
        for (int i = 0; i < 2; i++)
                if (jobs[i].result < 0) {
                        code_free(jobs[0].code);
                        code_free(jobs[1].code);
                        return error_set(e, jobs[i].result, "%s", jobs[i].error.text);
                }
        *a = jobs[0].code;
        *b = jobs[1].code;
        return 0;
}

static bool beside_types(RefusalCode code) {
        return code == REFUSAL_CODE_ALLOCATION_SIZE || code == REFUSAL_CODE_PAIRING_CHANGED ||
               code == REFUSAL_CODE_LABEL_KEPT || code == REFUSAL_CODE_OBJECT_KIND ||
               code == REFUSAL_CODE_DATA_INITIAL || code == REFUSAL_CODE_MEANING_CHANGED;
}

/*
 * Types do not know how large the buffers are that code allocates: when a constant grows, new code would
 * run past the end of what the old code allocated. Nor do they know who frees what, what else is kept, and
 * what the objects of libraries are. So of what the judge finds, these count in any case.
 */
static int judge_beside(Diff *d, unsigned threads, Error *e) {
        LayoutGrade grade;
        Verdict all;
        int r;

        verdict_init(&all, d->arena);
        r = judge_layout(d, threads, &all, &grade, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < all.n; i++)
                if (beside_types(all.findings[i].code))
                        verdict_add(&d->verdict, all.findings[i].code, all.findings[i].subject, "%s",
                                    all.findings[i].detail);
        return 0;
}

/* The layout verdict: by debug information when both sides have it, else by the code itself. */
static int judge_grade(Diff *d, unsigned threads, const DiffOptions *options, Error *e) {
        _cleanup_(freep) char *old_debug = NULL, *new_debug = NULL;
        Verdict *v = &d->verdict;
        const char *incomplete;
        bool complete = false;
        int r, s;

        if (d->n_changed == 0 && d->n_added == 0) {
                v->grade = GRADE_CONSISTENT;
                v->evidence = "no function has changed";
                return 0;
        }
        if (!options->no_debug) {
                r = debug_find(d->old_image, options->debug_old, "", &old_debug, e);
                if (r < 0)
                        return r;
                s = debug_find(d->new_image, options->debug_new, "", &new_debug, e);
                if (s < 0)
                        return s;
                if (r == 0 && s == 0) {
                        size_t before = v->n;

                        r = dwarf_compare_types(old_debug, new_debug, v, &complete, e);
                        if (r < 0)
                                return r;
                        if (complete) {
                                v->grade = v->n == before ? GRADE_PROVED : GRADE_UNPROVED;
                                v->evidence =
                                        v->n == before
                                                ? "debug information of both builds: every type is the same"
                                                : "debug information of both builds: types differ";
                                return v->grade == GRADE_PROVED ? judge_beside(d, threads, e) : 0;
                        }
                }
        }
        r = judge_layout(d, threads, v, &v->grade, e);
        if (r < 0)
                return r;
        incomplete = old_debug && new_debug && v->evidence[0] ? v->evidence : "no debug information";
        v->evidence = arena_printf(d->arena, "%s; %s", incomplete,
                                   v->grade == GRADE_CONSISTENT
                                           ? "the new code touches old objects only as the old code did"
                                           : "the code does not show that the layout is unchanged");
        return 0;
}

static Diff *diff_new(const Image *old, const Image *new) {
        Arena *arena = arena_new();
        Diff *d = arena_new0(arena, Diff);

        d->arena = arena;
        d->beside = arena_new();
        d->old_image = old;
        d->new_image = new;
        verdict_init(&d->verdict, arena);
        return d;
}

static unsigned threads_of(const DiffOptions *options) {
        return options->threads ? options->threads : (unsigned)MAX(1, sysconf(_SC_NPROCESSORS_ONLN));
}

static void *order_beside(void *d) {
        judge_order(d);
        return NULL;
}

/* Both follow values, neither reads what the other finds: side by side, where there is anything to follow. */
static void judge_identity_and_order(Diff *d, unsigned threads) {
        Diff other = *d;
        bool beside = threads > 1 && d->n_changed + d->n_carried > 0;
        pthread_t id;

        other.arena = d->beside;
        verdict_init(&other.verdict, other.arena);
        beside = beside && pthread_create(&id, NULL, order_beside, &other) == 0;
        judge_identity(d);
        if (beside)
                pthread_join(id, NULL);
        else
                judge_order(&other);
        for (size_t i = 0; i < other.verdict.n; i++)
                verdict_add(&d->verdict, other.verdict.findings[i].code, other.verdict.findings[i].subject,
                            "%s", other.verdict.findings[i].detail);
        d->versions_left = other.versions_left;
}

/* With both codes loaded. */
static int compare(Diff *d, const DiffOptions *options, Error *e) {
        unsigned threads = threads_of(options);

        match_functions(d);
        correspond(d, threads);
        exchange_tables(d);
        judge_identity_and_order(d, threads);
        judge_hazards(d);
        judge_left(d);
        judge_folded(d);
        judge_asked(d);
        judge_coroutines(d);
        return judge_grade(d, threads, options, e);
}

int diff_run(const Image *old, const Image *new, const DiffOptions *options, Diff **out, Error *e) {
        static const DiffOptions defaults = { 0 };
        _cleanup_(diff_freep) Diff *d = diff_new(old, new);
        uint64_t start = now_usec();
        int r;

        if (!options)
                options = &defaults;
        r = load_codes(old, new, threads_of(options), &d->old, &d->new, e);
        if (r == 0)
                r = compare(d, options, e);
        if (r < 0)
                return r;
        d->usec = now_usec() - start;
        *out = TAKE_PTR(d);
        return 0;
}

int diff_turn(Diff *there, const DiffOptions *options, Diff **out, Error *e) {
        _cleanup_(diff_freep) Diff *d = diff_new(there->new_image, there->old_image);
        DiffOptions turned = *options;
        uint64_t start = now_usec();
        int r;

        turned.debug_old = options->debug_new;
        turned.debug_new = options->debug_old;
        d->old = TAKE_PTR(there->new);
        d->new = TAKE_PTR(there->old);
        diff_free(there);
        r = compare(d, &turned, e);
        if (r < 0)
                return r;
        d->usec = now_usec() - start;
        *out = TAKE_PTR(d);
        return 0;
}

Diff *diff_free(Diff *d) {
        if (d) {
                code_free(d->old);
                code_free(d->new);
                arena_free(d->beside);
                arena_free(d->arena);
        }
        return NULL;
}

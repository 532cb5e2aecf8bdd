/* SPDX-License-Identifier: Apache-2.0 */
#include "deliver/compare.h"
#include "base/clock.h"
#include "base/macro.h"
#include "deliver/wayback.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

const char *outcome_text(Outcome o) {
        static const char *const text[] = { "hotpatch", "restart", "unchanged", "unsupported" };

        return text[o];
}

/* Starts the count of the peak of resident memory anew, where the kernel lets us. */
static void peak_reset(void) {
        _cleanup_(closep) int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);

        if (fd >= 0 && write(fd, "5", 1) != 1)
                return;
}

static uint64_t peak_kib(void) {
        char line[256];
        uint64_t v = 0;
        FILE *f = fopen("/proc/self/status", "re");
        struct rusage usage;

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "VmHWM: %lu", &v) == 1)
                        break;
        if (f)
                fclose(f);
        if (!v && getrusage(RUSAGE_SELF, &usage) == 0)
                v = (uint64_t)usage.ru_maxrss;
        return v;
}

static const char *or_empty(Arena *a, const char *s) {
        return s ? arena_strdup(a, s) : "";
}

static void copy_verdict(Comparison *c, const Verdict *v) {
        verdict_init(&c->verdict, c->arena);
        c->verdict.grade = v->grade;
        c->verdict.evidence = or_empty(c->arena, v->evidence);
        for (size_t i = 0; i < v->n; i++)
                verdict_add(&c->verdict, v->findings[i].code, v->findings[i].subject, "%s",
                            v->findings[i].detail);
}

/* Makes the patch's file and reads it back: what is applied is what a file would hold, it has passed
 * every check, and needs neither image any more. */
static int keep_patch(Comparison *c, Patch *made, const CompareOptions *o, Error *e) {
        FileBytes file = { 0 };
        int r;

        made->old_path = or_empty(made->arena, o->old_path);
        made->new_path = or_empty(made->arena, o->new_path);
        made->old_version = or_empty(made->arena, o->old_version);
        made->new_version = or_empty(made->arena, o->new_version);
        r = patch_write(made, &c->patch_bytes, &c->patch_size, e);
        if (r < 0)
                return error_prefix(e,
                                    "the patch that was made does not pass its own check; please report it");
        r = file_dup(c->patch_bytes, c->patch_size, &file, e);
        if (r < 0)
                return r;
        return patch_parse("the patch that was made", &file, &c->patch, e);
}

/* The patch says it too: who has only the file asks there. Takes `d` over. */
static void judge_way_back(Diff *d, const CompareOptions *o, Comparison *c, Patch *made) {
        size_t told = c->verdict.n;

        wayback_judge(d, o, &c->verdict);
        for (; told < c->verdict.n; told++)
                verdict_add(&made->verdict, c->verdict.findings[told].code, c->verdict.findings[told].subject,
                            "%s", c->verdict.findings[told].detail);
}

static int run_diff(Image *old, Image *new, const CompareOptions *o, Comparison *c, Error *e) {
        _cleanup_(diff_freep) Diff *d = NULL;
        _cleanup_(patch_freep) Patch *made = NULL;
        int r = diff_run(old, new, &o->diff, &d, e);

        if (r < 0)
                return r;
        r = emit_patch(d, o->accepted, &made, e);
        if (r < 0)
                return r;
        copy_verdict(c, &d->verdict);
        c->identical = d->n_identical;
        c->changed = d->n_changed;
        c->carried = d->n_carried;
        c->added = d->n_added;
        c->removed = d->n_removed;
        if (r == EMIT_NOTHING) {
                c->outcome = OUTCOME_UNCHANGED;
                return 0;
        }
        if (r == EMIT_REFUSED) {
                c->outcome = OUTCOME_RESTART;
                return 0;
        }
        c->outcome = OUTCOME_HOTPATCH;
        judge_way_back(TAKE_PTR(d), o, c, made);
        return keep_patch(c, made, o, e);
}

static void keep_names(Comparison *c, const Image *new) {
        c->soname = new->soname ? arena_strdup(c->arena, new->soname) : NULL;
        c->needed = arena_newa(c->arena, const char *, new->n_needed);
        for (size_t i = 0; i < new->n_needed; i++)
                c->needed[c->n_needed++] = arena_strdup(c->arena, new->needed[i]);
}

typedef struct Parse {
        const char *name;
        FileBytes *file;
        Image *image;
        Error error;
        int result; /* 0; IMAGE_UNSUPPORTED when that is an outcome; a file that is no ELF file is an error */
} Parse;

static void *parse(void *argument) {
        Parse *p = argument;

        p->result = image_parse(p->name, p->file, &p->image, &p->error);
        if (p->result == IMAGE_NOT_ELF)
                p->result = error_set(&p->error, -EINVAL, "%s: not an ELF file or .deb package", p->name);
        return NULL;
}

/* Side by side where that is worth a thread. */
static void parse_both(Parse *old, Parse *new, unsigned threads) {
        enum { LARGE = 1 << 20 };
        pthread_t id;
        bool beside = threads != 1 && old->file->size >= LARGE && pthread_create(&id, NULL, parse, new) == 0;

        parse(old);
        if (beside)
                pthread_join(id, NULL);
        else
                parse(new);
}

int compare_files(const char *old_name, FileBytes *old_file, const char *new_name, FileBytes *new_file,
                  const CompareOptions *o, Comparison *out, Error *e) {
        _cleanup_(image_freep) Image *old = NULL, *new = NULL;
        Parse a = { .name = old_name, .file = old_file }, b = { .name = new_name, .file = new_file };
        Comparison c = { .arena = arena_new() };
        uint64_t begun = now_usec();
        int r;

        peak_reset();
        verdict_init(&c.verdict, c.arena);
        parse_both(&a, &b, o->diff.threads);
        old = a.image;
        new = b.image;
        if (a.result < 0 || b.result < 0) {
                r = a.result < 0 ? a.result : b.result;
                error_set(e, r, "%s", a.result < 0 ? a.error.text : b.error.text);
                goto fail;
        }
        if (a.result || b.result) {
                c.outcome = OUTCOME_UNSUPPORTED;
                verdict_add(&c.verdict, REFUSAL_CODE_MACHINE, new_name, "%s",
                            a.result ? a.error.text : b.error.text);
        } else {
                c.old_id = old->build_id;
                c.new_id = new->build_id;
                keep_names(&c, new);
                if (build_id_equal(&old->build_id, &new->build_id)) {
                        c.outcome = OUTCOME_UNCHANGED;
                        c.verdict.evidence = "both have the same build-id";
                } else {
                        r = run_diff(old, new, o, &c, e);
                        if (r < 0)
                                goto fail;
                }
        }
        c.usec = now_usec() - begun;
        c.peak_kib = peak_kib();
        *out = c;
        return 0;
fail:
        comparison_free(&c);
        return r;
}

void comparison_free(Comparison *c) {
        c->patch = patch_free(c->patch);
        free(TAKE_PTR(c->patch_bytes));
        c->arena = arena_free(c->arena);
}

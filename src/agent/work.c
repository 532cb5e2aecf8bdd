/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/work.h"
#include "agent/channel.h"
#include "agent/fixes.h"
#include "agent/held.h"
#include "agent/notes.h"
#include "agent/witness.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/cache.h"
#include "deliver/quarantine.h"
#include "deliver/record.h"
#include "deliver/round.h"
#include "evidence/action.h"
#include "evidence/begun.h"
#include "patch/digest.h"
#include "patch/json.h"
#include "report/event.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
        CPU_SEC = 900, /* for one comparison */
        /* What users and containers could make us do, with files of their own: */
        OTHERS_CPU_SEC = 120,
        OTHERS_MAX = 16, /* comparisons in one round */
        HISTORY_DAYS = 400,
        CACHE_DAYS = 30,
        CACHE_BYTES = 512 << 20,
};

#define LOG_PREFIX "<4>staunchd: "

/* What a process carried when it was looked at. */
typedef struct Carried {
        Process process;
        ProcessPatch *patches;
        size_t n;
} Carried;

typedef struct Run {
        const Work *w;
        Store *store;
        VEC(StoreQuarantine) quarantine; /* strings in the arena */
        Arena *arena;
        bool told; /* that a round began */
        VEC(Carried) carried;
        Builds builds; /* arena NULL: the package manager's data can't be read */
        Recorder rec;
        Begun begun;               /* what is done to processes, and not told yet */
        const OutdatedPair *asked; /* that the vault is asked about */
        unsigned others;           /* comparisons for those whose word alone does not count (witness.h) */
} Run;

static void keep_quarantine(void *data, const StoreQuarantine *q) {
        Run *run = data;

        vec_push(&run->quarantine, quarantine_copy(run->arena, q));
}

static void keep_harms(Run *run) {
        for (size_t i = 0; i < run->w->n_harms; i++) {
                char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1],
                        digest[2 * DIGEST_SIZE + 1];
                const Harm *h = &run->w->harms[i];

                keep_quarantine(run, &(StoreQuarantine){ build_id_text(&h->patch.old_id, old_text),
                                                         build_id_text(&h->patch.new_id, new_text),
                                                         digest_text(h->patch.digest, digest), "", h->reason,
                                                         0, false });
        }
}

/* The verdict about a quarantined pair needs no comparison. */
static bool quarantined(Run *run, const OutdatedPair *pair, Comparison *out) {
        for (size_t i = 0; i < run->quarantine.n; i++)
                if (quarantine_judge(&run->quarantine.items[i], pair, out))
                        return true;
        return false;
}

/* The vault gets what the digests are of, and nobody can change any more. */
static int seal(FileBytes *bytes, const char *name, Error *e) {
        int fd = channel_memfd(name, bytes->bytes, bytes->size, e);

        file_release(bytes);
        return fd;
}

/* While the vault compares: the event that tells of the patch says what it fixes, and nobody waits for that.
 */
static void look_up(void *data) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];
        Run *run = data;

        steps_of(&run->rec.steps, run->asked->path, build_id_text(&run->asked->old_id, old_text),
                 build_id_text(&run->asked->new_id, new_text), true);
}

static int ask_vault(Run *run, const OutdatedPair *pair, PairBytes *bytes, const bool *accepted, int cpu_sec,
                     Comparison *out, Error *e) {
        _cleanup_(closep) int old_fd = seal(&bytes->old, "staunch-old", e);
        _cleanup_(closep) int new_fd = old_fd < 0 ? old_fd : seal(&bytes->new, "staunch-new", e);
        int in[2] = { old_fd, new_fd }, fds[CHANNEL_FDS], r;
        FileBytes text = { 0 }, patch = { 0 };
        json_t *codes, *reply, *record;
        size_t n;

        if (new_fd < 0)
                return new_fd;
        codes = json_array();
        for (size_t i = 0; i < REFUSAL_N; i++)
                if (accepted[i])
                        json_array_append_new(codes, json_string(refusal_get((RefusalCode)i)->code));
        run->asked = pair;
        run->w->vault->meanwhile = look_up;
        run->w->vault->meanwhile_data = run;
        r = peer_ask(run->w->vault,
                     json_pack("{s:s, s:o, s:o, s:i}", "op", "compare", "path", json_text(pair->path),
                               "accepted", codes, "cpu_sec", cpu_sec),
                     in, 2, &reply, fds, &n, e);
        if (r < 0)
                return r;
        json_decref(reply);
        for (size_t i = 0; i < n && r == 0; i++)
                r = channel_sealed(fds[i], e);
        if (r == 0 && n < 1)
                r = error_set(e, -EBADMSG, "the vault's answer has no record");
        if (r == 0)
                r = file_read_fd(fds[0], pair->path, RECORD_MAX, &text, e);
        if (r == 0 && n == 2)
                r = file_read_fd(fds[1], pair->path, PATCH_MAX_FILE, &patch, e);
        for (size_t i = 0; i < n; i++)
                close(fds[i]);
        if (r < 0) {
                file_release(&text);
                return r;
        }
        record = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        file_release(&text);
        r = record_decode(pair->path, record, &patch, out, e);
        json_decref(record);
        if (r == 0 &&
            !(build_id_equal(&out->old_id, &pair->old_id) && build_id_equal(&out->new_id, &pair->new_id))) {
                comparison_free(out);
                r = error_set(e, -EBADMSG, "%s: the vault's answer is about other builds", pair->path);
        }
        return r;
}

static bool is_trusted(void *work, const Process *p) {
        (void)work;
        return witness_of(p->pid, p->unit).trusted;
}

/* Told for every pair that is not patched yet, before anything else is done about it. */
static bool known(void *data, const OutdatedPair *pair, Comparison *out) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];
        Run *run = data;
        const EventField fields[] = {
                { "STAUNCH_IMAGE", pair->path },
                { "STAUNCH_BUILD_ID_OLD", build_id_text(&pair->old_id, old_text) },
                { "STAUNCH_BUILD_ID_NEW", build_id_text(&pair->new_id, new_text) },
        };

        if (run->builds.arena)
                steps_want(&run->rec.steps, pair->path,
                           builds_path(&run->builds, &pair->process, pair->path, &pair->new_file),
                           &pair->old_id, &pair->new_id, pair->old_fd,
                           is_trusted((void *)run->w, &pair->process));
        if (quarantined(run, pair, out))
                return true;
        if (!run->told)
                recorder_emit(&run->rec, EVENT_ROUND_STARTED, fields, ELEMENTSOF(fields), false,
                              run->w->policy->mode == PATCH_ASSESS_ONLY
                                      ? "Outdated images are in use; they are judged, and nothing is patched "
                                        "(assess-only)"
                                      : "Outdated images are in use; patching begins");
        run->told = true;
        return false;
}

/* As RoundOptions.harm. */
static const char *harm_of(void *data, const ProcessPatch *patch) {
        char digest[2 * DIGEST_SIZE + 1];
        const Run *run = data;

        digest_text(patch->digest, digest);
        for (size_t i = 0; i < run->quarantine.n; i++)
                if (!run->quarantine.items[i].by_hand && strcmp(run->quarantine.items[i].digest, digest) == 0)
                        return run->quarantine.items[i].reason;
        return NULL;
}

static int compare(void *data, const OutdatedPair *pair, PairBytes *bytes, const bool *accepted,
                   Comparison *out, Error *e) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1], digest[2 * DIGEST_SIZE + 1],
                message[512];
        Run *run = data;
        const EventField fields[] = {
                { "STAUNCH_IMAGE", pair->path },
                { "STAUNCH_BUILD_ID_OLD", build_id_text(&pair->old_id, old_text) },
                { "STAUNCH_BUILD_ID_NEW", build_id_text(&pair->new_id, new_text) },
                { "STAUNCH_PATCH", digest },
        };
        bool trusted = is_trusted((void *)run->w, &pair->process);
        int r;

        beat_does(run->w->beat, BEAT_COMPARES);
        if (!trusted) /* with files of their own they could fill the disk */
                cache_prune(run->w->state, CACHE_DAYS, CACHE_BYTES);
        r = trusted || run->others++ < OTHERS_MAX
                    ? ask_vault(run, pair, bytes, accepted, trusted ? CPU_SEC : OTHERS_CPU_SEC, out, e)
                    : error_set(e, -EAGAIN,
                                "too many files of users and containers at once; it is compared later");

        if (r == 0)
                metrics_compared(run->w->metrics, out->usec);
        if (r == 0 && out->patch) {
                digest_text(out->patch->digest, digest);
                snprintf(message, sizeof(message), "A patch for %s is ready: %zu functions", pair->path,
                         (size_t)out->patch->n_sites);
                recorder_emit(&run->rec, EVENT_PATCH_READY, fields, ELEMENTSOF(fields), false, message);
        }
        return r;
}

bool work_enter(void *work, const Process *p) {
        const Work *w = work;
        size_t of_unit = 0;

        for (size_t i = 0; p && i < w->n_skip; i++) {
                const Process *s = &w->skip[i].process;

                if (s->pid == p->pid && s->start_time == p->start_time)
                        return false;
                of_unit += *p->unit && strcmp(s->unit, p->unit) == 0;
        }
        if (of_unit >= WORK_UNIT_SKIP)
                return false;
        beat_enter(w->beat, p);
        return true;
}

static const char *subject_of(const Process *p, Arena *a) {
        return p->unit[0] ? p->unit : arena_printf(a, "process %s", p->comm);
}

/* Is it new? */
static bool put_restart(Run *run, const StoreRestart *r) {
        bool fresh = true;
        Error e = { 0 };

        if (store_put_restart(run->store, r, &fresh, &e) < 0)
                fprintf(stderr, "<3>staunchd: %s\n", e.text);
        return fresh;
}

static void keep_restart(Run *run, const char *subject, const StoreAction *a) {
        Step step = steps_of(&run->rec.steps, a->image, a->old_id, a->new_id, true);
        StoreRestart r = { .subject = subject,
                           .image = a->image,
                           .new_id = a->new_id,
                           .reason = a->reason,
                           .detail = a->detail,
                           .since_usec = a->time_usec,
                           .old_id = a->old_id,
                           .package = step.package,
                           .cves = step_cves(&step, run->arena),
                           .omitted = step.omitted };

        if (put_restart(run, &r)) /* not once for each of its processes */
                recorder_tell(&run->rec, EVENT_RESTART_PENDING, a,
                              arena_printf(run->arena, "%s needs a restart for %s: %s (%s)", subject,
                                           a->image, a->reason, a->detail));
}

/* Whoever took a patch out by hand does not want its code by a restart either. */
static bool is_held(const ConvergedImage *image) {
        return image->verdict && image->verdict->n && image->verdict->findings[0].code == REFUSAL_CODE_HELD;
}

/* Keeps and tells what became of one image. Returns WORK_AGAIN when it is worth another try. */
static int keep_image(Run *run, const Converged *c, const ConvergedProcess *p, const ConvergedImage *image) {
        const Patch *patch =
                image->image->pair == SIZE_MAX ? NULL : c->pairs[image->image->pair].comparison.patch;
        const char *subject = subject_of(&p->of->process, run->arena);
        bool done = image->outcome == IMAGE_PATCHED || image->outcome == IMAGE_REVERTED, again, needs_restart;
        StoreAction a = action_of_image(p, image, patch, &again, run->arena);

        if (image->outcome == IMAGE_CURRENT)
                return WORK_DONE;
        needs_restart = !again && image->outcome == IMAGE_RESTART && !is_held(image);
        if (!done && store_said(run->store, &a, NULL) == 1) {
                /* Its restart was made, and this process outlived it; or the process's id is one of an
                 * earlier boot. */
                if (needs_restart && store_has_restart(run->store, subject, a.image, NULL) == 0)
                        keep_restart(run, subject, &a);
                return again ? WORK_AGAIN : WORK_DONE;
        }
        recorder_add(&run->rec, &a, again);
        if (done) {
                metrics_pause(run->w->metrics, image->pause_usec);
                store_drop_restart(run->store, subject, a.image, NULL);
        } else if (needs_restart) {
                keep_restart(run, subject, &a);
        }
        return again ? WORK_AGAIN : WORK_DONE;
}

typedef struct Stale {
        const Converged *c;
        Run *run;
        VEC(StoreRestart) drop, held;
} Stale;

typedef struct Asked {
        const char *unit;
        uint64_t since_usec; /* 0: none is pending */
} Asked;

static void find_asked(void *data, const StoreRestart *r) {
        Asked *a = data;

        if (!*r->image && strcmp(r->subject, a->unit) == 0)
                a->since_usec = r->since_usec;
}

/* The packages that asked, and what their upgrades fix. */
static void about_packages(Run *run, const Held *held, About *about) {
        for (size_t i = 0; i < held->n; i++) {
                const HeldPackage *p = &held->packages[i];
                Step step = steps_of_package(&run->rec.steps, p->name, p->arch, p->from);

                about_add_field(about, run->arena, ABOUT_PACKAGE, step.package);
                for (size_t k = 0; k < step.n; k++)
                        about_add_field(about, run->arena, EVENT_CVE, step.cves[k]);
                about->omitted = MAX(about->omitted, step.omitted);
        }
}

/* A package's script asked for the restart, was told no, and nothing takes its place. It is of no image. */
static void keep_held(void *data, const Held *held) {
        Stale *s = data;
        Run *run = s->run;
        StoreRestart r = { .subject = arena_strdup(run->arena, held->unit),
                           .image = "",
                           .old_id = "",
                           .new_id = "",
                           .reason = refusal_get(REFUSAL_CODE_PACKAGE_RESTART)->code,
                           .detail = "its package was upgraded, and no code of it that runs was replaced",
                           .since_usec = held->since_usec };
        StoreAction a = { .time_usec = r.since_usec,
                          .comm = "",
                          .unit = r.subject,
                          .image = "",
                          .old_id = "",
                          .new_id = "",
                          .digest = "",
                          .action = "restart",
                          .outcome = "refused",
                          .reason = r.reason,
                          .detail = r.detail };
        Asked asked = { .unit = r.subject };
        About about = { 0 };

        vec_push(&s->held, r);
        store_each_restart(run->store, find_asked, &asked, NULL);
        if (asked.since_usec >= held->since_usec) /* it was kept by a round before */
                return;
        about_packages(run, held, &about);
        r.package = about_values(&about, run->arena, ABOUT_PACKAGE);
        r.cves = about_values(&about, run->arena, EVENT_CVE);
        r.omitted = about.omitted;
        if (put_restart(run, &r))
                recorder_tell_about(&run->rec, EVENT_RESTART_PENDING, &a, &about,
                                    arena_printf(run->arena, "%s needs a restart, as %s asked for: %s (%s)",
                                                 r.subject, *r.package ? r.package : "a package", r.reason,
                                                 r.detail));
}

/* A restart that no process needs any more. One that a package asked for is dropped with the note of it
 * (held.h). */
static void find_stale(void *data, const StoreRestart *r) {
        Stale *s = data;

        for (size_t i = 0; i < s->held.n; i++)
                if (!*r->image && strcmp(r->subject, s->held.items[i].subject) == 0)
                        return;

        for (size_t i = 0; i < s->c->outdated.n_processes; i++) {
                const ConvergedProcess *p = &s->c->processes[i];

                for (size_t k = 0; !p->gone && k < p->of->n; k++)
                        if (p->images[k].outcome == IMAGE_RESTART && !is_held(&p->images[k]) &&
                            strcmp(p->images[k].image->path, r->image) == 0 &&
                            strcmp(subject_of(&p->of->process, s->run->arena), r->subject) == 0)
                                return;
        }
        StoreRestart copy = { .subject = arena_strdup(s->run->arena, r->subject),
                              .image = arena_strdup(s->run->arena, r->image) };
        vec_push(&s->drop, copy);
}

static void drop_stale(Run *run, const Converged *c) {
        Stale s = { .c = c, .run = run };
        Error e = { 0 };

        if (held_settle(run->w->state, c, keep_held, &s, &e) < 0)
                fprintf(stderr, "<3>staunchd: %s\n", e.text);
        store_each_restart(run->store, find_stale, &s, NULL);
        for (size_t i = 0; i < s.drop.n; i++)
                store_drop_restart(run->store, s.drop.items[i].subject, s.drop.items[i].image, NULL);
        vec_free(&s.drop);
        vec_free(&s.held);
}

int work_open_state(const Work *w, Store **out, Error *e) {
        int r = store_open(w->state, out, e);
        Error lost = { 0 };

        if (r == STORE_LOST &&
            event_emit(&(Event){ .kind = EVENT_STATE_LOST,
                                 .message = "The state file could not be read and was put aside; what is "
                                            "patched is found in the processes" },
                       w->events, &lost) < 0)
                fprintf(stderr, "<4>staunchd: %s (event: state-lost)\n", lost.text);
        return r < 0 ? r : 0;
}

/* What nobody will ask for any more. */
static void forget_old(const Work *w, Store *store) {

        store_prune(store, wall_usec() - HISTORY_DAYS * UINT64_C(86400000000), NULL);
        store_prune_builds(store, wall_usec() - HISTORY_DAYS * UINT64_C(86400000000), NULL);
        store_prune_fixes(store, wall_usec() - HISTORY_DAYS * UINT64_C(86400000000), NULL);
        cache_prune(w->state, CACHE_DAYS, CACHE_BYTES);
}

static void saw_current(void *data, const Process *p, const char *path, int fd) {
        builds_current(data, p, path, fd);
}

/* What was not recorded now is found at the next round. */
static void keep_builds(Builds *builds, const Converged *c, Store *store) {
        Error e = { 0 };

        if (builds_record(builds, &c->outdated, store, wall_usec(), &e) < 0)
                fprintf(stderr, "<4>staunchd: the versions of what runs are not recorded: %s\n", e.text);
}

static void count_one(void *data, const StoreRestart *r) {
        (void)r;
        ++*(uint64_t *)data;
}

static void count_quarantine(void *data, const StoreQuarantine *q) {
        *(uint64_t *)data += !q->by_hand;
}

/* For the metrics: what this round leaves behind. */
static void count_round(Run *run, const Converged *c) {
        MetricsRound round = { 0 };
        uint64_t quarantined = 0;

        for (size_t i = 0; i < c->outdated.n_processes; i++) {
                bool outdated = false, restart = false;

                for (size_t k = 0; !c->processes[i].gone && k < c->processes[i].of->n; k++) {
                        ImageOutcome outcome = c->processes[i].images[k].outcome;

                        outdated |= outcome != IMAGE_PATCHED && outcome != IMAGE_REVERTED &&
                                    outcome != IMAGE_CURRENT;
                        restart |= outcome == IMAGE_RESTART;
                }
                round.outdated += outdated;
                round.restart_pending += restart;
        }
        store_each_restart(run->store, count_one, &round.pending_restarts, NULL);
        store_each_quarantine(run->store, count_quarantine, &quarantined, NULL);
        metrics_round(run->w->metrics, &round);
        metrics_quarantined(run->w->metrics, quarantined);
}

static void keep_carried(void *data, const Process *p, const ProcessPatch *patches, size_t n) {
        Run *run = data;
        Carried c = { .process = *p, .patches = arena_newa(run->arena, ProcessPatch, n), .n = n };

        memcpy(c.patches, patches, n * sizeof(*patches));
        vec_push(&run->carried, c);
}

static void note_begun(void *data, const Process *p, bool reverts, const char *image, const BuildId *old_id,
                       const BuildId *new_id, const uint8_t digest[DIGEST_SIZE]) {
        Run *run = data;

        beat_does(run->w->beat, BEAT_CHANGES);
        begun_note(&run->begun, p, reverts, image, old_id, new_id, digest);
}

/* What is told of it first: what those who were killed have done. */
static void begin_telling(Run *run) {
        const Work *w = run->w;

        recorder_begin(&run->rec, run->store, w->events, w->root, LOG_PREFIX);
        begun_init(&run->begun, w->state);
        begun_tell(w->state, &run->rec, work_enter, (void *)w);
}

static void keep_fixes(Run *run, const BuildId *old_id, const BuildId *new_id) {
        fixes_write(run->w->fixes_fd, &run->rec.steps, run->w->known, old_id, new_id);
}

/* Writes down what the processes carry now. Only those that the round worked on are asked again. */
static void write_notes(Run *run, const Converged *c) {
        VEC(pid_t) changed = { 0 };

        for (size_t i = 0; i < c->outdated.n_processes; i++)
                if (c->processes[i].applied) {
                        const OutdatedProcess *p = c->processes[i].of;

                        vec_push(&changed, p->process.pid);
                        for (size_t k = 0; k < p->n; k++)
                                keep_fixes(run, &p->images[k].old_id, &p->images[k].new_id);
                }
        for (size_t i = 0; i < run->carried.n; i++) {
                const Carried *one = &run->carried.items[i];
                bool again = false;

                for (size_t k = 0; k < one->n; k++)
                        keep_fixes(run, &one->patches[k].old_id, &one->patches[k].new_id);
                for (size_t k = 0; k < changed.n && !again; k++)
                        again = changed.items[k] == one->process.pid;
                if (!again)
                        notes_write(run->w->notes_fd, &one->process, one->patches, one->n);
        }
        if (changed.n)
                notes_take(run->w->notes_fd, changed.items, changed.n, run->w->root, work_enter,
                           (void *)run->w);
        vec_free(&changed);
}

int work_round(const Work *w, const pid_t *pids, size_t n, Error *e) {
        _cleanup_(closep) int lock = round_lock(w->lock, e);
        _cleanup_(store_closep) Store *store = NULL;
        Run run = { .w = w, .arena = arena_new() };
        RoundOptions options = { .policy = w->policy,
                                 .pids = pids,
                                 .n_pids = n,
                                 .root = w->root,
                                 .cache = w->state,
                                 .urgent = is_trusted,
                                 .enter = work_enter,
                                 .enter_data = (void *)w,
                                 .known = known,
                                 .compare = compare,
                                 .compare_data = &run,
                                 .harm = harm_of,
                                 .carries = keep_carried,
                                 .carries_data = &run,
                                 .begins = note_begun,
                                 .begins_data = &run };
        Converged c;
        int r = lock < 0 ? lock : work_open_state(w, &store, e), result = WORK_DONE;

        if (r >= 0) {
                run.store = store;
                begin_telling(&run);
                if (builds_open(w->root, &run.builds, NULL) == 0) {
                        options.current = saw_current;
                        options.current_data = &run.builds;
                }
                store_each_quarantine(store, keep_quarantine, &run, NULL);
                keep_harms(&run);
                beat_does(w->beat, BEAT_LOOKS);
                r = round_run(&options, &c, e);
        }
        if (r >= 0) {
                for (size_t i = 0; i < c.outdated.n_processes; i++)
                        for (size_t k = 0; !c.processes[i].gone && k < c.processes[i].of->n; k++)
                                if (keep_image(&run, &c, &c.processes[i], &c.processes[i].images[k]) ==
                                    WORK_AGAIN)
                                        result = WORK_AGAIN;
                begun_end(&run.begun);
                write_notes(&run, &c);
                if (!n) {
                        drop_stale(&run, &c);
                        count_round(&run, &c);
                        forget_old(w, store);
                }
                if (run.builds.arena)
                        keep_builds(&run.builds, &c, store);
                converge_free(&c);
        }
        if (run.builds.arena)
                builds_close(&run.builds);
        recorder_end(&run.rec);
        vec_free(&run.carried);
        vec_free(&run.quarantine);
        arena_free(run.arena);
        return r < 0 ? r : result;
}

/* Does the policy accept that it is taken out although its way back is not proved? */
static bool reverts_unproved(const Run *run, const Process *p, const ProcessPatch *patch) {
        _cleanup_(maps_free) Maps maps = { 0 };
        const Mapping *m = maps_read(p->pid, &maps, NULL) == 0 ? maps_at(&maps, patch->image_base) : NULL;

        return patch->way_back != WAY_BACK_PROVED && round_reverts_unproved(run->w->policy, m ? m->path : "");
}

/* Returns WORK_AGAIN when it is worth another try. */
static int revert_one(Run *run, const Process *p, const ProcessPatch *patch, const char *reason) {
        EngineOptions options = { .deadline_usec = run->w->policy->deadline_usec,
                                  .unproved = reverts_unproved(run, p, patch) };
        EngineResult result = { .refusal = REFUSAL_N };
        Error e = { 0 };
        StoreAction a;
        bool again;
        int r;

        beat_does(run->w->beat, BEAT_CHANGES);
        begun_note(&run->begun, p, true, patch->name, &patch->old_id, &patch->new_id, patch->digest);
        r = engine_revert(p->pid, patch->digest, &options, &result, &e);
        again = r < 0 || (r > 0 && converge_is_passing(result.refusal));
        a = action_of_revert(p, patch, r, &result, e.text, run->arena);

        if (!*a.reason)
                a.reason = "quarantined";
        if (r == 0)
                a.detail = reason;
        else if (run->store && store_said(run->store, &a, NULL) == 1)
                return again ? WORK_AGAIN : WORK_DONE;
        recorder_add(&run->rec, &a, false);
        if (r == 0)
                metrics_pause(run->w->metrics, result.pause_usec);
        else
                recorder_tell(&run->rec, EVENT_PATCH_FAILED, &a,
                              arena_printf(run->arena,
                                           "%s (pid %d): the patch of %s could not be taken out: %s%s",
                                           p->comm, p->pid, patch->name, a.detail,
                                           again ? "; it is tried again"
                                           : result.refusal == REFUSAL_CODE_REVERT_UNPROVED
                                                   ? "; a restart is pending"
                                                   : ""));
        return again ? WORK_AGAIN : WORK_DONE;
}

/* From every process that still has one. Returns WORK_AGAIN when it is worth another try. */
static int take_out_quarantined(Run *run, Error *e) {
        ProcessList all = { 0 };
        int r = process_select(NULL, 0, &all, e), result = WORK_DONE;

        beat_does(run->w->beat, BEAT_LOOKS);
        for (size_t i = 0; r >= 0 && i < all.n; i++) {
                _cleanup_(freep) ProcessPatch *have = NULL;
                size_t n = 0;

                if (!work_enter((void *)run->w, &all.items[i]) ||
                    outdated_status(all.items[i].pid, run->w->root, &have, &n, NULL) < 0)
                        continue;
                for (size_t k = 0; k < n; k++) {
                        const char *harm =
                                have[k].state == PATCH_STATE_ACTIVE ? harm_of(run, &have[k]) : NULL;

                        if (harm && revert_one(run, &all.items[i], &have[k], harm) == WORK_AGAIN)
                                result = WORK_AGAIN;
                }
        }
        work_enter((void *)run->w, NULL);
        process_list_free(&all);
        return r < 0 ? r : result;
}

/* First it is made sure that nothing applies it again. */
static int put_quarantine(Run *run, const ProcessPatch *patch, const char *reason, Error *e) {
        char old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1], digest[2 * DIGEST_SIZE + 1];
        StoreQuarantine q = { build_id_text(&patch->old_id, old_text),
                              build_id_text(&patch->new_id, new_text),
                              digest_text(patch->digest, digest),
                              patch->name,
                              reason,
                              wall_usec(),
                              false };
        const EventField fields[] = {
                { "STAUNCH_IMAGE", patch->name },     { "STAUNCH_BUILD_ID_OLD", old_text },
                { "STAUNCH_BUILD_ID_NEW", new_text }, { "STAUNCH_PATCH", digest },
                { "STAUNCH_REASON", "quarantined" },  { "STAUNCH_DETAIL", reason },
        };
        int r = store_put_quarantine(run->store, &q, e);

        if (r >= 0)
                recorder_emit(&run->rec, EVENT_PATCH_QUARANTINED, fields, ELEMENTSOF(fields), true,
                              arena_printf(run->arena, "The patch of %s is in quarantine: %s", patch->name,
                                           reason));
        return r;
}

int work_quarantine(const Work *w, Error *e) {
        _cleanup_(closep) int lock = round_lock(w->lock, e);
        _cleanup_(store_closep) Store *store = NULL;
        Run run = { .w = w, .arena = arena_new() };
        int written = lock < 0 ? lock : work_open_state(w, &store, e), r = lock < 0 ? lock : 0;
        uint64_t quarantined = 0;

        run.store = store;
        begin_telling(&run);
        if (written >= 0)
                written = store_each_quarantine(store, keep_quarantine, &run, e);
        for (size_t i = 0; i < w->n_harms && written >= 0; i++)
                if (!harm_of(&run, &w->harms[i].patch)) /* one that has to stay does harm again */
                        written = put_quarantine(&run, &w->harms[i].patch, w->harms[i].reason, e);
        keep_harms(&run);
        if (r >= 0 && run.quarantine.n)
                r = take_out_quarantined(&run, written < 0 ? NULL : e);
        begun_end(&run.begun);
        if (r >= 0 && written >= 0) {
                store_each_quarantine(store, count_quarantine, &quarantined, NULL);
                metrics_quarantined(w->metrics, quarantined);
        }
        if (r >= 0)
                notes_take(w->notes_fd, NULL, 0, w->root, work_enter, (void *)w);
        recorder_end(&run.rec);
        vec_free(&run.quarantine);
        arena_free(run.arena);
        return r < 0 || written >= 0 ? r : written;
}

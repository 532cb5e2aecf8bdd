/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/observe.h"
#include "agent/child.h"
#include "agent/prober.h"
#include "agent/respawn.h"
#include "agent/sampler.h"
#include "agent/series.h"
#include "agent/witness.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "patch/digest.h"
#include "patch/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum {
        SAVE_USEC = 300000000,   /* between two times that figures are written down */
        FAILURES = 3,            /* in a row, until it is told */
        RESPAWN_USEC = 60000000, /* between the end of a service and its new start by systemd */
        TOGETHER_SEC = 60,       /* patches of one subject so near one another answer for each other */
};

/* A patch that a process carries. */
typedef struct Carried {
        pid_t pid;
        char subject[128];
        ProcessPatch patch;
} Carried;

/* A patch of a subject, from its first process on. */
typedef struct Watched {
        char subject[128];
        ProcessPatch patch;
        HealthState state; /* HEALTH_OBSERVING until it is decided */
        bool used;         /* some process carries it */
        /* A process that carried it ended by itself with `code`; systemd started the unit again. Times of
         * CLOCK_MONOTONIC; 0: not so. */
        uint64_t failed_usec, respawned_usec;
        int code;
} Watched;

typedef struct ProbeState {
        const Probe *probe;
        bool good, told; /* told: that it fails */
        double sec;
        uint64_t runs, failures;
        unsigned row;
} ProbeState;

struct Observer {
        ObserverOwner owner;
        void *data;
        const char *state;
        sd_event *loop;
        sd_event_source *save, *saver;
        SeriesBook *book;
        Prober *prober;
        Sampler *sampler;
        Respawns *respawns;
        const Policy *policy;
        ProbeState *probes;
        size_t n_probes;
        VEC(Carried) carried;
        VEC(Watched) watched;
};

static bool same_patch(const ProcessPatch *a, const ProcessPatch *b) {
        return memcmp(a->digest, b->digest, DIGEST_SIZE) == 0;
}

static uint64_t since_usec(const Watched *w) {
        return w->patch.time_sec * 1000000;
}

/* The newest patch of the subject that is being observed; NULL: none is. */
static Watched *observed(const Observer *o, const char *subject) {
        Watched *newest = NULL;

        for (size_t i = 0; i < o->watched.n; i++) {
                Watched *w = &o->watched.items[i];

                if (w->state == HEALTH_OBSERVING && w->used && strcmp(w->subject, subject) == 0 &&
                    (!newest || w->patch.time_sec > newest->patch.time_sec))
                        newest = w;
        }
        return newest;
}

static void tell(Observer *o, EventKind kind, const Watched *w, const char *series, const char *detail,
                 const char *message) {
        bool unit = strncmp(w->subject, "process ", 8) != 0;
        char digest[2 * DIGEST_SIZE + 1], old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1];

        o->owner.event(o->data, kind,
                       (EventField[]){ { "STAUNCH_SUBJECT", w->subject },
                                       { "STAUNCH_UNIT", unit ? w->subject : NULL },
                                       { "UNIT", unit ? w->subject : NULL },
                                       { "STAUNCH_PATCH", digest_text(w->patch.digest, digest) },
                                       { "STAUNCH_IMAGE", w->patch.name },
                                       { "STAUNCH_BUILD_ID_OLD", build_id_text(&w->patch.old_id, old_text) },
                                       { "STAUNCH_BUILD_ID_NEW", build_id_text(&w->patch.new_id, new_text) },
                                       { "STAUNCH_MEASURE", series },
                                       { "STAUNCH_DETAIL", detail } },
                       9, message);
}

/* Patches that came together answer together: which of them it was can't be told. */
static void degraded(Observer *o, Watched *newest, const char *series, const char *detail) {
        uint64_t from = newest->patch.time_sec > TOGETHER_SEC ? newest->patch.time_sec - TOGETHER_SEC : 0;
        char message[512], reason[400];

        snprintf(reason, sizeof(reason), "%.120s: %s", series, detail);
        for (size_t i = 0; i < o->watched.n; i++) {
                Watched *w = &o->watched.items[i];

                if (w->state != HEALTH_OBSERVING || strcmp(w->subject, newest->subject) != 0 ||
                    w->patch.time_sec < from)
                        continue;
                w->state = HEALTH_DEGRADED;
                snprintf(message, sizeof(message), "%s got worse after the patch of %s: %s", w->subject,
                         w->patch.name, reason);
                tell(o, EVENT_HEALTH_DEGRADED, w, series, detail, message);
                if (o->policy->automatic_rollback)
                        o->owner.harm(o->data, &w->patch, reason);
        }
}

/* Did systemd start the service again because a patched process of it failed? */
static void judge_end(Observer *o, Watched *w) {
        uint64_t later = MAX(w->failed_usec, w->respawned_usec),
                 sooner = MIN(w->failed_usec, w->respawned_usec);
        char detail[100];

        if (w->state != HEALTH_OBSERVING || !sooner || later - sooner > RESPAWN_USEC)
                return;
        snprintf(detail, sizeof(detail), "it ended with exit code %d, and systemd started it again", w->code);
        degraded(o, w, "restarts", detail);
}

/* One that had to be started again before it was patched does that with the patch as well as without. */
static void on_respawn(void *data, const char *unit, uint32_t before) {
        Observer *o = data;

        for (size_t i = 0; !before && i < o->watched.n; i++) {
                Watched *w = &o->watched.items[i];

                if (strcmp(w->subject, unit) != 0)
                        continue;
                w->respawned_usec = now_usec();
                judge_end(o, w);
        }
}

/* It is over when every series of the subject has as many samples as are looked at, and none got worse. */
static void confirm(Observer *o, Watched *w) {
        bool judged = false;
        char message[400];

        for (size_t i = 0; series_get(o->book, i); i++) {
                const Series *s = &series_get(o->book, i)->series;
                HealthVerdict v;

                if (strcmp(s->subject, w->subject) != 0)
                        continue;
                v = health_judge(s, since_usec(w));
                if (v.n_after < HEALTH_AFTER)
                        return;
                judged |= v.state == HEALTH_CONFIRMED;
        }
        w->state = judged ? HEALTH_CONFIRMED : HEALTH_UNJUDGED;
        if (!judged)
                return;
        snprintf(message, sizeof(message), "%s does after the patch of %s as it did before", w->subject,
                 w->patch.name);
        tell(o, EVENT_HEALTH_CONFIRMED, w, NULL, NULL, message);
}

static void measured(Observer *o, const char *subject, const char *name, Measure measure, double value) {
        Watched *w = observed(o, subject);
        Measured *m = series_add(o->book, subject, name, measure, (Sample){ wall_usec(), value }, w);
        HealthVerdict v;

        if (!m || !w)
                return;
        v = health_judge(&m->series, since_usec(w));
        if (v.state == HEALTH_DEGRADED)
                degraded(o, w, name, v.reason);
        else if (v.n_after >= HEALTH_AFTER)
                confirm(o, w);
}

static void on_usage(void *data, const char *subject, double cores, double bytes) {
        if (cores >= 0)
                measured(data, subject, "cpu", MEASURE_CPU, cores);
        if (bytes >= 0)
                measured(data, subject, "memory", MEASURE_MEMORY, bytes);
}

static void tell_probe(Observer *o, const Probe *p, EventKind kind, const char *detail) {
        bool unit = strncmp(p->subject, "process ", 8) != 0;
        char message[700];

        snprintf(message, sizeof(message), "The probe '%s' of %s %s%s", p->name, p->subject,
                 kind == EVENT_PROBE_FAILED ? "fails: " : "is answered again", detail ? detail : "");
        o->owner.event(o->data, kind,
                       (EventField[]){ { "STAUNCH_SUBJECT", p->subject },
                                       { "STAUNCH_UNIT", unit ? p->subject : NULL },
                                       { "UNIT", unit ? p->subject : NULL },
                                       { "STAUNCH_PROBE", p->name },
                                       { "STAUNCH_DETAIL", detail } },
                       5, message);
}

static void on_probed(void *data, const Probe *p, uint64_t usec, const char *failed) {
        Observer *o = data;
        ProbeState *s = o->probes;

        while (s < o->probes + o->n_probes && s->probe != p)
                s++;
        if (s == o->probes + o->n_probes)
                return;
        s->runs++;
        s->good = !failed;
        s->failures += failed != NULL;
        s->row = failed ? s->row + 1 : 0;
        s->sec = (double)usec / 1e6;
        if (failed && s->row == FAILURES)
                tell_probe(o, p, EVENT_PROBE_FAILED, failed);
        else if (!failed && s->told)
                tell_probe(o, p, EVENT_PROBE_RECOVERED, NULL);
        s->told = s->row >= FAILURES;
        measured(o, p->subject, p->name, MEASURE_RESPONSE, failed ? -1 : s->sec);
}

static void save_now(Observer *o) {
        _cleanup_(store_closep) Store *store = NULL;
        Error e = { 0 };

        if (store_open(o->state, &store, &e) < 0 || series_save(o->book, store, &e) < 0)
                child_log(LOG_WARNING, "figures are not kept: %s", e.text);
}

static int on_saved(sd_event_source *s, const siginfo_t *si, void *data) {
        Observer *o = data;

        (void)s;
        (void)si;
        o->saver = sd_event_source_unref(o->saver);
        return 0;
}

/* A disk may be slow: in a fork. */
static int on_save(sd_event_source *s, uint64_t usec, void *data) {
        Observer *o = data;
        pid_t pid;

        sd_event_source_set_time(s, MAX(usec + SAVE_USEC, now_usec()));
        sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        if (o->saver)
                return 0;
        pid = fork();
        if (pid == 0) {
                sigset_t none;

                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                save_now(o);
                _exit(0);
        }
        if (pid > 0 && sd_event_add_child(o->loop, &o->saver, pid, WEXITED, on_saved, o) >= 0)
                series_saved(o->book);
        return 0;
}

int observer_new(sd_event *loop, Network *net, const char *state, const ObserverOwner *owner, void *data,
                 Observer **out, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        Observer *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                abort();
        *o = (Observer){
                .owner = *owner, .data = data, .state = state, .loop = loop, .book = series_book_new()
        };
        r = store_open(state, &store, e);
        if (r >= 0)
                r = series_load(o->book, store, e);
        if (r < 0) {
                series_book_free(o->book);
                free(o);
                return r;
        }
        o->prober = prober_new(loop, net, on_probed, o);
        o->sampler = sampler_new(loop, on_usage, o);
        o->respawns = respawns_new(loop, on_respawn, o);
        sd_event_add_time(loop, &o->save, CLOCK_MONOTONIC, now_usec() + SAVE_USEC, SAVE_USEC / 10, on_save,
                          o);
        *out = o;
        return 0;
}

void observer_free(Observer *o) {
        if (!o)
                return;
        prober_free(o->prober);
        sampler_free(o->sampler);
        respawns_free(o->respawns);
        sd_event_source_unref(o->save);
        sd_event_source_unref(o->saver);
        save_now(o);
        series_book_free(o->book);
        free(o->probes);
        vec_free(&o->carried);
        vec_free(&o->watched);
        free(o);
}

void observer_policy(Observer *o, const Policy *policy) {
        o->policy = policy;
        free(o->probes);
        o->probes = calloc(policy->n_probe + 1, sizeof(*o->probes));
        if (!o->probes)
                abort();
        o->n_probes = policy->n_probe;
        for (size_t i = 0; i < policy->n_probe; i++)
                o->probes[i].probe = &policy->probe[i];
        prober_set(o->prober, policy->probe, policy->n_probe);
        sampler_set(o->sampler, policy->sample_usec);
}

/* What no process carries any more is not observed any more; but for a moment, while systemd may start it
 * again. */
static void drop_unused(Observer *o) {
        uint64_t now = now_usec();
        size_t kept = 0;

        for (size_t i = 0; i < o->watched.n; i++) {
                Watched *w = &o->watched.items[i];

                w->used = false;
                for (size_t k = 0; k < o->carried.n && !w->used; k++)
                        w->used = same_patch(&o->carried.items[k].patch, &w->patch) &&
                                  strcmp(o->carried.items[k].subject, w->subject) == 0;
                if (w->used || (w->failed_usec && now - w->failed_usec <= RESPAWN_USEC))
                        o->watched.items[kept++] = *w;
                else
                        respawns_forget(o->respawns, w->subject);
        }
        o->watched.n = kept;
        /* Those that have more than one patch are followed still. */
        for (size_t i = 0; i < kept; i++)
                if (o->watched.items[i].state == HEALTH_OBSERVING &&
                    is_system_service(o->watched.items[i].subject))
                        respawns_follow(o->respawns, o->watched.items[i].subject);
}

static bool forget(Observer *o, pid_t pid) {
        size_t kept = 0, before = o->carried.n;

        for (size_t i = 0; i < o->carried.n; i++)
                if (o->carried.items[i].pid != pid)
                        o->carried.items[kept++] = o->carried.items[i];
        o->carried.n = kept;
        return kept < before;
}

static void watch(Observer *o, const Carried *c) {
        Watched fresh = { .patch = c->patch, .state = HEALTH_OBSERVING };

        for (size_t i = 0; i < o->watched.n; i++)
                if (same_patch(&o->watched.items[i].patch, &c->patch) &&
                    strcmp(o->watched.items[i].subject, c->subject) == 0)
                        return;
        memcpy(fresh.subject, c->subject, sizeof(fresh.subject));
        vec_push(&o->watched, fresh);
}

static bool has_probe(const Observer *o, const char *subject) {
        for (size_t i = 0; i < o->n_probes; i++)
                if (strcmp(o->probes[i].probe->subject, subject) == 0)
                        return true;
        return false;
}

static void carry(Observer *o, const Carried *c, const ProcessPatch *patches, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (patches[i].state == PATCH_STATE_ACTIVE) {
                        Carried one = *c;

                        one.patch = patches[i];
                        vec_push(&o->carried, one);
                        watch(o, &one);
                }
}

void observer_note(Observer *o, const Process *p, const ProcessPatch *patches, size_t n) {
        Carried unit = { .pid = p->pid }, process = { .pid = p->pid };

        snprintf(unit.subject, sizeof(unit.subject), "%s", p->unit);
        snprintf(process.subject, sizeof(process.subject), "process %s", p->comm);
        forget(o, p->pid);
        if (is_system_service(p->unit))
                carry(o, &unit, patches, n);
        if (!is_system_service(p->unit) || has_probe(o, process.subject))
                carry(o, &process, patches, n);
        drop_unused(o);
}

/* Which of its patches it was can't be told. */
static void note_failure(Observer *o, pid_t pid, int code) {
        for (size_t i = 0; i < o->carried.n; i++) {
                const Carried *c = &o->carried.items[i];

                for (size_t k = 0; c->pid == pid && k < o->watched.n; k++) {
                        Watched *w = &o->watched.items[k];

                        if (!same_patch(&w->patch, &c->patch) || strcmp(w->subject, c->subject) != 0)
                                continue;
                        w->failed_usec = now_usec();
                        w->code = code;
                        judge_end(o, w);
                }
        }
}

void observer_ended(Observer *o, pid_t pid, int code) {
        if (code)
                note_failure(o, pid, code);
        if (forget(o, pid))
                drop_unused(o);
}

void observer_answer(Observer *o, unsigned id, uint64_t usec, const char *failed) {
        prober_answer(o->prober, id, usec, failed);
}

void observer_lost(Observer *o) {
        prober_lost(o->prober);
}

size_t observer_observed(const Observer *o) {
        size_t n = 0;

        for (size_t i = 0; i < o->watched.n; i++)
                n += o->watched.items[i].used && o->watched.items[i].state == HEALTH_OBSERVING;
        return n;
}

bool observer_probe(const Observer *o, size_t i, ProbeFigures *out) {
        for (size_t k = 0; k < o->n_probes; k++) {
                const ProbeState *s = &o->probes[k];

                if (!s->runs || i--)
                        continue;
                *out = (ProbeFigures){ s->probe, s->good, s->sec, s->runs, s->failures };
                return true;
        }
        return false;
}

static json_t *figure(double v) {
        return v < 0 ? json_null() : json_real(v);
}

static json_t *series_json(const Measured *m, const Watched *w) {
        const Series *s = &m->series;
        json_t *j =
                json_pack("{s:o, s:s, s:o, s:o, s:i}", "name", json_text(s->name), "measure",
                          measure_text(s->measure), "last", figure(s->n ? s->samples[s->n - 1].value : -1),
                          "usual", figure(series_usual(m)), "results", (int)s->n);

        if (w) {
                HealthVerdict v = health_judge(s, since_usec(w));

                json_object_set_new(j, "state", json_string(health_state_text(v.state)));
                json_object_set_new(j, "before", figure(v.n_before ? v.before : -1));
                json_object_set_new(j, "after", figure(v.n_after ? v.after : -1));
                json_object_set_new(j, "results_before", json_integer((json_int_t)v.n_before));
                json_object_set_new(j, "results_after", json_integer((json_int_t)v.n_after));
        }
        return j;
}

/* The newest patch of the subject, whatever became of it. */
static const Watched *newest(const Observer *o, const char *subject) {
        const Watched *best = NULL;

        for (size_t i = 0; i < o->watched.n; i++)
                if ((o->watched.items[i].used || o->watched.items[i].state != HEALTH_OBSERVING) &&
                    strcmp(o->watched.items[i].subject, subject) == 0 &&
                    (!best || o->watched.items[i].patch.time_sec > best->patch.time_sec))
                        best = &o->watched.items[i];
        return best;
}

static json_t *subject_json(json_t *subjects, const Observer *o, const char *subject, const Watched *w) {
        const char *text;
        json_t *j;
        size_t i;

        json_array_foreach(subjects, i, j) {
                text = json_string_value(json_object_get(j, "subject"));
                if (text && strcmp(text, subject) == 0)
                        return j;
        }
        if (!w && !has_probe(o, subject))
                return NULL;
        j = json_pack("{s:o, s:o, s:o, s:o, s:[]}", "subject", json_text(subject), "patch",
                      w ? json_digest(w->patch.digest) : json_null(), "patched",
                      w ? json_time(since_usec(w)) : json_null(), "state",
                      w ? json_string(health_state_text(w->state)) : json_null(), "series");
        json_array_append_new(subjects, j);
        return j;
}

json_t *observer_health(const Observer *o) {
        json_t *subjects = json_array();

        for (size_t i = 0; series_get(o->book, i); i++) {
                const Measured *m = series_get(o->book, i);
                const Watched *w = newest(o, m->series.subject);
                json_t *j = subject_json(subjects, o, m->series.subject, w);

                if (j && m->series.n)
                        json_array_append_new(json_object_get(j, "series"), series_json(m, w));
        }
        return json_pack("{s:o}", "subjects", subjects);
}

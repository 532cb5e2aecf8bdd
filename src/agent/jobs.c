/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/jobs.h"
#include "agent/beat.h"
#include "agent/child.h"
#include "agent/fixes.h"
#include "agent/notes.h"
#include "agent/work.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "deliver/outdated.h"
#include "deliver/package.h"
#include "patch/json.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum {
        BUSY_USEC = 200000, /* between two looks whether dpkg still works */
        EXEC_USEC = 20000,  /* what is alive so long after its start is looked at */
        LOOK_PAUSE_MAX_USEC = 1000000,
        AGAIN_USEC = 5000000, /* first pause before a process that was busy is tried again; doubles */
        AGAIN_MAX_USEC = 600000000,
        UNRESPONSIVE_SEC = 3600,  /* for so long a process that took too long is left out */
        HARM_MAX_USEC = 60000000, /* longest pause before a harmful patch is tried again to be taken out */
        MAX_STARTED = 4096,       /* processes that wait to be looked at; beyond: all are */
};

typedef enum JobKind { JOB_NONE, JOB_ROUND, JOB_SOME, JOB_QUARANTINE } JobKind;

struct Jobs {
        JobsOwner owner;
        void *data;
        JobsOf of;
        sd_event_source *soon, *scan, *again, *harm_timer, *stall_timer, *started_timer, *job_source;
        VEC(pid_t) started, looking; /* not looked at yet; those of the piece of work that runs */
        Beat *beat;
        VEC(Unresponsive) unresponsive;
        int notes_fd;       /* what the fork that runs says of processes */
        int fixes_fd;       /* and of what their patches fix */
        VEC(Harm) harms;    /* patches to be taken out and put into quarantine */
        size_t harms_begun; /* so many of them by the fork that runs */
        bool stalled;       /* it was ended for that */
        bool harms_wait;    /* the state could not be written: until harm_timer */
        bool harmed;        /* some process may still have a patch that is in quarantine */
        bool all_wanted;    /* a full round is to run as soon as it can */
        JobKind job;        /* the fork that runs now */
        pid_t job_pid;
        uint64_t again_usec, harm_usec;
        uint64_t job_begin_usec, look_after_usec; /* CLOCK_MONOTONIC */
        uint64_t packages_usec; /* since when a package manager was seen to hold its lock; 0: it does not */
        uint64_t rounds;
};

/* (Re)arms a one-shot timer. */
static void arm(Jobs *j, sd_event_source **timer, uint64_t usec, sd_event_time_handler_t handler) {
        uint64_t now = 0;

        sd_event_now(j->of.loop, CLOCK_MONOTONIC, &now);
        if (!*timer) {
                sd_event_add_time(j->of.loop, timer, CLOCK_MONOTONIC, now + usec, usec / 10 + 1, handler, j);
                return;
        }
        sd_event_source_set_time(*timer, now + usec);
        sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

/* The same, but what is due before is not put off: events that anybody can cause come one after another. */
static void arm_by(Jobs *j, sd_event_source **timer, uint64_t usec, sd_event_time_handler_t handler) {
        uint64_t now = 0, due = 0;
        int enabled = SD_EVENT_OFF;

        sd_event_now(j->of.loop, CLOCK_MONOTONIC, &now);
        if (*timer && sd_event_source_get_enabled(*timer, &enabled) >= 0 && enabled != SD_EVENT_OFF &&
            sd_event_source_get_time(*timer, &due) >= 0 && due <= now + usec)
                return;
        arm(j, timer, usec, handler);
}

/* Is a package manager at work, and not for so long that it may well wait for somebody's answer? */
static bool packages_change(Jobs *j) {
        if (!package_changes()) {
                j->packages_usec = 0;
                return false;
        }
        if (!j->packages_usec)
                j->packages_usec = now_usec();
        return now_usec() - j->packages_usec < (uint64_t)j->of.policy->package_wait_sec * 1000000;
}

/* A full round, as soon as packages are at rest. */
static int on_soon(sd_event_source *s, uint64_t usec, void *data) {
        Jobs *j = data;

        (void)s;
        (void)usec;
        if (packages_change(j)) {
                arm(j, &j->soon, BUSY_USEC, on_soon);
                return 0;
        }
        j->all_wanted = true;
        jobs_start(j);
        return 0;
}

static int on_scan(sd_event_source *s, uint64_t usec, void *data) {
        Jobs *j = data;

        arm(j, &j->scan, (uint64_t)j->of.policy->scan_sec * 1000000, on_scan);
        return on_soon(s, usec, data);
}

static int on_started(sd_event_source *s, uint64_t usec, void *data) {
        (void)s;
        (void)usec;
        jobs_start(data);
        return 0;
}

static int on_still_harmed(sd_event_source *s, uint64_t usec, void *data) {
        Jobs *j = data;

        (void)s;
        (void)usec;
        j->harmed = true;
        j->harms_wait = false;
        jobs_start(j);
        return 0;
}

/* The pause before the next try, twice as long as the one before. */
static uint64_t next_pause(uint64_t *usec, uint64_t max_usec) {
        *usec = *usec ? MIN(*usec * 2, max_usec) : AGAIN_USEC;
        return *usec;
}

/* Where processes start one after another, looks at them take a tenth of a processor, and no more than a
 * second lies between two. */
static void arm_started(Jobs *j) {
        uint64_t now = now_usec();

        arm(j, &j->started_timer, j->look_after_usec > now + EXEC_USEC ? j->look_after_usec - now : EXEC_USEC,
            on_started);
}

static bool is_harmed(const Jobs *j) {
        return (j->harms.n && !j->harms_wait) || j->harmed;
}

static void close_files(Jobs *j) {
        closep(&j->notes_fd);
        closep(&j->fixes_fd);
        j->notes_fd = j->fixes_fd = -1;
}

static int on_job_end(sd_event_source *s, const siginfo_t *si, void *data) {
        Jobs *j = data;
        JobKind job = j->job;
        int code = si->si_code == CLD_EXITED ? si->si_status : -1;

        (void)s;
        j->job_source = sd_event_source_unref(j->job_source);
        j->job = JOB_NONE;
        j->job_pid = 0;
        if (code == WORK_NOTHING) {
                j->look_after_usec =
                        now_usec() + MIN(9 * (now_usec() - j->job_begin_usec), LOOK_PAUSE_MAX_USEC);
                code = WORK_DONE;
        }
        if (code < 0 || code == WORK_FAILED)
                child_log(LOG_WARNING, "a round did not end well (%s %d)", code < 0 ? "signal" : "code",
                          si->si_status);
        if (job == JOB_QUARANTINE && (code == WORK_DONE || code == WORK_AGAIN)) {
                j->all_wanted |= j->harms_begun > 0; /* what is to be restarted for it */
                j->harms.n -= j->harms_begun;
                if (j->harms_begun)
                        memmove(j->harms.items, j->harms.items + j->harms_begun,
                                j->harms.n * sizeof(*j->harms.items));
        } else if (job == JOB_QUARANTINE) {
                j->harms_wait = j->harms.n == j->harms_begun;
        }
        if (j->stalled) { /* the next goes on without that process, at once */
                j->harmed |= job == JOB_QUARANTINE;
                j->harms_wait = false;
                j->all_wanted |= job != JOB_QUARANTINE;
                j->stalled = false;
        } else if (code != WORK_DONE && job == JOB_QUARANTINE)
                arm(j, &j->harm_timer, next_pause(&j->harm_usec, HARM_MAX_USEC), on_still_harmed);
        else if (code != WORK_DONE)
                arm(j, &j->again, next_pause(&j->again_usec, AGAIN_MAX_USEC), on_soon);
        else if (job == JOB_QUARANTINE)
                j->harm_usec = 0;
        else if (job == JOB_ROUND)
                j->again_usec = 0;
        if (code < 0) /* it may have asked, and whoever asks next would get its answer */
                peer_stop(j->of.vault);
        notes_each(j->notes_fd, j->owner.noted, j->data);
        fixes_take(j->fixes_fd, j->of.known);
        close_files(j);
        j->owner.look_after(j->data);
        if (job == JOB_ROUND) {
                j->rounds++;
                j->owner.round_ended(j->data, code);
        }
        if (j->started.n && !is_harmed(j) && !j->all_wanted)
                arm_started(j);
        else
                jobs_start(j);
        return 0;
}

/* Those that have just started are nearly always current, or have ended: only for the others the state is
 * worth being opened. */
static bool some_outdated(const Jobs *j, const Work *w) {
        OutdatedOptions options = { .pids = j->looking.items,
                                    .n_pids = j->looking.n,
                                    .pass_over = true,
                                    .enter = work_enter,
                                    .enter_data = (void *)w,
                                    .root = j->of.agent->root };
        Outdated found;
        bool some;

        if (outdated_find(&options, &found, NULL) < 0)
                return true; /* the round says why */
        some = found.n_processes > 0;
        outdated_free(&found);
        return some;
}

/* Runs in the fork. */
static int do_job(Jobs *j, JobKind job, const pid_t *pids, size_t n) {
        Work w = { .policy = j->of.policy,
                   .state = j->of.agent->state,
                   .lock = j->of.lock,
                   .events = j->of.agent->events,
                   .root = j->of.agent->root,
                   .vault = j->of.vault,
                   .metrics = j->of.metrics,
                   .beat = j->beat,
                   .skip = j->unresponsive.items,
                   .n_skip = j->unresponsive.n,
                   .harms = j->harms.items,
                   .n_harms = j->harms.n,
                   .notes_fd = j->notes_fd,
                   .fixes_fd = j->fixes_fd,
                   .known = j->of.known };
        Error e = { 0 };
        int r;

        if (job == JOB_SOME && !some_outdated(j, &w))
                return WORK_NOTHING;
        peer_borrow(j->of.vault);
        if (job == JOB_QUARANTINE)
                r = work_quarantine(&w, &e);
        else
                r = work_round(&w, pids, n, &e);
        if (r < 0)
                child_log(LOG_ERR, "%s", e.text);
        return r < 0 ? WORK_FAILED : r;
}

/* A piece of work that does not get on with one process is ended, and the next leaves that out. What was
 * begun in a process, the engine's guardian finishes or undoes. */
static int on_stall(sd_event_source *s, uint64_t usec, void *data) {
        uint64_t limit_usec;
        char pid[16], message[400];
        Unresponsive u = { 0 };
        const Process *p = &u.process;
        size_t of_unit = 0;
        Jobs *j = data;

        (void)s;
        if (j->job == JOB_NONE ||
            j->stalled) /* it was told; one that hangs in the kernel takes its time to end */
                return 0;
        limit_usec = j->of.policy->unresponsive_usec + j->of.policy->deadline_usec;
        arm(j, &j->stall_timer, limit_usec / 4, on_stall);
        if (!beat_stuck(j->beat, limit_usec, &u))
                return 0;
        u.until_usec = usec + UNRESPONSIVE_SEC * UINT64_C(1000000);
        vec_push(&j->unresponsive, u);
        j->stalled = true;
        kill(j->job_pid, SIGKILL);
        for (size_t i = 0; i < j->unresponsive.n; i++)
                of_unit += *p->unit && strcmp(j->unresponsive.items[i].process.unit, p->unit) == 0;
        snprintf(pid, sizeof(pid), "%d", p->pid);
        snprintf(message, sizeof(message),
                 "%s (pid %d) can't be looked at: that took more than %.0f s; it%s%s is left out for an hour",
                 p->comm, p->pid, (double)limit_usec / 1e6, of_unit >= WORK_UNIT_SKIP ? ", as all of " : "",
                 of_unit >= WORK_UNIT_SKIP ? p->unit : "");
        j->owner.event(j->data, EVENT_PROCESS_UNRESPONSIVE,
                       (EventField[]){ { "STAUNCH_PID", pid },
                                       { "STAUNCH_COMM", p->comm },
                                       { "STAUNCH_UNIT", *p->unit ? p->unit : NULL },
                                       { "UNIT", *p->unit ? p->unit : NULL } },
                       4, message);
        return 0;
}

static void forget_unresponsive(Jobs *j) {
        size_t kept = 0;

        for (size_t i = 0; i < j->unresponsive.n; i++)
                if (j->unresponsive.items[i].until_usec > now_usec())
                        j->unresponsive.items[kept++] = j->unresponsive.items[i];
        j->unresponsive.n = kept;
}

/* The most urgent thing first: harm, then a full round, then processes that have just started. */
static JobKind next_job(Jobs *j) {
        if (is_harmed(j))
                return JOB_QUARANTINE;
        if (j->of.policy->mode == PATCH_MANUAL && !j->owner.asked(j->data)) {
                j->all_wanted = false;
                j->started.n = 0;
        }
        if (j->all_wanted) {
                j->all_wanted = false;
                j->started.n = 0; /* they are among all */
                j->owner.round_begins(j->data);
                return JOB_ROUND;
        }
        if (!j->started.n)
                return JOB_NONE;
        j->looking.n = 0;
        for (size_t i = 0; i < j->started.n; i++)
                vec_push(&j->looking, j->started.items[i]);
        j->started.n = 0;
        return JOB_SOME;
}

/* Harm does not wait for comparisons: the work that makes them is ended, and begun again afterwards. What has
 * a process in hand goes on to its end first. */
static void make_way(const Jobs *j) {
        if (j->harms.n && !j->harms_wait && j->job != JOB_NONE && j->job != JOB_QUARANTINE &&
            beat_idle(j->beat))
                kill(j->job_pid, SIGKILL);
}

void jobs_start(Jobs *j) {
        JobKind job = j->job == JOB_NONE ? next_job(j) : JOB_NONE;
        sigset_t none;

        make_way(j);
        if (job == JOB_NONE)
                return;
        j->owner.look_after(j->data);
        forget_unresponsive(j);
        beat_begin(j->beat);
        j->notes_fd = memfd_create("staunch-notes", MFD_CLOEXEC);
        j->fixes_fd = memfd_create("staunch-fixes", MFD_CLOEXEC);
        j->job_pid = fork();
        if (j->job_pid < 0) {
                child_log(LOG_ERR, "fork: %s", strerror(errno));
                close_files(j);
                arm(j, &j->again, AGAIN_USEC, on_soon);
                return;
        }
        if (j->job_pid == 0) {
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                signal(SIGTERM, SIG_DFL);
                signal(SIGHUP, SIG_IGN);
                _exit(do_job(j, job, j->looking.items, job == JOB_SOME ? j->looking.n : 0));
        }
        j->job = job;
        j->job_begin_usec = now_usec();
        arm(j, &j->stall_timer, (j->of.policy->unresponsive_usec + j->of.policy->deadline_usec) / 4,
            on_stall);
        if (job == JOB_QUARANTINE)
                j->harmed = false;
        j->harms_begun = job == JOB_QUARANTINE ? j->harms.n : 0;
        if (sd_event_add_child(j->of.loop, &j->job_source, j->job_pid, WEXITED, on_job_end, j) < 0) {
                /* Its end would never be heard of (no file descriptor is left), and nothing begun after it.
                 */
                kill(j->job_pid, SIGKILL);
                jobs_wait(j);
                on_job_end(NULL, &(siginfo_t){ .si_code = CLD_KILLED, .si_status = SIGKILL }, j);
        }
}

void jobs_round_in(Jobs *j, uint64_t usec) {
        arm(j, &j->soon, usec, on_soon);
}

void jobs_round_by(Jobs *j, uint64_t usec) {
        arm_by(j, &j->soon, usec, on_soon);
}

void jobs_want_round(Jobs *j) {
        j->all_wanted = true;
}

void jobs_scan_from_now(Jobs *j) {
        arm(j, &j->scan, (uint64_t)j->of.policy->scan_sec * 1000000, on_scan);
}

void jobs_ended(Jobs *j, pid_t pid) {
        for (size_t i = j->started.n; i-- > 0;)
                if (j->started.items[i] == pid) {
                        j->started.items[i] = j->started.items[--j->started.n];
                        return;
                }
}

bool jobs_started(Jobs *j, pid_t pid) {
        jobs_ended(j, pid); /* it executed something before */
        if (j->started.n == MAX_STARTED)
                return false;
        vec_push(&j->started, pid);
        if (j->started.n == 1)
                arm_started(j);
        return true;
}

void jobs_harm(Jobs *j, const ProcessPatch *patch, const char *reason) {
        Harm h = { .patch = *patch };

        for (size_t i = 0; i < j->harms.n; i++)
                if (memcmp(j->harms.items[i].patch.digest, patch->digest, sizeof(patch->digest)) == 0)
                        return;
        snprintf(h.reason, sizeof(h.reason), "%s", reason);
        vec_push(&j->harms, h);
        j->harms_wait = false;
        jobs_start(j);
}

bool jobs_busy(const Jobs *j) {
        return j->job != JOB_NONE;
}

uint64_t jobs_rounds(const Jobs *j) {
        return j->rounds;
}

json_t *jobs_running(const Jobs *j) {
        static const char *const kinds[] = {
                [JOB_ROUND] = "all", [JOB_SOME] = "started", [JOB_QUARANTINE] = "quarantine"
        };
        json_t *at = json_null();
        Process p;

        if (j->job == JOB_NONE)
                return json_null();
        if (beat_at(j->beat, &p))
                at = json_pack("{s:i, s:o}", "pid", (int)p.pid, "comm", json_text(p.comm));
        return json_pack("{s:s, s:i, s:I, s:s, s:I, s:o}", "kind", kinds[j->job], "pid", (int)j->job_pid,
                         "begun", (json_int_t)(wall_usec() - (now_usec() - j->job_begin_usec)), "doing",
                         beat_doing_text(beat_doing(j->beat)), "processes", (json_int_t)beat_looked(j->beat),
                         "at", at);
}

void jobs_begin(Jobs *j) {
        j->harmed = true; /* the agent may have ended before all were out */
        on_scan(NULL, 0, j);
}

Jobs *jobs_new(const JobsOf *of, const JobsOwner *owner, void *data) {
        Jobs *j = calloc(1, sizeof(*j));

        if (!j)
                abort();
        *j = (Jobs){
                .owner = *owner, .data = data, .of = *of, .beat = beat_new(), .notes_fd = -1, .fixes_fd = -1
        };
        if (!j->beat)
                abort();
        return j;
}

void jobs_wait(Jobs *j) {
        if (j->job != JOB_NONE)
                while (waitpid(j->job_pid, NULL, 0) < 0 && errno == EINTR)
                        ;
}

Jobs *jobs_free(Jobs *j) {
        if (!j)
                return NULL;
        sd_event_source_unref(j->soon);
        sd_event_source_unref(j->scan);
        sd_event_source_unref(j->again);
        sd_event_source_unref(j->harm_timer);
        sd_event_source_unref(j->stall_timer);
        sd_event_source_unref(j->started_timer);
        sd_event_source_unref(j->job_source);
        vec_free(&j->started);
        vec_free(&j->looking);
        vec_free(&j->harms);
        vec_free(&j->unresponsive);
        close_files(j);
        beat_free(j->beat);
        free(j);
        return NULL;
}

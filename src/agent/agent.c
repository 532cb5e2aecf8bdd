/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/beat.h"
#include "agent/calendar.h"
#include "agent/child.h"
#include "agent/control.h"
#include "agent/crash.h"
#include "agent/held.h"
#include "agent/hooks.h"
#include "agent/notes.h"
#include "agent/observe.h"
#include "agent/watch.h"
#include "agent/work.h"
#include "base/clock.h"
#include "base/macro.h"
#include "base/vec.h"
#include "config.h"
#include "deliver/baseline-window.h"
#include "deliver/outdated.h"
#include "deliver/package.h"
#include "patch/digest.h"
#include "proc/list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

enum {
        QUIET_USEC = 300000, /* after the last change of dpkg's files */
        BUSY_USEC = 200000,  /* between two looks whether dpkg still works */
        EXEC_USEC = 20000,   /* what is alive so long after its start is looked at */
        LOOK_PAUSE_MAX_USEC = 1000000,
        AGAIN_USEC = 5000000, /* first pause before a process that was busy is tried again; doubles */
        AGAIN_MAX_USEC = 600000000,
        UNRESPONSIVE_SEC = 3600,  /* for so long a process that took too long is left out */
        HARM_MAX_USEC = 60000000, /* longest pause before a harmful patch is tried again to be taken out */
        MAX_STARTED = 4096,       /* processes that wait to be looked at; beyond: all are */
        KMSG_LINE = 8192,
};

typedef enum JobKind { JOB_NONE, JOB_ROUND, JOB_SOME, JOB_QUARANTINE } JobKind;

typedef struct Agent {
        const AgentOptions *o;
        char lock[PATH_MAX], wake[PATH_MAX], restart_lock[PATH_MAX];
        Policy policy;
        Peer vault;
        Hooks hooks;
        Metrics *metrics;
        Network *network;
        Observer *observer;
        sd_event *loop;
        sd_event_source *soon, *scan, *again, *harm_timer, *stall_timer, *started_timer, *job_source;
        Watch *watch; /* NULL: the kernel tells of no processes */
        int inotify_fd, kmsg_fd;
        Control *control;
        RestartOptions restart;
        BaselineWindow baseline;
        RestartHooks baseline_hooks;
        Calendar *calendar;
        CrashBook *book;
        VEC(pid_t) started, looking; /* not looked at yet; those of the piece of work that runs */
        Beat *beat;
        VEC(Unresponsive) unresponsive;
        int notes_fd;       /* what the fork that runs says of processes */
        VEC(Harm) harms;    /* patches to be taken out and put into quarantine */
        size_t harms_begun; /* so many of them by the fork that runs */
        bool harms_wait;    /* the state could not be written: until harm_timer */
        bool harmed;        /* some process may still have a patch that is in quarantine */
        bool all_wanted;    /* a full round is to run as soon as it can */
        JobKind job;        /* the fork that runs now */
        pid_t job_pid;
        uint64_t again_usec, harm_usec;
        uint64_t job_begin_usec, look_after_usec; /* CLOCK_MONOTONIC */
        uint64_t rounds, lost;
} Agent;

static void emit(Agent *a, EventKind kind, const EventField *fields, size_t n, const char *message) {
        Event event = { .kind = kind, .message = message, .fields = fields, .n = n };
        Error e = { 0 };

        if (event_emit(&event, a->o->events, &e) < 0)
                child_log(LOG_WARNING, "%s (event: %s)", e.text, message);
}

static void start_job(Agent *a);

/* One that ended is started here, not in a fork, so that it outlives the round. */
static void look_after_vault(Agent *a) {
        if (peer_alive(&a->vault) == 0)
                emit(a, EVENT_HELPER_FAILED, NULL, 0, "The vault ended; it is started again");
        peer_start(&a->vault, NULL);
        if (hooks_ended(&a->hooks))
                emit(a, EVENT_HELPER_FAILED, NULL, 0,
                     "What runs the hooks ended; none is run until the agent is started again");
}

/* (Re)arms a one-shot timer. */
static void arm(Agent *a, sd_event_source **timer, uint64_t usec, sd_event_time_handler_t handler) {
        uint64_t now = 0;

        sd_event_now(a->loop, CLOCK_MONOTONIC, &now);
        if (!*timer) {
                sd_event_add_time(a->loop, timer, CLOCK_MONOTONIC, now + usec, usec / 10 + 1, handler, a);
                return;
        }
        sd_event_source_set_time(*timer, now + usec);
        sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

/* A full round, as soon as packages are at rest. */
static int on_soon(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        (void)s;
        (void)usec;
        if (package_changes()) {
                arm(a, &a->soon, BUSY_USEC, on_soon);
                return 0;
        }
        a->all_wanted = true;
        start_job(a);
        return 0;
}

static int on_scan(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        arm(a, &a->scan, (uint64_t)a->policy.scan_sec * 1000000, on_scan);
        return on_soon(s, usec, data);
}

/* A window opens: what is pending has to be known. */
static void on_window(void *data) {
        Agent *a = data;

        arm(a, &a->soon, 0, on_soon);
}

static int on_started(sd_event_source *s, uint64_t usec, void *data) {
        (void)s;
        (void)usec;
        start_job(data);
        return 0;
}

static int on_still_harmed(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        (void)s;
        (void)usec;
        a->harmed = true;
        a->harms_wait = false;
        start_job(a);
        return 0;
}

/* The pause before the next try, twice as long as the one before. */
static uint64_t next_pause(uint64_t *usec, uint64_t max_usec) {
        *usec = *usec ? MIN(*usec * 2, max_usec) : AGAIN_USEC;
        return *usec;
}

/* What a process carries, so that its end can be understood. */
static void on_note(void *data, const Process *p, Witness w, const ProcessPatch *have, size_t n) {
        Agent *a = data;

        crash_note(a->book, p->pid, w, have, n);
        if (w.trusted)
                observer_note(a->observer, p, have, n);
}

/* Where processes start one after another, looks at them take a tenth of a processor, and no more than a
 * second lies between two. */
static void arm_started(Agent *a) {
        uint64_t now = now_usec();

        arm(a, &a->started_timer, a->look_after_usec > now + EXEC_USEC ? a->look_after_usec - now : EXEC_USEC,
            on_started);
}

static bool is_harmed(const Agent *a) {
        return (a->harms.n && !a->harms_wait) || a->harmed;
}

static int on_job_end(sd_event_source *s, const siginfo_t *si, void *data) {
        Agent *a = data;
        JobKind job = a->job;
        int code = si->si_code == CLD_EXITED ? si->si_status : -1;

        (void)s;
        a->job_source = sd_event_source_unref(a->job_source);
        a->job = JOB_NONE;
        a->job_pid = 0;
        if (code == WORK_NOTHING) {
                a->look_after_usec =
                        now_usec() + MIN(9 * (now_usec() - a->job_begin_usec), LOOK_PAUSE_MAX_USEC);
                code = WORK_DONE;
        }
        if (code < 0 || code == WORK_FAILED)
                child_log(LOG_WARNING, "a round did not end well (%s %d)", code < 0 ? "signal" : "code",
                          si->si_status);
        if (job == JOB_QUARANTINE && (code == WORK_DONE || code == WORK_AGAIN)) {
                a->harms.n -= a->harms_begun;
                memmove(a->harms.items, a->harms.items + a->harms_begun,
                        a->harms.n * sizeof(*a->harms.items));
        } else if (job == JOB_QUARANTINE) {
                a->harms_wait = a->harms.n == a->harms_begun;
        }
        if (code != WORK_DONE && job == JOB_QUARANTINE)
                arm(a, &a->harm_timer, next_pause(&a->harm_usec, HARM_MAX_USEC), on_still_harmed);
        else if (code != WORK_DONE)
                arm(a, &a->again, next_pause(&a->again_usec, AGAIN_MAX_USEC), on_soon);
        else if (job == JOB_QUARANTINE)
                a->harm_usec = 0;
        else if (job == JOB_ROUND)
                a->again_usec = 0;
        if (code < 0) /* it may have asked, and whoever asks next would get its answer */
                peer_stop(&a->vault);
        notes_each(a->notes_fd, on_note, a);
        closep(&a->notes_fd);
        a->notes_fd = -1;
        look_after_vault(a);
        if (job == JOB_ROUND) {
                a->rounds++;
                control_job_ended(a->control, code);
                calendar_turn(a->calendar);
        }
        if (a->started.n && !is_harmed(a) && !a->all_wanted)
                arm_started(a);
        else
                start_job(a);
        return 0;
}

/* Those that have just started are nearly always current, or have ended: only for the others the state is
 * worth being opened. */
static bool some_outdated(const Agent *a, const Work *w) {
        OutdatedOptions options = { .pids = a->looking.items,
                                    .n_pids = a->looking.n,
                                    .pass_over = true,
                                    .enter = work_enter,
                                    .enter_data = (void *)w,
                                    .root = a->o->root };
        Outdated found;
        bool some;

        if (outdated_find(&options, &found, NULL) < 0)
                return true; /* the round says why */
        some = found.n_processes > 0;
        outdated_free(&found);
        return some;
}

/* Runs in the fork. */
static int do_job(Agent *a, JobKind job, const pid_t *pids, size_t n) {
        Work w = { .policy = &a->policy,
                   .state = a->o->state,
                   .lock = a->lock,
                   .events = a->o->events,
                   .root = a->o->root,
                   .vault = &a->vault,
                   .metrics = a->metrics,
                   .beat = a->beat,
                   .skip = a->unresponsive.items,
                   .n_skip = a->unresponsive.n,
                   .harms = a->harms.items,
                   .n_harms = a->harms.n,
                   .notes_fd = a->notes_fd };
        Error e = { 0 };
        int r;

        if (job == JOB_SOME && !some_outdated(a, &w))
                return WORK_NOTHING;
        peer_borrow(&a->vault);
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
        char pid[16], message[256];
        Unresponsive u = { 0 };
        Agent *a = data;

        (void)s;
        if (a->job == JOB_NONE)
                return 0;
        limit_usec = a->policy.unresponsive_usec + a->policy.deadline_usec;
        arm(a, &a->stall_timer, limit_usec / 4, on_stall);
        if (!beat_stuck(a->beat, limit_usec, &u))
                return 0;
        u.until_usec = usec + UNRESPONSIVE_SEC * UINT64_C(1000000);
        vec_push(&a->unresponsive, u);
        kill(a->job_pid, SIGKILL);
        snprintf(pid, sizeof(pid), "%d", u.pid);
        snprintf(message, sizeof(message),
                 "%s (pid %d) can't be looked at: that took more than %.0f s; it is left out for an hour",
                 u.comm, u.pid, (double)limit_usec / 1e6);
        emit(a, EVENT_PROCESS_UNRESPONSIVE,
             (EventField[]){ { "STAUNCH_PID", pid }, { "STAUNCH_COMM", u.comm } }, 2, message);
        return 0;
}

static void forget_unresponsive(Agent *a) {
        size_t kept = 0;

        for (size_t i = 0; i < a->unresponsive.n; i++)
                if (a->unresponsive.items[i].until_usec > now_usec())
                        a->unresponsive.items[kept++] = a->unresponsive.items[i];
        a->unresponsive.n = kept;
}

/* The most urgent thing first: harm, then a full round, then processes that have just started. */
static JobKind next_job(Agent *a) {
        if (is_harmed(a))
                return JOB_QUARANTINE;
        if (a->policy.mode == PATCH_MANUAL && !control_waits(a->control)) {
                a->all_wanted = false;
                a->started.n = 0;
        }
        if (a->all_wanted) {
                a->all_wanted = false;
                a->started.n = 0; /* they are among all */
                control_job_begins(a->control);
                return JOB_ROUND;
        }
        if (!a->started.n)
                return JOB_NONE;
        a->looking.n = 0;
        for (size_t i = 0; i < a->started.n; i++)
                vec_push(&a->looking, a->started.items[i]);
        a->started.n = 0;
        return JOB_SOME;
}

/* Harm does not wait for comparisons: the work that makes them is ended, and begun again afterwards. What has
 * a process in hand goes on to its end first. */
static void make_way(const Agent *a) {
        if (a->harms.n && !a->harms_wait && a->job != JOB_NONE && a->job != JOB_QUARANTINE &&
            beat_idle(a->beat))
                kill(a->job_pid, SIGKILL);
}

static void start_job(Agent *a) {
        JobKind job = a->job == JOB_NONE ? next_job(a) : JOB_NONE;
        sigset_t none;

        make_way(a);
        if (job == JOB_NONE)
                return;
        look_after_vault(a);
        forget_unresponsive(a);
        beat_begin(a->beat);
        a->notes_fd = memfd_create("staunch-notes", MFD_CLOEXEC);
        a->job_pid = fork();
        if (a->job_pid < 0) {
                child_log(LOG_ERR, "fork: %s", strerror(errno));
                closep(&a->notes_fd);
                a->notes_fd = -1;
                arm(a, &a->again, AGAIN_USEC, on_soon);
                return;
        }
        if (a->job_pid == 0) {
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                signal(SIGTERM, SIG_DFL);
                signal(SIGHUP, SIG_IGN);
                _exit(do_job(a, job, a->looking.items, job == JOB_SOME ? a->looking.n : 0));
        }
        a->job = job;
        a->job_begin_usec = now_usec();
        arm(a, &a->stall_timer, (a->policy.unresponsive_usec + a->policy.deadline_usec) / 4, on_stall);
        if (job == JOB_QUARANTINE)
                a->harmed = false;
        a->harms_begun = job == JOB_QUARANTINE ? a->harms.n : 0;
        sd_event_add_child(a->loop, &a->job_source, a->job_pid, WEXITED, on_job_end, a);
}

/* The kernel's lines since the last look. */
static void read_kernel_lines(Agent *a) {
        char line[KMSG_LINE];
        ssize_t n;

        /* EPIPE: lines were overwritten before they were read; it goes on behind them. */
        while (a->kmsg_fd >= 0 &&
               ((n = read(a->kmsg_fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE))) {
                uint64_t ip;
                pid_t pid;

                line[MAX(n, 0)] = 0;
                if (crash_parse_line(line, &pid, &ip))
                        crash_saw(a->book, pid, ip);
        }
}

static void add_harm(Agent *a, const Harm *h) {
        for (size_t i = 0; i < a->harms.n; i++)
                if (memcmp(a->harms.items[i].patch.digest, h->patch.digest, DIGEST_SIZE) == 0)
                        return;
        vec_push(&a->harms, *h);
        a->harms_wait = false;
}

static void on_crash(Agent *a, const WatchEvent *w) {
        static const char *const where[] = { "", ", outside the patch", ", inside the patch" };
        char digest[2 * DIGEST_SIZE + 1], pid[16], message[256];
        const ProcessPatch *p;
        CrashPlace place;
        bool convicts;
        Harm h;

        read_kernel_lines(a);
        place = crash_place(a->book, w->pid, &p);
        if (!p)
                return;
        snprintf(pid, sizeof(pid), "%d", w->pid);
        convicts = crash_convicts(a->book, w->pid, p, place);
        snprintf(message, sizeof(message), "Process %d, patched in %s, ended by signal %d (%s)%s%s", w->pid,
                 p->name, w->signal, strsignal(w->signal), where[place],
                 place == CRASH_INSIDE && !convicts ? "; one user's processes alone take no patch out" : "");
        emit(a, EVENT_PROCESS_CRASHED,
             (EventField[]){ { "STAUNCH_PID", pid },
                             { "STAUNCH_PATCH", digest_text(p->digest, digest) },
                             { "STAUNCH_IMAGE", p->name } },
             3, message);
        if (!convicts || !a->policy.automatic_rollback)
                return;
        h.patch = *p;
        snprintf(h.reason, sizeof(h.reason), "process %d ended by signal %d %s", w->pid, w->signal,
                 place == CRASH_INSIDE ? "inside the patch" : "as others with this patch did");
        add_harm(a, &h);
}

static bool is_crash(int signal) {
        return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
               signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

/* Most processes that start in great numbers have ended before they are looked at, and cost no look. */
static void forget_started(Agent *a, pid_t pid) {
        for (size_t i = a->started.n; i-- > 0;)
                if (a->started.items[i] == pid) {
                        a->started.items[i] = a->started.items[--a->started.n];
                        return;
                }
}

static void on_watch(void *data, const WatchEvent *w) {
        Agent *a = data;

        switch (w->kind) {
        case WATCH_EXEC:
                /* Its memory is new: what it carried is gone, and it may have executed something before. */
                forget_started(a, w->pid);
                crash_forget(a->book, w->pid);
                observer_ended(a->observer, w->pid, 0);
                if (a->started.n == MAX_STARTED) {
                        arm(a, &a->soon, QUIET_USEC, on_soon);
                        return;
                }
                vec_push(&a->started, w->pid);
                if (a->started.n == 1)
                        arm_started(a);
                return;
        case WATCH_EXIT:
                if (is_crash(w->signal))
                        on_crash(a, w);
                forget_started(a, w->pid);
                crash_forget(a->book, w->pid);
                observer_ended(a->observer, w->pid, w->code);
                if (a->harms.n)
                        start_job(a);
                return;
        case WATCH_LOST:
                if (!a->lost++)
                        emit(a, EVENT_WATCH_LOST, NULL, 0,
                             "Processes start faster than they can be followed; all are looked at instead");
                arm(a, &a->soon, QUIET_USEC, on_soon);
        }
}

static int on_inotify(sd_event_source *s, int fd, uint32_t events, void *data) {
        char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        Agent *a = data;

        (void)s;
        (void)events;
        while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
        arm(a, &a->soon, QUIET_USEC, on_soon);
        return 0;
}

/* Tells packages' scripts whether their restarts are held. */
static void offer_hold(Agent *a) {
        Error e = { 0 };

        if (held_offer(a->o->runtime, &a->policy, &e) < 0)
                child_log(LOG_WARNING, "%s: packages' restarts are not held", e.text);
}

static void load_policy(Agent *a) {
        Policy fresh;
        Error e = { 0 };

        if (policy_load(a->o->config, &fresh, &e) < 0) {
                child_log(LOG_ERR, "%s; the policy that was in force stays", e.text);
                emit(a, EVENT_CONFIG_INVALID, (EventField[]){ { "STAUNCH_DETAIL", e.text } }, 1, e.text);
                return;
        }
        observer_policy(a->observer, &fresh); /* it lets go of the old one */
        policy_free(&a->policy);
        a->policy = fresh;
        observer_policy(a->observer, &a->policy);
        network_listen(a->network, a->policy.metrics_listen);
        calendar_changed(a->calendar);
        offer_hold(a);
        emit(a, EVENT_CONFIG_CHANGED, NULL, 0, "A new policy is in force");
        arm(a, &a->scan, (uint64_t)a->policy.scan_sec * 1000000, on_scan);
}

static int on_reload(sd_event_source *s, const struct signalfd_siginfo *si, void *data) {
        (void)s;
        (void)si;
        sd_notify(0, "RELOADING=1");
        load_policy(data);
        sd_notify(0, "READY=1");
        return 0;
}

static int on_end(sd_event_source *s, const struct signalfd_siginfo *si, void *data) {
        Agent *a = data;

        (void)s;
        (void)si;
        return sd_event_exit(a->loop, 0);
}

static void on_harm(void *data, const ProcessPatch *patch, const char *reason) {
        Agent *a = data;
        Harm h = { .patch = *patch };

        snprintf(h.reason, sizeof(h.reason), "%s", reason);
        add_harm(a, &h);
        start_job(a);
}

static void on_observed(void *data, EventKind kind, const EventField *fields, size_t n, const char *message) {
        emit(data, kind, fields, n, message);
}

static void on_probed(void *data, unsigned id, uint64_t usec, const char *failed) {
        observer_answer(((Agent *)data)->observer, id, usec, failed);
}

static void on_network_failed(void *data, const char *text) {
        Agent *a = data;
        char message[400];

        observer_lost(a->observer);
        snprintf(message, sizeof(message), "%.300s; it is started again when it is needed", text);
        emit(a, EVENT_HELPER_FAILED, NULL, 0, message);
}

static char *on_metrics(void *data, bool openmetrics) {
        Agent *a = data;
        MetricsProbe probes[POLICY_PROBES];
        MetricsNow now = { .observed = observer_observed(a->observer), .probes = probes };
        ProbeFigures p;

        while (crash_noted(a->book, now.patched))
                now.patched++;
        while (now.n_probes < ELEMENTSOF(probes) && observer_probe(a->observer, now.n_probes, &p))
                probes[now.n_probes++] =
                        (MetricsProbe){ p.probe->subject, p.probe->name, p.good, p.sec, p.runs, p.failures };
        return metrics_text(a->metrics, &now, openmetrics);
}

static json_t *on_control(void *data, const char *op, bool *wait) {
        Agent *a = data;

        if (strcmp(op, "status") == 0) {
                json_t *patched = json_array();

                for (size_t i = 0; crash_noted(a->book, i); i++)
                        json_array_append_new(patched, json_integer(crash_noted(a->book, i)));
                return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:b, s:O?, s:O?}", "version",
                                 STAUNCH_VERSION, "mode", patch_mode_text(a->policy.mode), "busy",
                                 a->job != JOB_NONE, "rounds", (json_int_t)a->rounds, "watch_lost",
                                 (json_int_t)a->lost, "patched_pids", patched, "watching", a->watch != NULL,
                                 "vault", a->vault.ready, "net", network_ready(a->network));
        }
        if (strcmp(op, "health") == 0)
                return observer_health(a->observer);
        if (strcmp(op, "reload") == 0) {
                load_policy(a);
                return json_pack("{s:b}", "ok", 1);
        }
        if (strcmp(op, "wake") == 0) {
                arm(a, &a->soon, QUIET_USEC, on_soon);
                return json_pack("{s:b}", "ok", 1);
        }
        if (strcmp(op, "converge") == 0)
                a->all_wanted = *wait = true; /* started once the control knows that somebody waits */
        return NULL;
}

static void on_control_waits(void *data) {
        start_job(data);
}

static void open_watches(Agent *a) {
        Error e = { 0 };

        if (watch_open(a->loop, on_watch, a, &a->watch, &e) < 0)
                child_log(LOG_WARNING, "%s: processes that start are noticed by the periodic look only",
                          e.text);
        a->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (a->inotify_fd >= 0) {
                /* dpkg replaces its status file at the end of each step; the hook touches the other. */
                inotify_add_watch(a->inotify_fd, "/var/lib/dpkg", IN_MOVED_TO | IN_ONLYDIR);
                inotify_add_watch(a->inotify_fd, a->wake, IN_ATTRIB | IN_CLOSE_WRITE);
                sd_event_add_io(a->loop, NULL, a->inotify_fd, EPOLLIN, on_inotify, a);
        }
        a->kmsg_fd = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (a->kmsg_fd >= 0)
                lseek(a->kmsg_fd, 0, SEEK_END);
}

static int open_network(Agent *a, Error *e) {
        static const NetworkOwner owner = { on_probed, on_metrics, on_network_failed };
        char path[PATH_MAX];

        snprintf(path, sizeof(path), "%s/metrics.sock", a->o->runtime);
        return network_open(path, &owner, a, &a->network, e);
}

/* What watches over the patches' health, and tells of it. */
static int open_observer(Agent *a, Error *e) {
        static const ObserverOwner owner = { on_harm, on_observed };
        int r = network_begin(a->network, a->loop, e);

        if (r == 0)
                r = observer_new(a->loop, a->network, a->o->state, &owner, a, &a->observer, e);
        if (r < 0)
                return r;
        observer_policy(a->observer, &a->policy);
        network_listen(a->network, a->policy.metrics_listen);
        return 0;
}

static int prepare(Agent *a, Error *e) {
        SandboxReport report;
        sigset_t signals;
        char path[PATH_MAX];
        int fd, r;

        snprintf(a->lock, sizeof(a->lock), "%s/lock", a->o->runtime);
        snprintf(a->wake, sizeof(a->wake), "%s/wake", a->o->runtime);
        snprintf(a->restart_lock, sizeof(a->restart_lock), "%s/restart-lock", a->o->runtime);
        a->baseline = (BaselineWindow){ .policy = &a->policy,
                                        .state = a->o->state,
                                        .config = a->o->config,
                                        .events = a->o->events,
                                        .command = STAUNCH_COMMAND };
        a->baseline_hooks = baseline_window_hooks(&a->baseline);
        a->restart = (RestartOptions){ .policy = &a->policy,
                                       .hooks = &a->baseline_hooks,
                                       .n_hooks = 1,
                                       .state = a->o->state,
                                       .events = a->o->events,
                                       .lock = a->restart_lock,
                                       .root = a->o->root };
        snprintf(path, sizeof(path), "%s/control", a->o->runtime);
        fd = open(a->wake, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return error_errno(e, -errno, "%s", a->wake);
        close(fd);
        r = policy_load(a->o->config, &a->policy, e);
        if (r < 0)
                return r;
        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigaddset(&signals, SIGCHLD);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);
        r = hooks_start(&a->hooks, a->o->config, a->o->events, e); /* before there is a sandbox */
        if (r == 0)
                r = peer_start(&a->vault, e);
        if (r == 0)
                r = open_network(a, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_APPLIER, &report, e);
        if (r < 0)
                return r;
        r = sd_event_default(&a->loop);
        if (r < 0)
                return error_errno(e, r, "event loop");
        sd_event_add_signal(a->loop, NULL, SIGTERM, on_end, a);
        sd_event_add_signal(a->loop, NULL, SIGINT, on_end, a);
        sd_event_add_signal(a->loop, NULL, SIGHUP, on_reload, a);
        sd_event_set_watchdog(a->loop, true);
        r = calendar_open(a->loop, &a->restart, on_window, a, &a->calendar, e);
        if (r < 0)
                return r;
        return control_open(path, a->loop, on_control, on_control_waits, a, &a->control, e);
}

int agent_run(const AgentOptions *o, Error *e) {
        Agent a = { .o = o,
                    .beat = beat_new(),
                    .notes_fd = -1,
                    .inotify_fd = -1,
                    .kmsg_fd = -1,
                    .book = crash_book_new() };
        _cleanup_(store_closep) Store *store = NULL;
        int r;

        a.metrics = metrics_new();
        event_count(metrics_events(a.metrics));
        peer_init(&a.vault, "staunch-vault");
        r = prepare(&a, e);
        if (r == 0) /* what is wrong with it is told now, not in the first round */
                r = work_open_state(&(Work){ .state = o->state, .events = o->events }, &store, e);
        store = store_close(store);
        if (r >= 0)
                r = open_observer(&a, e);
        if (r >= 0) {
                open_watches(&a);
                offer_hold(&a);
                emit(&a, EVENT_AGENT_STARTED, (EventField[]){ { "STAUNCH_VERSION", STAUNCH_VERSION } }, 1,
                     "The agent runs");
                sd_notify(0, "READY=1");
                calendar_turn(a.calendar);
                a.harmed = true; /* it may have ended before all were out */
                on_scan(NULL, 0, &a);
                r = sd_event_loop(a.loop);
                sd_notify(0, "STOPPING=1");
                /* A piece of work is waited for: it must not end in the middle. */
                if (a.job != JOB_NONE)
                        while (waitpid(a.job_pid, NULL, 0) < 0 && errno == EINTR)
                                ;
                emit(&a, EVENT_AGENT_STOPPED, NULL, 0, "The agent ends; patched processes stay patched");
                if (r < 0)
                        error_errno(e, r, "event loop");
        }
        calendar_close(a.calendar);
        hooks_stop(&a.hooks);
        control_close(a.control);
        observer_free(a.observer);
        network_close(a.network);
        peer_stop(&a.vault);
        watch_close(a.watch);
        closep(&a.inotify_fd);
        closep(&a.kmsg_fd);
        crash_book_free(a.book);
        event_count(NULL);
        metrics_free(a.metrics);
        vec_free(&a.started);
        vec_free(&a.looking);
        vec_free(&a.harms);
        vec_free(&a.unresponsive);
        closep(&a.notes_fd);
        beat_free(a.beat);
        policy_free(&a.policy);
        sd_event_unref(a.loop);
        return r < 0 ? r : 0;
}

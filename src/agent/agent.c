/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/calendar.h"
#include "agent/child.h"
#include "agent/control.h"
#include "agent/crash.h"
#include "agent/held.h"
#include "agent/hooks.h"
#include "agent/jobs.h"
#include "agent/observe.h"
#include "agent/watch.h"
#include "agent/work.h"
#include "base/clock.h"
#include "base/macro.h"
#include "config.h"
#include "deliver/baseline-window.h"
#include "patch/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

enum {
        QUIET_USEC = 300000, /* after the last change of dpkg's files */
        KMSG_LINE = 8192,
};

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
        Watch *watch; /* NULL: the kernel tells of no processes */
        int inotify_fd, kmsg_fd;
        Control *control;
        RestartOptions restart;
        BaselineWindow baseline;
        RestartHooks baseline_hooks;
        Calendar *calendar;
        CrashBook *book;
        Steps fixes; /* of patches that processes carry */
        Jobs *jobs;
        uint64_t lost; /* times that process events were */
} Agent;

static void emit(Agent *a, EventKind kind, const EventField *fields, size_t n, const char *message) {
        Event event = { .kind = kind, .message = message, .fields = fields, .n = n };
        Error e = { 0 };

        if (steps_emit(&a->fixes, &event, false, a->o->events, &e) < 0)
                child_log(LOG_WARNING, "%s (event: %s)", e.text, message);
}

/* One that ended is started here, not in a fork, so that it outlives the round. */
static void look_after_helpers(void *data) {
        Agent *a = data;

        if (peer_alive(&a->vault) == 0)
                emit(a, EVENT_HELPER_FAILED, NULL, 0, "The vault ended; it is started again");
        peer_start(&a->vault, NULL);
        if (hooks_ended(&a->hooks))
                emit(a, EVENT_HELPER_FAILED, NULL, 0,
                     "What runs the hooks ended; none is run until the agent is started again");
}

/* What a process carries, so that its end can be understood. */
static void on_note(void *data, const Process *p, Witness w, const ProcessPatch *have, size_t n) {
        Agent *a = data;

        crash_note(a->book, p, w, have, n);
        if (w.trusted)
                observer_note(a->observer, p, have, n);
}

/* A window opens: what is pending has to be known. */
static void on_window(void *data) {
        Agent *a = data;

        jobs_round_in(a->jobs, 0);
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

static void on_crash(Agent *a, const WatchEvent *w) {
        static const char *const where[] = { "", ", outside the patch", ", inside the patch" };
        char digest[2 * DIGEST_SIZE + 1], old_text[2 * BUILD_ID_MAX + 1], new_text[2 * BUILD_ID_MAX + 1],
                pid[16], message[256];
        const ProcessPatch *p;
        const Process *of;
        CrashPlace place;
        bool convicts;
        char reason[128];

        read_kernel_lines(a);
        place = crash_place(a->book, w->pid, &p);
        if (!p)
                return;
        snprintf(pid, sizeof(pid), "%d", w->pid);
        convicts = crash_convicts(a->book, w->pid, p, place, wall_usec(), a->policy.crash_usec);
        snprintf(message, sizeof(message), "Process %d, patched in %s, ended by signal %d (%s)%s%s", w->pid,
                 p->name, w->signal, strsignal(w->signal), where[place],
                 place == CRASH_INSIDE && !convicts ? "; one user's processes alone take no patch out" : "");
        of = crash_process(a->book, w->pid);
        emit(a, EVENT_PROCESS_CRASHED,
             (EventField[]){ { "STAUNCH_PID", pid },
                             { "STAUNCH_COMM", of->comm },
                             { "STAUNCH_UNIT", *of->unit ? of->unit : NULL },
                             { "UNIT", *of->unit ? of->unit : NULL },
                             { "STAUNCH_IMAGE", p->name },
                             { "STAUNCH_BUILD_ID_OLD", build_id_text(&p->old_id, old_text) },
                             { "STAUNCH_BUILD_ID_NEW", build_id_text(&p->new_id, new_text) },
                             { "STAUNCH_PATCH", digest_text(p->digest, digest) } },
             8, message);
        if (!convicts || !a->policy.automatic_rollback)
                return;
        snprintf(reason, sizeof(reason), "process %d ended by signal %d %s", w->pid, w->signal,
                 place == CRASH_INSIDE ? "inside the patch" : "as others with this patch did");
        jobs_harm(a->jobs, p, reason);
}

static bool is_crash(int signal) {
        return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
               signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

static void on_watch(void *data, const WatchEvent *w) {
        Agent *a = data;

        switch (w->kind) {
        case WATCH_EXEC:
                /* Its memory is new: what it carried is gone. */
                crash_forget(a->book, w->pid);
                observer_ended(a->observer, w->pid, 0);
                if (!jobs_started(a->jobs, w->pid))
                        jobs_round_by(a->jobs, QUIET_USEC);
                return;
        case WATCH_EXIT:
                if (is_crash(w->signal))
                        on_crash(a, w);
                jobs_ended(a->jobs, w->pid);
                crash_forget(a->book, w->pid);
                observer_ended(a->observer, w->pid, w->code);
                return;
        case WATCH_LOST:
                if (!a->lost++)
                        emit(a, EVENT_WATCH_LOST, NULL, 0,
                             "Processes start faster than they can be followed; all are looked at instead");
                jobs_round_by(a->jobs, QUIET_USEC);
        }
}

static int on_inotify(sd_event_source *s, int fd, uint32_t events, void *data) {
        char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        Agent *a = data;

        (void)s;
        (void)events;
        while (read(fd, buffer, sizeof(buffer)) > 0)
                ;
        jobs_round_in(a->jobs, QUIET_USEC);
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
        jobs_scan_from_now(a->jobs);
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
        jobs_harm(((Agent *)data)->jobs, patch, reason);
}

static void on_event(void *data, EventKind kind, const EventField *fields, size_t n, const char *message) {
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
                return json_pack("{s:s, s:s, s:b, s:o, s:I, s:I, s:o, s:b, s:O?, s:O?}", "version",
                                 STAUNCH_VERSION, "mode", patch_mode_text(a->policy.mode), "busy",
                                 jobs_busy(a->jobs), "round", jobs_running(a->jobs), "rounds",
                                 (json_int_t)jobs_rounds(a->jobs), "watch_lost", (json_int_t)a->lost,
                                 "patched_pids", patched, "watching", a->watch != NULL, "vault",
                                 a->vault.ready, "net", network_ready(a->network));
        }
        if (strcmp(op, "health") == 0)
                return observer_health(a->observer);
        if (strcmp(op, "reload") == 0) {
                load_policy(a);
                return json_pack("{s:b}", "ok", 1);
        }
        if (strcmp(op, "wake") == 0) {
                jobs_round_in(a->jobs, QUIET_USEC);
                return json_pack("{s:b}", "ok", 1);
        }
        if (strcmp(op, "converge") == 0) {
                jobs_want_round(a->jobs); /* started once the control knows that somebody waits */
                *wait = true;
        }
        return NULL;
}

static void on_control_waits(void *data) {
        jobs_start(((Agent *)data)->jobs);
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
        static const ObserverOwner owner = { on_harm, on_event };
        int r = network_begin(a->network, a->loop, e);

        if (r == 0)
                r = observer_new(a->loop, a->network, a->o->state, &owner, a, &a->observer, e);
        if (r < 0)
                return r;
        observer_policy(a->observer, &a->policy);
        network_listen(a->network, a->policy.metrics_listen);
        return 0;
}

static bool on_asked(void *data) {
        return control_waits(((Agent *)data)->control);
}

static void on_round_begins(void *data) {
        control_job_begins(((Agent *)data)->control);
}

static void on_round_ended(void *data, int code) {
        Agent *a = data;

        control_job_ended(a->control, code);
        a->restart.looked = true;
        calendar_turn(a->calendar);
}

static void open_jobs(Agent *a) {
        static const JobsOwner owner = { look_after_helpers, on_asked, on_round_begins,
                                         on_round_ended,     on_note,  on_event };
        const JobsOf of = { a->loop, a->o, &a->policy, &a->vault, a->metrics, a->lock, &a->fixes };

        a->jobs = jobs_new(&of, &owner, a);
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
        open_jobs(a);
        r = calendar_open(a->loop, &a->restart, on_window, a, &a->calendar, e);
        if (r < 0)
                return r;
        return control_open(path, a->loop, on_control, on_control_waits, a, &a->control, e);
}

int agent_run(const AgentOptions *o, Error *e) {
        Agent a = { .o = o, .inotify_fd = -1, .kmsg_fd = -1, .book = crash_book_new() };
        _cleanup_(store_closep) Store *store = NULL;
        int r;

        steps_begin(&a.fixes, NULL, NULL);
        a.metrics = metrics_new();
        event_count(metrics_events(a.metrics));
        peer_init(&a.vault, "staunch-vault");
        r = prepare(&a, e);
        if (r == 0) /* what is wrong with it is told now, not in the first round */
                r = work_open_state(&(Work){ .state = o->state, .events = o->events }, &store, e);
        if (r >= 0)
                restart_forget_earlier_boot(store);
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
                jobs_begin(a.jobs);
                r = sd_event_loop(a.loop);
                sd_notify(0, "STOPPING=1");
                jobs_wait(a.jobs);
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
        jobs_free(a.jobs);
        crash_book_free(a.book);
        steps_end(&a.fixes);
        event_count(NULL);
        metrics_free(a.metrics);
        policy_free(&a.policy);
        sd_event_unref(a.loop);
        return r < 0 ? r : 0;
}

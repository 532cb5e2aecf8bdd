/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"
#include "agent/child.h"
#include "agent/control.h"
#include "agent/crash.h"
#include "agent/watch.h"
#include "agent/work.h"
#include "base/macro.h"
#include "base/vec.h"
#include "config.h"
#include "patch/digest.h"
#include "proc/list.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

enum {
        QUIET_USEC = 300000,  /* after the last change of dpkg's files */
        BUSY_USEC = 200000,   /* between two looks whether dpkg still works */
        EXEC_USEC = 20000,    /* what is alive so long after its start is looked at */
        AGAIN_USEC = 5000000, /* first pause before a process that was busy is tried again; doubles */
        AGAIN_MAX_USEC = 600000000,
        MAX_STARTED = 4096, /* processes that wait to be looked at; beyond: all are */
        SUSPECT = 3,        /* crashes without a known place that put a patch into quarantine */
        KMSG_LINE = 8192,
};

typedef enum JobKind { JOB_NONE, JOB_ROUND, JOB_SOME, JOB_QUARANTINE } JobKind;

typedef struct Harm {
        ProcessPatch patch;
        char reason[256];
} Harm;

typedef struct Agent {
        const AgentOptions *o;
        char lock[PATH_MAX], wake[PATH_MAX];
        Policy policy;
        Peer vault;
        sd_event *loop;
        sd_event_source *soon, *scan, *again, *started_timer;
        int watch_fd, inotify_fd, kmsg_fd;
        Control *control;
        CrashBook *book;
        VEC(pid_t) started;
        VEC(Harm) harms; /* patches to be taken out */
        bool all_wanted; /* a full round is to run as soon as it can */
        JobKind job;     /* the fork that runs now */
        pid_t job_pid;
        uint64_t again_usec;
        uint64_t rounds, lost;
} Agent;

static void emit(Agent *a, EventKind kind, const EventField *fields, size_t n, const char *message) {
        Event event = { .kind = kind, .message = message, .fields = fields, .n = n };
        Error e = { 0 };

        if (event_emit(&event, a->o->events, &e) < 0)
                child_log(4, "%s (event: %s)", e.text, message);
}

static void start_job(Agent *a);

/* One that ended is started here, not in a fork, so that it outlives the round. */
static void look_after_vault(Agent *a) {
        if (peer_alive(&a->vault) == 0)
                emit(a, EVENT_HELPER_FAILED, NULL, 0, "The vault ended; it is started again");
        peer_start(&a->vault, NULL);
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

/* Is a package manager at work? Its lock is a POSIX lock that only it takes. */
static bool dpkg_works(void) {
        struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        _cleanup_(closep) int fd = open("/var/lib/dpkg/lock", O_RDWR | O_CLOEXEC);

        return fd >= 0 && fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static int on_soon(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        (void)s;
        (void)usec;
        if (dpkg_works()) {
                arm(a, &a->soon, BUSY_USEC, on_soon);
                return 0;
        }
        a->all_wanted = true;
        start_job(a);
        return 0;
}

static int on_again(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        (void)s;
        (void)usec;
        a->all_wanted = true;
        start_job(a);
        return 0;
}

static int on_scan(sd_event_source *s, uint64_t usec, void *data) {
        Agent *a = data;

        (void)s;
        (void)usec;
        a->all_wanted = true;
        start_job(a);
        arm(a, &a->scan, (uint64_t)a->policy.scan_sec * 1000000, on_scan);
        return 0;
}

static int on_started(sd_event_source *s, uint64_t usec, void *data) {
        (void)s;
        (void)usec;
        start_job(data);
        return 0;
}

/* Notes what each process carries, so that its end can be understood. */
static void note_all(Agent *a) {
        ProcessList all = { 0 };

        if (process_select(NULL, 0, &all, NULL) < 0)
                return;
        for (size_t i = 0; i < all.n; i++) {
                _cleanup_(freep) ProcessPatch *have = NULL;
                size_t n = 0;

                if (engine_status(all.items[i].pid, &have, &n, NULL) == 0 && n)
                        crash_note(a->book, all.items[i].pid, have, n);
        }
        process_list_free(&all);
}

static int on_job_end(sd_event_source *s, const siginfo_t *si, void *data) {
        Agent *a = data;
        JobKind job = a->job;
        int code = si->si_code == CLD_EXITED ? si->si_status : -1;

        sd_event_source_unref(s);
        a->job = JOB_NONE;
        a->job_pid = 0;
        if (code < 0 || code == WORK_FAILED)
                child_log(4, "a round did not end well (%s %d)", code < 0 ? "signal" : "code", si->si_status);
        if (job == JOB_ROUND) {
                a->rounds++;
                if (code == WORK_AGAIN || code < 0 || code == WORK_FAILED) {
                        a->again_usec =
                                a->again_usec ? MIN(a->again_usec * 2, (uint64_t)AGAIN_MAX_USEC) : AGAIN_USEC;
                        arm(a, &a->again, a->again_usec, on_again);
                } else {
                        a->again_usec = 0;
                }
        }
        note_all(a);
        look_after_vault(a);
        if (job == JOB_ROUND)
                control_job_ended(a->control, code);
        start_job(a);
        return 0;
}

/* Runs in the fork. */
static int do_job(Agent *a, JobKind job, const pid_t *pids, size_t n) {
        Work w = { .policy = &a->policy,
                   .state = a->o->state,
                   .lock = a->lock,
                   .events = a->o->events,
                   .root = a->o->root,
                   .vault = &a->vault };
        Error e = { 0 };
        int r;

        peer_borrow(&a->vault);
        if (job == JOB_QUARANTINE)
                r = work_quarantine(&w, &a->harms.items[0].patch, a->harms.items[0].reason, &e);
        else
                r = work_round(&w, pids, n, &e);
        if (r < 0)
                child_log(3, "%s", e.text);
        return r < 0 ? WORK_FAILED : r;
}

/* The most urgent thing first: harm, then a full round, then processes that have just started. */
static void start_job(Agent *a) {
        JobKind job;
        sigset_t none;

        if (a->job != JOB_NONE)
                return;
        job = a->harms.n ? JOB_QUARANTINE : a->all_wanted ? JOB_ROUND : a->started.n ? JOB_SOME : JOB_NONE;
        if (job == JOB_NONE)
                return;
        if (job != JOB_QUARANTINE && a->policy.mode == PATCH_MANUAL && !control_waits(a->control)) {
                a->all_wanted = false;
                a->started.n = 0;
                return;
        }
        look_after_vault(a);
        a->job_pid = fork();
        if (a->job_pid < 0) {
                child_log(3, "fork: %s", strerror(errno));
                return;
        }
        if (a->job_pid == 0) {
                sigemptyset(&none);
                sigprocmask(SIG_SETMASK, &none, NULL);
                signal(SIGTERM, SIG_DFL);
                signal(SIGHUP, SIG_IGN);
                _exit(do_job(a, job, a->started.items, job == JOB_SOME ? a->started.n : 0));
        }
        a->job = job;
        if (job == JOB_QUARANTINE)
                memmove(a->harms.items, a->harms.items + 1, --a->harms.n * sizeof(*a->harms.items));
        if (job == JOB_ROUND) {
                a->all_wanted = false;
                control_job_begins(a->control);
        }
        if (job != JOB_QUARANTINE)
                a->started.n = 0;
        sd_event_add_child(a->loop, NULL, a->job_pid, WEXITED, on_job_end, a);
}

/* The kernel's lines since the last look; the newest about this process gives where it was. */
static bool crash_place(Agent *a, pid_t pid, uint64_t *ip) {
        char line[KMSG_LINE];
        bool found = false;
        ssize_t n;

        while (a->kmsg_fd >= 0 &&
               ((n = read(a->kmsg_fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE))) {
                pid_t about;
                uint64_t at;

                if (n < 0)
                        continue; /* lines were overwritten before they were read */
                line[n] = 0;
                if (crash_parse_line(line, &about, &at) && about == pid) {
                        *ip = at;
                        found = true;
                }
        }
        return found;
}

static void on_crash(Agent *a, const WatchEvent *w) {
        const ProcessPatch *p = crash_any(a->book, w->pid);
        char digest[2 * DIGEST_SIZE + 1], pid[16], message[256];
        uint64_t ip = 0;
        bool known;
        Harm h;

        if (!p)
                return;
        known = crash_place(a, w->pid, &ip);
        if (known)
                p = crash_blame(a->book, w->pid, ip) ?: p;
        snprintf(pid, sizeof(pid), "%d", w->pid);
        snprintf(message, sizeof(message), "Process %d, patched in %s, ended by signal %d (%s)%s", w->pid,
                 p->name, w->signal, strsignal(w->signal),
                 !known                             ? ""
                 : crash_blame(a->book, w->pid, ip) ? ", inside the patch"
                                                    : ", outside the patch");
        emit(a, EVENT_PROCESS_CRASHED,
             (EventField[]){ { "STAUNCH_PID", pid },
                             { "STAUNCH_PATCH", digest_text(p->digest, digest) },
                             { "STAUNCH_IMAGE", p->name } },
             3, message);
        if (!a->policy.automatic_rollback ||
            (known ? !crash_blame(a->book, w->pid, ip) : crash_suspect(a->book, p) < SUSPECT))
                return;
        h.patch = *p;
        snprintf(h.reason, sizeof(h.reason), "process %d ended by signal %d %s", w->pid, w->signal,
                 known ? "inside the patch" : "as others with this patch did");
        vec_push(&a->harms, h);
}

static bool is_crash(int signal) {
        return signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE ||
               signal == SIGABRT || signal == SIGTRAP || signal == SIGSYS;
}

static void on_watch(void *data, const WatchEvent *w) {
        Agent *a = data;

        switch (w->kind) {
        case WATCH_EXEC:
                if (w->pid == a->job_pid || a->started.n > MAX_STARTED)
                        return;
                vec_push(&a->started, w->pid);
                if (a->started.n > MAX_STARTED) {
                        a->started.n = 0;
                        a->all_wanted = true;
                }
                if (a->started.n == 1)
                        arm(a, &a->started_timer, EXEC_USEC, on_started);
                return;
        case WATCH_EXIT:
                if (is_crash(w->signal))
                        on_crash(a, w);
                crash_forget(a->book, w->pid);
                if (a->harms.n)
                        start_job(a);
                return;
        case WATCH_LOST:
                if (!a->lost++)
                        emit(a, EVENT_WATCH_LOST, NULL, 0,
                             "Processes start faster than they can be followed; all are looked at instead");
                a->all_wanted = true;
        }
}

static int on_watch_input(sd_event_source *s, int fd, uint32_t events, void *data) {
        Error e = { 0 };

        (void)events;
        if (watch_read(fd, on_watch, data, &e) < 0) {
                child_log(3, "%s", e.text);
                sd_event_source_set_enabled(s, SD_EVENT_OFF);
        }
        return 0;
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

static void load_policy(Agent *a) {
        Policy fresh;
        Error e = { 0 };

        if (policy_load(a->o->config, &fresh, &e) < 0) {
                child_log(3, "%s; the policy that was in force stays", e.text);
                emit(a, EVENT_CONFIG_INVALID, (EventField[]){ { "STAUNCH_DETAIL", e.text } }, 1, e.text);
                return;
        }
        policy_free(&a->policy);
        a->policy = fresh;
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

static json_t *on_control(void *data, const char *op, bool *wait) {
        Agent *a = data;

        if (strcmp(op, "status") == 0) {
                json_t *patched = json_array();

                for (size_t i = 0; crash_noted(a->book, i); i++)
                        json_array_append_new(patched, json_integer(crash_noted(a->book, i)));
                return json_pack("{s:s, s:s, s:b, s:I, s:I, s:o, s:b, s:O?}", "version", STAUNCH_VERSION,
                                 "mode", patch_mode_text(a->policy.mode), "busy", a->job != JOB_NONE,
                                 "rounds", (json_int_t)a->rounds, "watch_lost", (json_int_t)a->lost,
                                 "patched_pids", patched, "watching", a->watch_fd >= 0, "vault",
                                 a->vault.ready);
        }
        if (strcmp(op, "reload") == 0) {
                load_policy(a);
                return json_pack("{s:b}", "ok", 1);
        }
        if (strcmp(op, "converge") == 0 || strcmp(op, "wake") == 0) {
                *wait = strcmp(op, "converge") == 0;
                a->all_wanted = true;
                if (*wait)
                        return NULL; /* started once the control knows that somebody waits */
                arm(a, &a->soon, QUIET_USEC, on_soon);
                return json_pack("{s:b}", "ok", 1);
        }
        return NULL;
}

static void on_control_waits(void *data) {
        start_job(data);
}

static void open_watches(Agent *a) {
        Error e = { 0 };

        a->watch_fd = watch_open(&e);
        if (a->watch_fd < 0)
                child_log(4, "%s: processes that start are noticed by the periodic look only", e.text);
        else
                sd_event_add_io(a->loop, NULL, a->watch_fd, EPOLLIN, on_watch_input, a);
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

static int prepare(Agent *a, Error *e) {
        SandboxReport report;
        sigset_t signals;
        char path[PATH_MAX];
        int fd, r;

        snprintf(a->lock, sizeof(a->lock), "%s/lock", a->o->runtime);
        snprintf(a->wake, sizeof(a->wake), "%s/wake", a->o->runtime);
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
        r = peer_start(&a->vault, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_APPLIER, &report, e);
        if (r < 0)
                return r;
        if (!report.seccomp)
                child_log(4, "this kernel has no seccomp filters: the agent's processes are less narrowed");
        r = sd_event_default(&a->loop);
        if (r < 0)
                return error_errno(e, r, "event loop");
        sd_event_add_signal(a->loop, NULL, SIGTERM, on_end, a);
        sd_event_add_signal(a->loop, NULL, SIGINT, on_end, a);
        sd_event_add_signal(a->loop, NULL, SIGHUP, on_reload, a);
        sd_event_set_watchdog(a->loop, true);
        return control_open(path, a->loop, on_control, on_control_waits, a, &a->control, e);
}

int agent_run(const AgentOptions *o, Error *e) {
        Agent a = { .o = o, .watch_fd = -1, .inotify_fd = -1, .kmsg_fd = -1, .book = crash_book_new() };
        _cleanup_(store_closep) Store *store = NULL;
        int r;

        peer_init(&a.vault, "staunch-vault");
        r = prepare(&a, e);
        if (r == 0)
                r = store_open(o->state, &store, e);
        if (r == STORE_LOST)
                emit(&a, EVENT_STATE_LOST, NULL, 0,
                     "The state file could not be read and was put aside; what is patched is found in the "
                     "processes");
        store = store_close(store);
        if (r >= 0) {
                open_watches(&a);
                note_all(&a);
                emit(&a, EVENT_AGENT_STARTED, (EventField[]){ { "STAUNCH_VERSION", STAUNCH_VERSION } }, 1,
                     "The agent runs");
                sd_notify(0, "READY=1");
                on_scan(NULL, 0, &a);
                r = sd_event_loop(a.loop);
                sd_notify(0, "STOPPING=1");
                /* A piece of work is waited for: it never takes long, and it must not end in the middle. */
                if (a.job_pid > 0)
                        while (waitpid(a.job_pid, NULL, 0) < 0 && errno == EINTR)
                                ;
                emit(&a, EVENT_AGENT_STOPPED, NULL, 0, "The agent ends; patched processes stay patched");
                if (r < 0)
                        error_errno(e, r, "event loop");
        }
        control_close(a.control);
        peer_stop(&a.vault);
        closep(&a.watch_fd);
        closep(&a.inotify_fd);
        closep(&a.kmsg_fd);
        crash_book_free(a.book);
        vec_free(&a.started);
        vec_free(&a.harms);
        policy_free(&a.policy);
        sd_event_unref(a.loop);
        return r < 0 ? r : 0;
}

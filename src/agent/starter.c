/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/starter.h"
#include "agent/channel.h"
#include "agent/child.h"
#include "agent/peer.h"
#include "base/clock.h"
#include "base/command.h"
#include "base/macro.h"
#include "patch/json.h"
#include "report/event.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum {
        ARGUMENTS = 1000,
        OUTPUT_MAX = 1 << 20, /* bytes of a command's output */
        CPU_SEC = 60,         /* of a command */
        MEMORY_MAX = 1 << 30, /* its address space, bytes */
        PROCESSES = 256,      /* of its user */
        FILES = 256,
};

static void narrow(void) {
        if (geteuid() != 0)
                return;
        capng_clear(CAPNG_SELECT_CAPS);
        capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_SETUID, CAP_SETGID, CAP_SETPCAP,
                      CAP_KILL, -1);
        if (capng_apply(CAPNG_SELECT_CAPS) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
                child_log(LOG_ERR, "starter: capabilities could not be dropped");
                _exit(EXIT_FAILURE);
        }
}

static void as_child(void) {
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGCHLD, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        signal(SIGINT, SIG_DFL);
}

static void start_program(const char *program, int channel, int *pidfd) {
        pid_t pid;

        if (*pidfd >= 0)
                syscall(SYS_pidfd_send_signal, *pidfd, SIGKILL, NULL, 0);
        closep(pidfd);
        *pidfd = -1;
        pid = fork();
        if (pid == 0) {
                as_child();
                peer_exec(program, channel);
        }
        if (pid < 0)
                child_log(LOG_ERR, "starter: fork: %s", strerror(errno));
        else
                *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

/* For itself and what it starts, for good. */
static void limit(void) {
        static const struct {
                __rlimit_resource_t resource;
                rlim_t most;
        } limits[] = { { RLIMIT_CPU, CPU_SEC },
                       { RLIMIT_AS, MEMORY_MAX },
                       { RLIMIT_NPROC, PROCESSES },
                       { RLIMIT_NOFILE, FILES },
                       { RLIMIT_CORE, 0 } };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                setrlimit(limits[i].resource, &(struct rlimit){ limits[i].most, limits[i].most });
}

static int run_command(const Command *c, const char *expect, uint64_t *usec, Error *e) {
        const struct passwd *pw = getpwnam(c->user);
        uint64_t begun = now_usec();
        CommandResult result;
        int r;

        if (!pw)
                return error_set(e, -ENOENT, "there is no user '%s'", c->user);
        if (pw->pw_uid == 0)
                return error_set(e, -EPERM, "user '%s' is root", c->user);
        limit();
        r = command_must(&(Command){ .argv = c->argv,
                                     .environment = c->environment,
                                     .timeout_usec = c->timeout_usec,
                                     .output_max = c->output_max,
                                     .user = geteuid() == 0 ? c->user : NULL },
                         &result, e);
        *usec = now_usec() - begun;
        if (r < 0)
                return r;
        if (expect && !memmem(result.output, result.n, expect, strlen(expect)))
                r = error_set(e, -EREMOTEIO, "its output does not have the expected text");
        command_result_free(&result);
        return r;
}

static void probe(const json_t *j, int channel) {
        static const char *const environment[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/",
                                                   "LANG=C.UTF-8", NULL };
        const char *argv[ARGUMENTS + 1] = { 0 };
        const json_t *arguments = json_object_get(j, "argv");
        Command c = { .argv = argv,
                      .environment = environment,
                      .timeout_usec = (uint64_t)json_integer_value(json_object_get(j, "timeout_usec")),
                      .output_max = OUTPUT_MAX,
                      .user = json_string_value(json_object_get(j, "user")) };
        uint64_t usec = 0;
        Error e = { 0 };
        int r;

        for (size_t i = 0; i < MIN(json_array_size(arguments), (size_t)ARGUMENTS); i++)
                argv[i] = json_string_value(json_array_get(arguments, i));
        r = run_command(&c, json_string_value(json_object_get(j, "expect")), &usec, &e);
        channel_send(channel,
                     json_pack("{s:O, s:I, s:o*}", "probe", json_object_get(j, "id"), "usec",
                               (json_int_t)usec, "failed", r < 0 ? json_text(e.text) : NULL),
                     NULL, 0, NULL);
        _exit(EXIT_SUCCESS);
}

static _Noreturn void run(int channel) {
        int net = -1;

        prctl(PR_SET_NAME, "staunch-starter");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        event_forward(-1);
        event_count(NULL);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        narrow();
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        signal(SIGCHLD, SIG_IGN); /* nobody waits for what is started */
        for (;;) {
                int fds[CHANNEL_FDS];
                const char *op;
                json_t *j;
                size_t n;

                if (channel_receive(channel, &j, fds, &n, NULL) < 0)
                        _exit(EXIT_SUCCESS); /* the applier has ended */
                op = json_string_value(json_object_get(j, "op"));
                if (op && strcmp(op, "start") == 0 && n == 1)
                        start_program(json_string_value(json_object_get(j, "program")), fds[0], &net);
                if (op && strcmp(op, "command") == 0 && fork() == 0) {
                        as_child();
                        probe(j, channel);
                }
                json_decref(j);
                for (size_t i = 0; i < CHANNEL_FDS; i++)
                        closep(&fds[i]);
        }
}

int starter_begin(Starter *s, Error *e) {
        int ends[2], r = channel_pair(ends, e);

        if (r < 0)
                return r;
        s->pid = fork();
        if (s->pid == 0) {
                /* Of all that is open only its end of the channel, and where it writes what went wrong. */
                int channel = fcntl(ends[1], F_DUPFD_CLOEXEC, CHILD_CHANNEL + 1);

                dup3(channel, CHILD_CHANNEL, O_CLOEXEC);
                close_range(CHILD_CHANNEL + 1, ~0U, 0);
                run(CHILD_CHANNEL);
        }
        close(ends[1]);
        s->channel = ends[0];
        if (s->pid < 0) {
                closep(&s->channel);
                *s = (Starter){ .channel = -1 };
                return error_errno(e, -errno, "fork");
        }
        fcntl(s->channel, F_SETFL, O_NONBLOCK);
        return 0;
}

int starter_start(const Starter *s, const char *program, int channel, Error *e) {
        return channel_send(s->channel, json_pack("{s:s, s:s}", "op", "start", "program", program), &channel,
                            1, e);
}

int starter_probe(const Starter *s, unsigned id, const Probe *p, Error *e) {
        json_t *argv = json_array();

        for (const char *const *a = p->command; *a; a++)
                json_array_append_new(argv, json_string(*a));
        return channel_send(s->channel,
                            json_pack("{s:s, s:i, s:o, s:s, s:I, s:o*}", "op", "command", "id", (int)id,
                                      "argv", argv, "user", p->user, "timeout_usec",
                                      (json_int_t)p->timeout_usec, "expect",
                                      p->expect ? json_string(p->expect) : NULL),
                            NULL, 0, e);
}

void starter_end(Starter *s) {
        if (s->channel >= 0)
                close(s->channel);
        if (s->pid > 0)
                while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        *s = (Starter){ .channel = -1 };
}

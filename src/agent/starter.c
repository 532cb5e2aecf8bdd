/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/starter.h"
#include "agent/channel.h"
#include "agent/child.h"
#include "agent/command-probe.h"
#include "agent/peer.h"
#include "base/macro.h"
#include "patch/json.h"
#include "report/event.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ARGUMENTS = 1000 };

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

static void probe(const json_t *j, int channel) {
        const char *argv[ARGUMENTS + 1] = { 0 };
        const json_t *arguments = json_object_get(j, "argv");
        uint64_t usec = 0;
        Error e = { 0 };
        int r;

        for (size_t i = 0; i < MIN(json_array_size(arguments), (size_t)ARGUMENTS); i++)
                argv[i] = json_string_value(json_array_get(arguments, i));
        r = command_probe(argv, json_string_value(json_object_get(j, "user")),
                          (uint64_t)json_integer_value(json_object_get(j, "timeout_usec")),
                          json_string_value(json_object_get(j, "expect")), &usec, &e);
        channel_send(channel,
                     json_pack("{s:O, s:I, s:o*}", "probe", json_object_get(j, "id"), "usec",
                               (json_int_t)usec, "failed", r < 0 ? json_text(e.text) : NULL),
                     NULL, 0, NULL);
        _exit(EXIT_SUCCESS);
}

static _Noreturn void run(int channel) {
        int net = -1;
        Error e = { 0 };

        prctl(PR_SET_NAME, "staunch-starter");
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        event_forward(-1);
        event_count(NULL);
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        unsetenv("WATCHDOG_PID");
        if (command_probe_narrow(&e) < 0) {
                child_log(LOG_ERR, "starter: %s", e.text);
                _exit(EXIT_FAILURE);
        }
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

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/command.h"
#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { OUTPUT_MAX = 1 << 20 };

typedef struct Run {
        pid_t pid;
        int pidfd, out, err;
        char *output;
        size_t n, room, max;
        char line[256]; /* of standard error, that is being written */
        size_t n_line;
        CommandResult result;
} Run;

/* What it reads; a file in memory, so that nobody has to write while it reads. */
static int input_of(const Command *c) {
        int fd = c->input ? memfd_create("input", MFD_CLOEXEC) : open("/dev/null", O_RDWR | O_CLOEXEC);
        size_t size = c->input ? strlen(c->input) : 0;

        if (fd >= 0 && size && (write(fd, c->input, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) < 0))
                closep(&fd);
        return fd;
}

static int become_user(const struct passwd *pw) {
        return initgroups(pw->pw_name, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
                               setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0 || chdir("/") < 0 ||
                               setenv("HOME", pw->pw_dir, 1) < 0 || setenv("USER", pw->pw_name, 1) < 0 ||
                               setenv("LOGNAME", pw->pw_name, 1) < 0
                       ? -1
                       : 0;
}

/* A lower limit of the caller's stays. */
static int limit_memory(const Command *c) {
        struct rlimit limit;

        if (!c->memory_max)
                return 0;
        if (getrlimit(RLIMIT_AS, &limit) < 0)
                return -1;
        limit.rlim_cur = limit.rlim_max = MIN(limit.rlim_max, c->memory_max);
        return setrlimit(RLIMIT_AS, &limit);
}

static _Noreturn void become(const Command *c, const struct passwd *pw, int out, int err, int status) {
        int in = input_of(c), code;
        sigset_t none;

        setpgid(0, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        for (int s = 1; s < 32; s++)
                if (s != SIGKILL && s != SIGSTOP)
                        signal(s, SIG_DFL);
        for (const char *const *v = c->environment; v && *v; v++)
                putenv((char *)*v);
        if ((!pw || become_user(pw) == 0) && dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
            dup2(err, STDERR_FILENO) >= 0 && dup3(status, 3, O_CLOEXEC) >= 0 && limit_memory(c) == 0) {
                close_range(4, ~0U, 0);
                execvp(c->argv[0], (char *const *)c->argv);
                status = 3;
        }
        code = errno;
        _exit(write(status, &code, sizeof(code)) == sizeof(code) ? 127 : 126);
}

/* Starts it; an error when the program can't be run at all. */
static int start(Run *r, const Command *c, Error *e) {
        int out[2] = { -1, -1 }, err[2] = { -1, -1 }, status[2] = { -1, -1 }, code = 0;
        const struct passwd *pw = c->user ? getpwnam(c->user) : NULL;

        if (c->user && !pw)
                return error_set(e, -ENOENT, "%s: there is no user %s", c->argv[0], c->user);
        if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
                code = errno;
        else if ((r->pid = fork()) < 0)
                code = errno;
        else if (r->pid == 0)
                /* Out of the way of the descriptors that it is to get. */
                become(c, pw, fcntl(out[1], F_DUPFD_CLOEXEC, 10), fcntl(err[1], F_DUPFD_CLOEXEC, 10),
                       fcntl(status[1], F_DUPFD_CLOEXEC, 10));
        closep(&out[1]);
        closep(&err[1]);
        closep(&status[1]);
        if (!code) {
                ssize_t n = read(status[0], &code, sizeof(code));

                if (n == sizeof(code))
                        waitpid(r->pid, NULL, 0);
                else
                        code = 0;
        }
        closep(&status[0]);
        r->out = out[0];
        r->err = err[0];
        if (code)
                return error_errno(e, -code, "%s", c->argv[0]);
        setpgid(r->pid, r->pid); /* whoever of the two is first */
        fcntl(r->out, F_SETFL, O_NONBLOCK);
        fcntl(r->err, F_SETFL, O_NONBLOCK);
        r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
        return 0;
}

/* Everything that is there now. -E2BIG: too much; 1: the end; 0: more may come. */
static int take_output(Run *r) {
        for (;;) {
                ssize_t n;

                if (r->n + 1 >= r->room) {
                        r->room = r->room ? r->room * 2 : 4096;
                        r->output = realloc(r->output, r->room);
                        if (!r->output)
                                return -ENOMEM;
                }
                n = read(r->out, r->output + r->n, r->room - r->n - 1);
                if (n < 0)
                        return errno == EAGAIN || errno == EINTR ? 0 : 1;
                r->n += (size_t)n;
                r->output[r->n] = 0;
                if (n == 0)
                        return 1;
                if (r->n > r->max)
                        return -E2BIG;
        }
}

/* Keeps the last line that is not empty. 1: the end; 0: more may come. */
static int take_complaint(Run *r) {
        char bytes[4096];
        ssize_t n;

        while ((n = read(r->err, bytes, sizeof(bytes))) > 0)
                for (ssize_t i = 0; i < n; i++) {
                        if (bytes[i] == '\n' || bytes[i] == '\r') {
                                r->n_line = 0;
                        } else if (r->n_line + 1 < sizeof(r->line)) {
                                r->line[r->n_line++] = bytes[i];
                                memcpy(r->result.complaint, r->line, r->n_line);
                                r->result.complaint[r->n_line] = 0;
                        }
                }
        return n == 0 || (errno != EAGAIN && errno != EINTR);
}

/* Until the program has ended and what it wrote is read. Children that it left behind are not waited for. */
static int follow(Run *r, const Command *c, Error *e) {
        uint64_t until = c->timeout_usec ? now_usec() + c->timeout_usec : 0;
        bool out = true, err = true, ended = false;

        while (!ended) {
                struct pollfd p[] = { { r->pidfd, POLLIN, 0 },
                                      { out ? r->out : -1, POLLIN, 0 },
                                      { err ? r->err : -1, POLLIN, 0 } };
                uint64_t now = now_usec();
                int left = !until         ? -1
                           : now >= until ? 0
                                          : (int)MIN((until - now) / 1000 + 1, 1000000U),
                    n, k;

                n = poll(p, ELEMENTSOF(p), left);
                if (n < 0 && errno != EINTR)
                        return error_errno(e, -errno, "poll");
                if (n == 0 && until && now_usec() >= until)
                        return error_set(e, -ETIME, "%s did not end within %.3g s", c->argv[0],
                                         (double)c->timeout_usec / 1e6);
                ended = p[0].revents != 0;
                k = out ? take_output(r) : 0;
                if (k == -E2BIG)
                        return error_set(e, k, "%s wrote more than %zu bytes", c->argv[0], r->max);
                if (k < 0)
                        return error_errno(e, k, "%s", c->argv[0]);
                out = out && k == 0;
                err = err && take_complaint(r) == 0;
        }
        return 0;
}

int command_run(const Command *c, CommandResult *out, Error *e) {
        Run r = { .pidfd = -1, .out = -1, .err = -1, .max = c->output_max ? c->output_max : OUTPUT_MAX };
        int status = 0, k = start(&r, c, e);

        *out = (CommandResult){ 0 };
        if (k == 0) {
                k = r.pidfd < 0 ? error_errno(e, -errno, "pidfd_open") : follow(&r, c, e);
                if (k < 0)
                        kill(-r.pid, SIGKILL);
                while (waitpid(r.pid, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        closep(&r.pidfd);
        closep(&r.out);
        closep(&r.err);
        if (k < 0) {
                free(r.output);
                return k;
        }
        r.result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        r.result.output = r.output;
        r.result.n = r.n;
        *out = r.result;
        return 0;
}

int command_must(const Command *c, CommandResult *out, Error *e) {
        int r = command_run(c, out, e);

        if (r < 0 || out->code == 0)
                return r;
        error_set(e, -EREMOTEIO, "%s ended with code %d%s%s", c->argv[0], out->code,
                  out->complaint[0] ? ": " : "", out->complaint);
        command_result_free(out);
        return -EREMOTEIO;
}

void command_result_free(CommandResult *r) {
        free(r->output);
        *r = (CommandResult){ 0 };
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/peer.h"
#include "agent/child.h"
#include "agent/starter.h"
#include "base/macro.h"
#include "base/program.h"
#include "config.h"
#include "proc/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { PAUSE_USEC = 100000, PAUSE_MAX_USEC = 60000000 };

void peer_init(Peer *p, const char *program) {
        *p = (Peer){ .program = program, .channel = -1 };
}

_Noreturn void peer_exec(const char *program, int channel) {
        char *const args[] = { (char *)(uintptr_t)program, NULL };
        char path[PATH_MAX];
        sigset_t none;

        program_find(program, LIBEXEC_DIR, path);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        /* Nothing of ours goes along but its end of the channel and the error output. */
        if (channel == CHILD_CHANNEL)
                fcntl(channel, F_SETFD, 0);
        else
                dup2(channel, CHILD_CHANNEL);
        close_range(CHILD_CHANNEL + 1, ~0U, 0);
        execv(path, args);
        child_log(LOG_ERR, "%s: %s", path, strerror(errno));
        _exit(127);
}

void peer_fail(Peer *p) {
        /* The first time it is started again at once. */
        uint64_t pause = p->failures ? (uint64_t)PAUSE_USEC << MIN(p->failures, 10u) : 0;

        p->failures++;
        p->not_before_usec = now_usec() + MIN(pause, (uint64_t)PAUSE_MAX_USEC);
        peer_stop(p);
}

int peer_start(Peer *p, Error *e) {
        int ends[2], fds[CHANNEL_FDS], r;
        size_t n;

        if (p->channel >= 0)
                return 0;
        if (now_usec() < p->not_before_usec)
                return error_set(e, -EAGAIN, "%s failed %u times; it is started again in a moment",
                                 p->program, p->failures);
        r = channel_pair(ends, e);
        if (r < 0)
                return r;
        p->pid = p->starter ? 0 : fork();
        if (p->pid == 0 && !p->starter)
                peer_exec(p->program, ends[1]);
        if (p->starter)
                r = starter_start(p->starter, p->program, ends[1], e);
        close(ends[1]);
        p->channel = ends[0];
        if (r < 0) {
                error_prefix(e, "%s", "starter");
        } else if (p->pid < 0) {
                p->pid = 0;
                r = error_errno(e, -errno, "fork");
        } else {
                r = channel_receive(p->channel, &p->ready, fds, &n, e);
        }
        if (r < 0) {
                peer_fail(p);
                return error_prefix(e, "%s did not start", p->program);
        }
        return 0;
}

static int exchange(const Peer *p, json_t *request, const int *fds, size_t n_fds, json_t **reply,
                    int reply_fds[CHANNEL_FDS], size_t *n_reply_fds, Error *e) {
        int r = channel_send(p->channel, json_incref(request), fds, n_fds, e);

        if (r < 0)
                return r;
        if (p->meanwhile)
                p->meanwhile(p->meanwhile_data);
        return channel_receive(p->channel, reply, reply_fds, n_reply_fds, e);
}

int peer_ask(Peer *p, json_t *request, const int *fds, size_t n_fds, json_t **reply,
             int reply_fds[CHANNEL_FDS], size_t *n_reply_fds, Error *e) {
        int r = peer_start(p, e);
        const char *text;

        if (r < 0) {
                json_decref(request);
                return r;
        }
        r = exchange(p, request, fds, n_fds, reply, reply_fds, n_reply_fds, e);
        if (r == -EPIPE || r == -ECONNRESET) { /* it ended; what it is asked can be asked twice */
                Error again = { 0 };

                peer_fail(p);
                r = peer_start(p, &again);
                if (r == 0)
                        r = exchange(p, request, fds, n_fds, reply, reply_fds, n_reply_fds, &again);
                if (e)
                        *e = again;
        }
        json_decref(request);
        if (r < 0) {
                peer_fail(p);
                return error_prefix(e, "%s", p->program);
        }
        p->failures = 0;
        text = json_string_value(json_object_get(*reply, "error"));
        if (!text)
                return 0;
        r = (int)json_integer_value(json_object_get(*reply, "code"));
        r = error_set(e, r < 0 ? r : -EIO, "%s: %s", p->program, text);
        for (size_t i = 0; i < *n_reply_fds; i++)
                closep(&reply_fds[i]);
        json_decref(*reply);
        return r;
}

void peer_stop(Peer *p) {
        closep(&p->channel);
        p->channel = -1;
        if (p->pid > 0) {
                kill(p->pid, SIGTERM);
                while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        p->pid = 0;
        json_decref(p->ready);
        p->ready = NULL;
}

int peer_alive(Peer *p) {
        int r;

        if (p->pid <= 0)
                return -ESRCH;
        do
                r = waitpid(p->pid, NULL, WNOHANG);
        while (r < 0 && errno == EINTR);
        if (r == 0)
                return 1;
        p->pid = 0;
        peer_stop(p);
        return 0;
}

void peer_borrow(Peer *p) {
        p->pid = 0;
}

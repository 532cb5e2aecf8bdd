/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/network.h"
#include "agent/child.h"
#include "agent/peer.h"
#include "agent/starter.h"
#include "base/clock.h"
#include "base/macro.h"
#include "patch/json.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { AGAIN_USEC = 1000000 };

struct Network {
        NetworkOwner owner;
        void *data;
        sd_event *loop;
        sd_event_source *waits, *source, *again,
                *commands; /* for a client; for net's messages; until it may start again */
        Starter starter;
        Peer peer;
        char path[108];
        int listener;
        char address[64];
};

int network_open(const char *path, const NetworkOwner *owner, void *data, Network **out, Error *e) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const struct passwd *pw = geteuid() == 0 ? getpwnam(SANDBOX_USER) : NULL;
        Network *n = calloc(1, sizeof(*n));
        mode_t mask;
        int r;

        if (!n)
                return error_errno(e, -ENOMEM, "%s", path);
        n->owner = *owner;
        n->data = data;
        n->listener = -1;
        n->starter.channel = -1;
        peer_init(&n->peer, "staunch-net");
        n->peer.starter = &n->starter;
        if (strlen(path) >= sizeof(address.sun_path)) {
                free(n);
                return error_errno(e, -ENAMETOOLONG, "%s", path);
        }
        memcpy(address.sun_path, path, strlen(path) + 1);
        memcpy(n->path, path, strlen(path) + 1);
        n->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        unlink(path);
        mask = umask(0117);
        r = n->listener < 0 || bind(n->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
                            listen(n->listener, 16) < 0 || (pw && chown(path, 0, pw->pw_gid) < 0)
                    ? -errno
                    : 0;
        umask(mask);
        if (r < 0) {
                error_errno(e, r, "%s", path);
        } else {
                r = starter_begin(&n->starter, e);
        }
        if (r < 0) {
                network_close(n);
                return r;
        }
        *out = n;
        return 0;
}

static bool start(Network *n);

static int on_again(sd_event_source *s, uint64_t usec, void *data) {
        Network *n = data;

        (void)s;
        (void)usec;
        sd_event_source_set_enabled(n->waits, SD_EVENT_ON);
        if (*n->address)
                start(n);
        return 0;
}

/* It is tried again in a moment, if somebody needs it then. */
static void wait_again(Network *n) {
        uint64_t now = now_usec();

        sd_event_source_set_enabled(n->waits, SD_EVENT_OFF);
        if (!n->again)
                sd_event_add_time(n->loop, &n->again, CLOCK_MONOTONIC, now + AGAIN_USEC, 0, on_again, n);
        sd_event_source_set_time(n->again, now + AGAIN_USEC);
        sd_event_source_set_enabled(n->again, SD_EVENT_ONESHOT);
}

static void end(Network *n, const char *text) {
        char said[256];

        snprintf(said, sizeof(said), "%s", text);
        n->source = sd_event_source_unref(n->source);
        peer_fail(&n->peer);
        wait_again(n);
        n->owner.failed(n->data, said);
}

static bool send_to(Network *n, json_t *j, const int *fds, size_t n_fds) {
        Error e = { 0 };

        if (channel_send(n->peer.channel, j, fds, n_fds, &e) == 0)
                return true;
        end(n, e.text);
        return false;
}

static void answer_scrape(Network *n, int id, bool openmetrics) {
        _cleanup_(freep) char *text = n->owner.metrics(n->data, openmetrics);
        _cleanup_(closep) int fd = text ? channel_memfd("staunch-metrics", text, strlen(text), NULL) : -1;

        send_to(n, json_pack("{s:s, s:i}", "op", "metrics", "id", id), &fd, fd >= 0);
}

/* A command that was a probe has ended. */
static int on_command(sd_event_source *s, int fd, uint32_t events, void *data) {
        int fds[CHANNEL_FDS], r;
        Network *n = data;
        Error e = { 0 };
        json_t *j;
        size_t n_fds;

        (void)events;
        r = channel_receive(fd, &j, fds, &n_fds, &e);
        if (r == -EAGAIN)
                return 0;
        if (r < 0) {
                sd_event_source_set_enabled(s, SD_EVENT_OFF);
                n->owner.failed(n->data,
                                "The starter ended: no probes can be made until the agent is started again");
                return 0;
        }
        n->owner.probed(n->data, (unsigned)json_integer_value(json_object_get(j, "probe")),
                        (uint64_t)json_integer_value(json_object_get(j, "usec")),
                        json_string_value(json_object_get(j, "failed")));
        json_decref(j);
        return 0;
}

/* What net says is taken for no more than it is: it may be taken over. */
static void take(Network *n, const json_t *j) {
        const json_t *probe = json_object_get(j, "probe"), *scrape = json_object_get(j, "scrape");
        const char *error = json_string_value(json_object_get(j, "error"));
        json_int_t usec = json_integer_value(json_object_get(j, "usec"));

        if (json_is_integer(probe) && json_integer_value(probe) > 0 &&
            json_integer_value(probe) <= UINT_MAX && usec >= 0)
                n->owner.probed(n->data, (unsigned)json_integer_value(probe), (uint64_t)usec,
                                json_string_value(json_object_get(j, "failed")));
        else if (json_is_integer(scrape) && json_integer_value(scrape) > 0 &&
                 json_integer_value(scrape) <= INT_MAX)
                answer_scrape(n, (int)json_integer_value(scrape),
                              json_is_true(json_object_get(j, "openmetrics")));
        else if (error)
                child_log(LOG_ERR, "staunch-net: %.400s", error);
        else
                end(n, "staunch-net said something that is not known");
}

static int on_message(sd_event_source *s, int fd, uint32_t events, void *data) {
        int fds[CHANNEL_FDS], r;
        Network *n = data;
        Error e = { 0 };
        json_t *j;
        size_t n_fds;

        (void)s;
        (void)events;
        r = channel_receive(fd, &j, fds, &n_fds, &e);
        if (r == -EAGAIN)
                return 0;
        if (r < 0) {
                end(n, r == -EPIPE ? "staunch-net ended" : e.text);
                return 0;
        }
        for (size_t i = 0; i < n_fds; i++)
                close(fds[i]);
        n->peer.failures = 0;
        take(n, j);
        json_decref(j);
        return 0;
}

static bool start(Network *n) {
        Error e = { 0 };
        int r;

        if (n->source)
                return true;
        r = peer_start(&n->peer, &e);
        if (r < 0) {
                wait_again(n);
                if (r != -EAGAIN)
                        n->owner.failed(n->data, e.text);
                return false;
        }
        /* From here on nobody waits for it: what it does not take is lost, and so is it. */
        fcntl(n->peer.channel, F_SETFL, O_NONBLOCK);
        r = sd_event_add_io(n->loop, &n->source, n->peer.channel, EPOLLIN, on_message, n);
        if (r < 0) {
                end(n, strerror(-r));
                return false;
        }
        sd_event_source_set_enabled(n->waits, SD_EVENT_OFF);
        return send_to(n, json_pack("{s:s}", "op", "listen"), &n->listener, 1) &&
               send_to(n, json_pack("{s:s, s:s}", "op", "listen", "address", n->address), NULL, 0);
}

/* The first client; net serves those that come later by itself. One that comes while net may not be started
 * yet waits. */
static int on_client(sd_event_source *s, int fd, uint32_t events, void *data) {
        (void)s;
        (void)fd;
        (void)events;
        start(data);
        return 0;
}

int network_begin(Network *n, sd_event *loop, Error *e) {
        int r;

        n->loop = loop;
        r = sd_event_add_io(loop, &n->waits, n->listener, EPOLLIN, on_client, n);
        if (r >= 0)
                r = sd_event_add_io(loop, &n->commands, n->starter.channel, EPOLLIN, on_command, n);
        return r < 0 ? error_errno(e, r, "%s", n->path) : 0;
}

void network_listen(Network *n, const char *address) {
        if (strcmp(n->address, address) == 0)
                return;
        snprintf(n->address, sizeof(n->address), "%s", address);
        if (n->source)
                send_to(n, json_pack("{s:s, s:s}", "op", "listen", "address", n->address), NULL, 0);
        else
                start(n);
}

bool network_probe(Network *n, unsigned id, const Probe *p) {
        char url[600];

        if (p->kind == PROBE_COMMAND)
                return starter_probe(&n->starter, id, p, NULL) == 0;
        snprintf(url, sizeof(url), "http://%s", p->target);
        return start(n) && send_to(n,
                                   json_pack("{s:s, s:i, s:b, s:o, s:o*, s:I, s:b}", "op", "probe", "id",
                                             (int)id, "tcp", p->kind == PROBE_TCP, "url",
                                             json_text(p->kind == PROBE_TCP ? url : p->target), "expect",
                                             p->expect ? json_text(p->expect) : NULL, "timeout_usec",
                                             (json_int_t)p->timeout_usec, "verify_tls", p->verify_tls),
                                   NULL, 0);
}

const json_t *network_ready(const Network *n) {
        return n->peer.ready;
}

void network_close(Network *n) {
        if (!n)
                return;
        sd_event_source_unref(n->source);
        sd_event_source_unref(n->waits);
        sd_event_source_unref(n->again);
        sd_event_source_unref(n->commands);
        peer_stop(&n->peer);
        starter_end(&n->starter);
        closep(&n->listener);
        unlink(n->path);
        free(n);
}

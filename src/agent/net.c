/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/channel.h"
#include "agent/child.h"
#include "agent/fetch.h"
#include "agent/scrape.h"
#include "base/file.h"
#include "base/macro.h"
#include "verify/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

/*
 * staunch-net: the one process of the agent that meets the network. It makes the probes that the applier asks
 * for, and serves the metrics that the applier hands it. It knows nothing else, and can do nothing else.
 *
 * The applier says {"op": "probe", "id", "tcp", "url", "expect", "timeout_usec", "verify_tls"}, {"op":
 * "listen", "address"} (and for the local socket a descriptor instead), {"op": "metrics", "id"} with a
 * memfd; net says {"probe": id, "usec", "failed"}, {"scrape": id, "openmetrics"}, {"error": text}.
 */
enum { METRICS_MAX = 4 << 20, OPEN_FILES = 256, WAIT_MSEC = 60000 };

typedef struct Net {
        Fetcher *fetcher;
        Scrape *scrape;
} Net;

static void say(json_t *j) {
        Error e = { 0 };

        if (channel_send(CHILD_CHANNEL, j, NULL, 0, &e) < 0) {
                child_log(LOG_ERR, "%s", e.text);
                exit(EXIT_FAILURE);
        }
}

static void on_done(void *data, unsigned id, uint64_t usec, const char *failed) {
        json_t *text = failed ? json_string(failed) : NULL;

        (void)data;
        if (failed && !text)
                text = json_string("it failed in a way that can't be written down");
        say(json_pack("{s:i, s:I, s:o*}", "probe", (int)id, "usec", (json_int_t)usec, "failed", text));
}

static void on_ask(void *data, unsigned id, bool openmetrics) {
        (void)data;
        say(json_pack("{s:i, s:b}", "scrape", (int)id, "openmetrics", openmetrics));
}

static int probe(Net *net, const json_t *j, Error *e) {
        json_int_t id = json_integer_value(json_object_get(j, "id")),
                   timeout = json_integer_value(json_object_get(j, "timeout_usec"));
        const char *url = json_string_value(json_object_get(j, "url"));

        if (!url || !probe_is_url(url) || id <= 0 || id > INT32_MAX || timeout <= 0)
                return error_set(e, -EINVAL, "not a probe");
        fetch_begin(net->fetcher, &(FetchRequest){
                                          .id = (unsigned)id,
                                          .tcp = json_is_true(json_object_get(j, "tcp")),
                                          .url = url,
                                          .expect = json_string_value(json_object_get(j, "expect")),
                                          .timeout_usec = (uint64_t)timeout,
                                          .verify_tls = !json_is_false(json_object_get(j, "verify_tls")),
                                  });
        return 0;
}

static int open_address(const char *text, Error *e) {
        _cleanup_(closep) int fd = -1;
        struct sockaddr_storage address;
        socklen_t size;
        int on = 1;

        if (!probe_loopback(text, &address, &size))
                return error_set(e, -EINVAL, "%s is not a loopback address with a port", text);
        fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
            bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 16) < 0)
                return error_errno(e, -errno, "metrics can't be served on %s", text);
        return TAKE_FD(fd);
}

/* Place 0 is the local socket, which comes as a descriptor; place 1 the loopback port ("": none). */
static int listen_at(Net *net, const json_t *j, int *fd, Error *e) {
        const char *address = json_string_value(json_object_get(j, "address"));
        int r;

        if (*fd >= 0)
                return scrape_listen(net->scrape, 0, TAKE_FD(*fd), e);
        if (!address)
                return error_set(e, -EINVAL, "nowhere to listen");
        r = scrape_listen(net->scrape, 1, -1, e);
        if (r == 0 && *address) {
                r = open_address(address, e);
                if (r >= 0)
                        r = scrape_listen(net->scrape, 1, r, e);
        }
        return r;
}

static int metrics(Net *net, const json_t *j, int fd, Error *e) {
        json_int_t id = json_integer_value(json_object_get(j, "id"));
        FileBytes text = { 0 };
        int r = 0;

        if (fd >= 0)
                r = file_read_fd(fd, "metrics", METRICS_MAX, &text, e);
        scrape_answer(net->scrape, (unsigned)id, fd >= 0 && r == 0 ? (const char *)text.bytes : NULL,
                      text.size);
        file_release(&text);
        return r;
}

static void serve(Net *net) {
        int fds[CHANNEL_FDS], r;
        const char *op;
        Error e = { 0 };
        json_t *j;
        size_t n;

        r = channel_receive(CHILD_CHANNEL, &j, fds, &n, &e);
        if (r == -EPIPE)
                exit(EXIT_SUCCESS);
        if (r < 0) {
                child_log(LOG_ERR, "%s", e.text);
                exit(EXIT_FAILURE);
        }
        op = json_string_value(json_object_get(j, "op"));
        if (op && strcmp(op, "probe") == 0)
                r = probe(net, j, &e);
        else if (op && strcmp(op, "listen") == 0)
                r = listen_at(net, j, &fds[0], &e);
        else if (op && strcmp(op, "metrics") == 0)
                r = metrics(net, j, fds[0], &e);
        else
                r = error_set(&e, -EINVAL, "a request that is not known");
        if (r < 0)
                say(child_error(&e));
        json_decref(j);
        for (size_t i = 0; i < CHANNEL_FDS; i++)
                closep(&fds[i]);
}

int main(void) {
        const struct rlimit files = { OPEN_FILES, OPEN_FILES };
        Net net = { 0 };
        Error e = { 0 };

        curl_global_init(CURL_GLOBAL_DEFAULT);
        setrlimit(RLIMIT_NOFILE, &files);
        child_begin("staunch-net", SANDBOX_NET);
        net.scrape = scrape_new(on_ask, &net);
        if (fetcher_new(on_done, &net, &net.fetcher, &e) < 0) {
                child_log(LOG_ERR, "%s", e.text);
                return EXIT_FAILURE;
        }
        for (;;) {
                struct curl_waitfd waited[1 + SCRAPE_SOCKETS] = { { .fd = CHILD_CHANNEL,
                                                                    .events = CURL_WAIT_POLLIN } };
                int fds[SCRAPE_SOCKETS], timeout = WAIT_MSEC;
                size_t n = scrape_fds(net.scrape, fds, &timeout);

                for (size_t i = 0; i < n; i++)
                        waited[1 + i] = (struct curl_waitfd){ .fd = fds[i], .events = CURL_WAIT_POLLIN };
                if (fetch_wait(net.fetcher, waited, (unsigned)(1 + n), timeout, &e) < 0) {
                        child_log(LOG_ERR, "%s", e.text);
                        return EXIT_FAILURE;
                }
                if (waited[0].revents)
                        serve(&net);
                scrape_run(net.scrape);
        }
}

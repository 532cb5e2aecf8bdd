/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/scrape.h"
#include "base/macro.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { CLIENTS = 16, IDLE_SEC = 10, REQUEST_MAX = 16384 };

typedef struct Request {
        Scrape *scrape; /* NULL: this place is free */
        struct MHD_Connection *connection;
        unsigned id;
        bool openmetrics, waits;
        struct MHD_Response *response;
} Request;

struct Scrape {
        ScrapeAsk *ask;
        void *data;
        struct MHD_Daemon *daemons[SCRAPE_SOCKETS];
        Request requests[SCRAPE_SOCKETS * CLIENTS];
        unsigned next;
};

Scrape *scrape_new(ScrapeAsk *ask, void *data) {
        Scrape *s = calloc(1, sizeof(*s));

        if (!s)
                abort();
        s->ask = ask;
        s->data = data;
        return s;
}

/* "q=0.5" of the parameters that begin at `at`; 1 when there is none. */
static double quality(const char *at, const char *end) {
        while (at < end) {
                at += strspn(at, "; \t");
                if (at + 2 < end && (*at == 'q' || *at == 'Q') && at[1] == '=') {
                        char text[8] = "";

                        for (size_t i = 0;
                             i + 1 < sizeof(text) && at + 2 + i < end && strchr("0123456789.", at[2 + i]);
                             i++)
                                text[i] = at[2 + i];
                        return strtod(text, NULL);
                }
                while (at < end && *at != ';')
                        at++;
        }
        return 1;
}

bool scrape_wants_openmetrics(const char *accept) {
        static const char open[] = "application/openmetrics-text", plain[] = "text/plain";
        double open_quality = 0, plain_quality = 0;

        while (accept && *accept) {
                const char *end = accept + strcspn(accept, ","), *type = accept + strspn(accept, " \t");
                size_t n = strcspn(type, ",; \t");

                if (n == sizeof(open) - 1 && strncasecmp(type, open, n) == 0)
                        open_quality = quality(type + n, end);
                if (n == sizeof(plain) - 1 && strncasecmp(type, plain, n) == 0)
                        plain_quality = quality(type + n, end);
                accept = *end ? end + 1 : end;
        }
        return open_quality > 0 && open_quality >= plain_quality;
}

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *text) {
        struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                                 MHD_RESPMEM_PERSISTENT);
        enum MHD_Result result;

        MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(r, "Allow", "GET, HEAD");
        result = MHD_queue_response(c, status, r);
        MHD_destroy_response(r);
        return result;
}

static Request *begin(Scrape *s, struct MHD_Connection *c) {
        const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept");

        for (size_t i = 0; i < ELEMENTSOF(s->requests); i++)
                if (!s->requests[i].scrape) {
                        s->requests[i] = (Request){ .scrape = s,
                                                    .connection = c,
                                                    .id = ++s->next,
                                                    .openmetrics = scrape_wants_openmetrics(accept) };
                        return &s->requests[i];
                }
        return NULL;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *body, size_t *n, void **state) {
        Request *r = *state;
        enum MHD_Result result;

        (void)version;
        (void)body;
        *n = 0;
        if (r && r->response) {
                result = MHD_queue_response(c, MHD_HTTP_OK, r->response);
                MHD_destroy_response(r->response);
                r->response = NULL;
                return result;
        }
        if (r)
                return reply(c, MHD_HTTP_SERVICE_UNAVAILABLE, "The agent has no metrics now.\n");
        if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
                return reply(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD.\n");
        if (strcmp(url, "/metrics") != 0)
                return reply(c, MHD_HTTP_NOT_FOUND, "Metrics are at /metrics.\n");
        *state = r = begin(data, c);
        if (!r)
                return reply(c, MHD_HTTP_SERVICE_UNAVAILABLE, "Too many at once.\n");
        r->waits = true;
        MHD_suspend_connection(c);
        r->scrape->ask(r->scrape->data, r->id, r->openmetrics);
        return MHD_YES;
}

static void on_end(void *data, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode code) {
        Request *r = *state;

        (void)data;
        (void)c;
        (void)code;
        if (!r)
                return;
        if (r->response)
                MHD_destroy_response(r->response);
        *r = (Request){ 0 };
        *state = NULL;
}

int scrape_listen(Scrape *s, size_t place, int fd, Error *e) {
        if (s->daemons[place]) {
                for (size_t i = 0; i < ELEMENTSOF(s->requests); i++)
                        if (s->requests[i].waits)
                                scrape_answer(s, s->requests[i].id, NULL, 0);
                MHD_stop_daemon(s->daemons[place]);
                s->daemons[place] = NULL;
        }
        if (fd < 0)
                return 0;
        s->daemons[place] = MHD_start_daemon(
                MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, s,
                MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CLIENTS,
                MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SEC, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                (size_t)REQUEST_MAX, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
        if (s->daemons[place])
                return 0;
        close(fd);
        return error_set(e, -EIO, "metrics can't be served: the HTTP server does not start");
}

size_t scrape_fds(Scrape *s, int fds[SCRAPE_SOCKETS], int *timeout_msec) {
        size_t n = 0;

        for (size_t i = 0; i < SCRAPE_SOCKETS; i++) {
                MHD_UNSIGNED_LONG_LONG due;

                if (!s->daemons[i])
                        continue;
                fds[n++] = MHD_get_daemon_info(s->daemons[i], MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
                if (MHD_get_timeout(s->daemons[i], &due) == MHD_YES)
                        *timeout_msec = MIN(*timeout_msec, (int)MIN(due, 60000ULL));
        }
        return n;
}

void scrape_run(Scrape *s) {
        for (size_t i = 0; i < SCRAPE_SOCKETS; i++)
                if (s->daemons[i])
                        MHD_run(s->daemons[i]);
}

void scrape_answer(Scrape *s, unsigned id, const char *text, size_t size) {
        for (size_t i = 0; i < ELEMENTSOF(s->requests); i++) {
                Request *r = &s->requests[i];

                if (!r->scrape || r->id != id || !r->waits)
                        continue;
                if (text) {
                        r->response = MHD_create_response_from_buffer(size, (void *)(uintptr_t)text,
                                                                      MHD_RESPMEM_MUST_COPY);
                        MHD_add_response_header(r->response, "Content-Type",
                                                r->openmetrics
                                                        ? "application/openmetrics-text; version=1.0.0; "
                                                          "charset=utf-8"
                                                        : "text/plain; version=0.0.4; charset=utf-8");
                }
                r->waits = false;
                MHD_resume_connection(r->connection);
                return;
        }
}

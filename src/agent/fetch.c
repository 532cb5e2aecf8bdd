/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/fetch.h"
#include "base/clock.h"
#include "base/macro.h"
#include "config.h"
#include "verify/probe.h"

#include <errno.h>
#include <string.h>

enum { TRANSFERS = 64, SEARCHED = 64 << 10, ANSWER_MAX = 1 << 20, WAITED = 32 };

typedef struct Transfer {
        Fetcher *fetcher;
        CURL *easy; /* NULL: this place is free */
        FetchRequest request;
        char *expect; /* the request's, copied */
        uint64_t begun_usec;
        bool listening; /* TCP: connected, and waits for what the other side says */
        char *answer;
        size_t n, all;
        bool too_long;
        char error[CURL_ERROR_SIZE];
} Transfer;

struct Fetcher {
        CURLM *multi;
        FetchDone *done;
        void *data;
        Transfer transfers[TRANSFERS];
};

int fetcher_new(FetchDone *done, void *data, Fetcher **out, Error *e) {
        Fetcher *f = calloc(1, sizeof(*f));

        if (f)
                f->multi = curl_multi_init();
        if (!f || !f->multi) {
                free(f);
                return error_errno(e, -ENOMEM, "curl");
        }
        f->done = done;
        f->data = data;
        *out = f;
        return 0;
}

static void end(Transfer *t, const char *failed) {
        Fetcher *f = t->fetcher;
        unsigned id = t->request.id;
        uint64_t usec = now_usec() - t->begun_usec;
        char text[CURL_ERROR_SIZE];

        if (failed)
                snprintf(text, sizeof(text), "%s", failed);
        curl_multi_remove_handle(f->multi, t->easy);
        curl_easy_cleanup(t->easy);
        free(t->expect);
        free(t->answer);
        *t = (Transfer){ .fetcher = f };
        f->done(f->data, id, usec, failed ? text : NULL);
}

/* Keeps the beginning; ends the transfer when there is too much. */
static size_t take(char *bytes, size_t size, size_t n, void *data) {
        Transfer *t = data;
        size_t all = size * n, keep = MIN(all, SEARCHED - t->n);

        t->all += all;
        if (t->all > ANSWER_MAX) {
                t->too_long = true;
                return 0;
        }
        if (keep && !t->answer)
                t->answer = malloc(SEARCHED);
        if (keep && t->answer)
                memcpy(t->answer + t->n, bytes, keep);
        t->n += t->answer ? keep : 0;
        return all;
}

static bool answered(const Transfer *t) {
        return !t->expect || (t->n && memmem(t->answer, t->n, t->expect, strlen(t->expect)));
}

void fetch_begin(Fetcher *f, const FetchRequest *request) {
        Transfer *t = f->transfers;
        char *expect = NULL;
        CURL *c;

        while (t < f->transfers + TRANSFERS && t->easy)
                t++;
        c = t < f->transfers + TRANSFERS ? curl_easy_init() : NULL;
        if (!c) {
                f->done(f->data, request->id, 0, "too many probes at once");
                return;
        }
        if (request->expect && !(expect = strdup(request->expect))) {
                curl_easy_cleanup(c);
                f->done(f->data, request->id, 0, "no memory for it");
                return;
        }
        *t = (Transfer){
                .fetcher = f, .easy = c, .request = *request, .expect = expect, .begun_usec = now_usec()
        };
        t->request.url = NULL;
        curl_easy_setopt(c, CURLOPT_URL, request->url);
        curl_easy_setopt(c, CURLOPT_PRIVATE, t);
        curl_easy_setopt(c, CURLOPT_ERRORBUFFER, t->error);
        curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(c, CURLOPT_PROXY, ""); /* nor one that the environment names */
        curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(c, CURLOPT_FORBID_REUSE, 1L);
        curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)MAX(request->timeout_usec / 1000, UINT64_C(1)));
        curl_easy_setopt(c, CURLOPT_USERAGENT, "staunch/" STAUNCH_VERSION);
        curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
        curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, request->verify_tls ? 1L : 0L);
        curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, request->verify_tls ? 2L : 0L);
        if (request->tcp)
                curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
        if (curl_multi_add_handle(f->multi, c) != CURLM_OK)
                end(t, "curl takes no more probes");
}

static void end_http(Transfer *t, CURLcode code) {
        long status = 0, wanted = probe_status(t->expect);
        char text[64];

        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
        snprintf(text, sizeof(text), "status %ld", status);
        if (t->too_long)
                end(t, "the answer is longer than 1 MiB");
        else if (code != CURLE_OK)
                end(t, t->error[0] ? t->error : curl_easy_strerror(code));
        else if (wanted ? status != wanted : status < 200 || status > 399)
                end(t, text);
        else
                end(t, wanted || answered(t) ? NULL : "the answer does not have the expected text");
}

/* Reads what there is; ends the transfer when that is what was expected, or can't be any more. */
static void listen_on(Transfer *t) {
        char bytes[4096];
        size_t n = 0;
        CURLcode code = curl_easy_recv(t->easy, bytes, sizeof(bytes), &n);

        if (code == CURLE_OK && n) {
                size_t taken = take(bytes, 1, n, t);

                if (answered(t)) {
                        end(t, NULL);
                        return;
                }
                if (taken && t->n < SEARCHED)
                        return;
                code = CURLE_WRITE_ERROR;
        }
        if (code != CURLE_AGAIN)
                end(t, "the answer does not have the expected text");
}

static void end_tcp(Transfer *t, CURLcode code) {
        if (code != CURLE_OK)
                end(t, t->error[0] ? t->error : curl_easy_strerror(code));
        else if (!t->expect)
                end(t, NULL);
        else
                t->listening = true;
}

static void finish(Fetcher *f) {
        CURLMsg *m;
        int left;

        while ((m = curl_multi_info_read(f->multi, &left))) {
                Transfer *t = NULL;
                CURLcode code = m->data.result;

                if (m->msg != CURLMSG_DONE ||
                    curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t) != CURLE_OK)
                        continue;
                if (t->request.tcp)
                        end_tcp(t, code);
                else
                        end_http(t, code);
        }
}

/* TCP transfers that wait for what the other side says: curl does not look at their sockets any more. */
static unsigned add_listening(Fetcher *f, struct curl_waitfd *fds, Transfer **whose, unsigned room,
                              int *timeout_msec) {
        unsigned n = 0;

        for (Transfer *t = f->transfers; t < f->transfers + TRANSFERS; t++) {
                uint64_t passed = t->listening ? now_usec() - t->begun_usec : 0;
                curl_socket_t fd;

                if (!t->listening)
                        continue;
                if (passed >= t->request.timeout_usec ||
                    curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd < 0) {
                        end(t, "it did not say what is expected in time");
                        continue;
                }
                *timeout_msec = MIN(*timeout_msec, (int)((t->request.timeout_usec - passed) / 1000) + 1);
                if (n < room) {
                        whose[n] = t;
                        fds[n++] = (struct curl_waitfd){ .fd = fd, .events = CURL_WAIT_POLLIN };
                }
        }
        return n;
}

int fetch_wait(Fetcher *f, struct curl_waitfd *extra, unsigned n, int timeout_msec, Error *e) {
        struct curl_waitfd fds[WAITED + TRANSFERS];
        Transfer *whose[TRANSFERS];
        unsigned listening;
        int running;
        CURLMcode code;

        n = MIN(n, (unsigned)WAITED);
        memcpy(fds, extra, n * sizeof(*fds));
        listening = add_listening(f, fds + n, whose, TRANSFERS, &timeout_msec);
        code = curl_multi_poll(f->multi, fds, n + listening, timeout_msec, NULL);
        if (code == CURLM_OK)
                code = curl_multi_perform(f->multi, &running);
        if (code != CURLM_OK)
                return error_set(e, -EIO, "curl: %s", curl_multi_strerror(code));
        for (unsigned i = 0; i < n; i++)
                extra[i].revents = fds[i].revents;
        for (unsigned i = 0; i < listening; i++)
                if (fds[n + i].revents)
                        listen_on(whose[i]);
        finish(f);
        return 0;
}

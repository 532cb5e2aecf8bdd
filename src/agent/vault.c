/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/channel.h"
#include "agent/child.h"
#include "base/macro.h"
#include "deliver/record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/*
 * staunch-vault: reads everything that is hostile. It gets two images as descriptors and answers with the
 * record of their comparison and the patch, both sealed. Each comparison runs in a process of its own: what
 * it takes is given back, and an image that breaks the comparer breaks only that.
 */

enum { CPU_MAX_SEC = 900 }; /* of one comparison */

static int take_codes(const json_t *list, bool accepted[REFUSAL_N]) {
        const json_t *item;
        size_t i;

        json_array_foreach((json_t *)list, i, item) {
                const char *s = json_string_value(item);
                RefusalCode code = s ? refusal_find(s) : REFUSAL_N;

                if (code == REFUSAL_N)
                        return -EINVAL;
                accepted[code] = true;
        }
        return 0;
}

static int answer(const Comparison *c, int channel, Error *e) {
        _cleanup_(freep) char *text = NULL;
        json_t *record = record_encode(c);
        int fds[2] = { -1, -1 }, r = 0;
        size_t n = 1;

        text = json_dumps(record, JSON_COMPACT);
        json_decref(record);
        if (!text)
                return error_errno(e, -ENOMEM, "the record of a comparison");
        fds[0] = channel_memfd("staunch-record", text, strlen(text), e);
        if (fds[0] >= 0 && c->outcome == OUTCOME_HOTPATCH) {
                fds[1] = channel_memfd("staunch-patch", c->patch_bytes, c->patch_size, e);
                n = 2;
        }
        r = fds[0] < 0 ? fds[0] : n == 2 && fds[1] < 0 ? fds[1] : 0;
        if (r == 0)
                r = channel_send(channel, json_pack("{s:b}", "ok", 1), fds, n, e);
        closep(&fds[0]);
        closep(&fds[1]);
        return r;
}

static int compare(const json_t *request, const int fds[CHANNEL_FDS], int channel, Error *e) {
        const char *path = json_string_value(json_object_get(request, "path"));
        bool accepted[REFUSAL_N] = { 0 };
        FileBytes old = { 0 }, new = { 0 };
        CompareOptions options = {
                .accepted = accepted,
                .old_path = path,
                .new_path = path,
        };
        Comparison c;
        int r;

        if (!path || fds[0] < 0 || fds[1] < 0 ||
            take_codes(json_object_get(request, "accepted"), accepted) < 0)
                return error_set(e, -EINVAL, "not a request to compare");
        r = file_read_fd(fds[0], path, IMAGE_MAX_SIZE, &old, e);
        if (r < 0)
                return r;
        r = file_read_fd(fds[1], path, IMAGE_MAX_SIZE, &new, e);
        if (r < 0) {
                file_release(&old);
                return r;
        }
        r = compare_files(path, &old, path, &new, &options, &c, e);
        if (r < 0)
                return r;
        r = answer(&c, channel, e);
        comparison_free(&c);
        return r;
}

/* The process of one comparison: what takes it over has its own answer, and nobody else's. */
static void work(const json_t *request, const int fds[CHANNEL_FDS], int channel) {
        json_int_t sec = json_integer_value(json_object_get(request, "cpu_sec"));
        rlim_t limit = sec > 0 && sec < CPU_MAX_SEC ? (rlim_t)sec : CPU_MAX_SEC;
        Error e = { 0 };
        int r;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(CHILD_CHANNEL);
        r = sandbox_childless(&e);
        if (r == 0) {
                setrlimit(RLIMIT_CPU, &(struct rlimit){ limit, limit });
                r = compare(request, fds, channel, &e);
        }
        _exit(r < 0 && channel_send(channel, child_error(&e), NULL, 0, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int serve(const json_t *request, const int fds[CHANNEL_FDS], Error *e) {
        const char *op = json_string_value(json_object_get(request, "op"));
        int status = 0, ends[2], out[CHANNEL_FDS], r;
        json_t *reply;
        size_t n;
        pid_t p;

        if (!op || strcmp(op, "compare") != 0)
                return error_set(e, -EINVAL, "a request that is not known");
        r = channel_pair(ends, e);
        if (r < 0)
                return r;
        p = fork();
        if (p == 0)
                work(request, fds, ends[1]);
        close(ends[1]);
        r = p < 0 ? error_errno(e, -errno, "fork") : channel_receive(ends[0], &reply, out, &n, e);
        close(ends[0]);
        while (p > 0 && waitpid(p, &status, 0) < 0 && errno == EINTR)
                ;
        if (p > 0 && WIFSIGNALED(status)) {
                if (r == 0)
                        json_decref(reply);
                for (size_t i = 0; r == 0 && i < n; i++)
                        close(out[i]);
                return error_set(e, -EIO, "the comparison was ended by signal %d (%s)", WTERMSIG(status),
                                 strsignal(WTERMSIG(status)));
        }
        if (r < 0)
                return p < 0 ? r : error_set(e, -EIO, "the comparison failed");
        r = channel_send(CHILD_CHANNEL, reply, out, n, e);
        for (size_t i = 0; i < n; i++)
                close(out[i]);
        return r;
}

int main(void) {
        _cleanup_(closep) int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (oom >= 0 && write(oom, "500", 3) != 3)
                child_log(LOG_WARNING, "oom_score_adj: %s", strerror(errno));
        unsetenv("DEBUGINFOD_URLS"); /* there is no network here */
        child_begin("staunch-vault", SANDBOX_VAULT);
        for (;;) {
                int fds[CHANNEL_FDS];
                json_t *request;
                Error e = { 0 };
                size_t n;
                int r = channel_receive(CHILD_CHANNEL, &request, fds, &n, &e);

                if (r == -EPIPE)
                        return EXIT_SUCCESS;
                if (r == 0) {
                        r = serve(request, fds, &e);
                        json_decref(request);
                        for (size_t i = 0; i < n; i++)
                                close(fds[i]);
                }
                if (r < 0) {
                        child_log(LOG_ERR, "%s", e.text);
                        if (channel_send(CHILD_CHANNEL, child_error(&e), NULL, 0, &e) < 0)
                                return EXIT_FAILURE;
                }
        }
}

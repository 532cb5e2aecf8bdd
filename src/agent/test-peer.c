/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/peer.h"
#include "base/macro.h"
#include "deliver/record.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

static json_t *request(void) {
        return json_pack("{s:s, s:s, s:[s]}", "op", "compare", "path", "/x/program", "accepted",
                         "layout-unproved");
}

/* Asks for a comparison; the answer's record goes to *out. */
static int ask(Peer *p, int old, int new, Comparison *out, Error *e) {
        int in[2] = { old, new }, fds[CHANNEL_FDS];
        FileBytes text = { 0 }, patch = { 0 };
        json_t *reply, *record;
        size_t n;
        int r = peer_ask(p, request(), in, 2, &reply, fds, &n, e);

        if (r < 0)
                return r;
        json_decref(reply);
        assert_true(n >= 1);
        assert_int_equal(channel_sealed(fds[0], e), 0);
        assert_int_equal(lseek(fds[0], 0, SEEK_SET), 0);
        assert_int_equal(file_read_fd(fds[0], "record", RECORD_MAX, &text, e), 0);
        record = json_loadb((const char *)text.bytes, text.size, 0, NULL);
        assert_non_null(record);
        file_release(&text);
        r = record_decode("record", record, &patch, out, e);
        json_decref(record);
        for (size_t i = 0; i < n; i++)
                close(fds[i]);
        return r;
}

static void answers(void **state) {
        int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        int rubbish = memfd_create("rubbish", MFD_CLOEXEC);
        Comparison c;
        Error e = { 0 };
        Peer p;

        (void)state;
        assert_int_equal(write(rubbish, "rubbish", 7), 7);
        peer_init(&p, "staunch-vault");
        assert_int_equal(ask(&p, self, self, &c, &e), 0);
        assert_int_equal(c.outcome, OUTCOME_UNCHANGED);
        comparison_free(&c);
        assert_true(json_is_true(json_object_get(p.ready, "ready")));

        /* What can't be read is that request's error, and the next goes well. */
        assert_true(ask(&p, self, rubbish, &c, &e) < 0);
        assert_non_null(strstr(e.text, "/x/program"));
        assert_int_equal(p.failures, 0);
        assert_int_equal(ask(&p, self, self, &c, &e), 0);
        comparison_free(&c);
        peer_stop(&p);
        close(self);
        close(rubbish);
}

static void ends_and_is_started_again(void **state) {
        int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        Comparison c;
        Error e = { 0 };
        pid_t first;
        Peer p;
        int r;

        (void)state;
        peer_init(&p, "staunch-vault");
        assert_int_equal(peer_start(&p, &e), 0);
        kill(p.pid, SIGKILL);
        waitid(P_PID, (id_t)p.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT);
        first = p.pid;
        r = ask(&p, self, self, &c, &e);
        assert_int_equal(r, 0);
        assert_int_not_equal(p.pid, first);
        comparison_free(&c);
        peer_stop(&p);
        close(self);
}

static void program_that_is_not_there(void **state) {
        Error e = { 0 };
        Peer p;

        (void)state;
        peer_init(&p, "staunch-nothing");
        assert_true(peer_start(&p, &e) < 0);
        assert_non_null(strstr(e.text, "staunch-nothing"));
        assert_int_equal(p.failures, 1);
        assert_int_equal(p.pid, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers),
                cmocka_unit_test(ends_and_is_started_again),
                cmocka_unit_test(program_that_is_not_there),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

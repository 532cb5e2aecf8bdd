/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void ignore(void *data, const WatchEvent *w) {
        (void)data;
        (void)w;
}

static void *end(void *arg) {
        return arg;
}

/* What comes through the socket: nobody is woken for the ends of threads. */
static void threads_are_not_told(void **state) {
        enum { THREADS = 20, WAIT_MSEC = 60000 };
        unsigned of_threads = 0;
        bool ended = false;
        sd_event *loop = NULL;
        Watch *watch = NULL;
        pthread_t thread;
        pid_t child;
        Error e;
        int fd;

        (void)state;
        assert_true(sd_event_new(&loop) >= 0);
        fd = dup(STDIN_FILENO); /* the number that the next descriptor has */
        assert_true(fd >= 0);
        close(fd);
        if (watch_open(loop, ignore, NULL, &watch, &e) < 0) {
                print_message("%s\n", e.text);
                sd_event_unref(loop);
                skip();
        }
        for (unsigned i = 0; i < THREADS; i++) {
                assert_int_equal(pthread_create(&thread, NULL, end, NULL), 0);
                pthread_join(thread, NULL);
        }
        child = fork();
        if (child == 0)
                _exit(0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (!ended && poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, WAIT_MSEC) == 1) {
                uint8_t bytes[256] = { 0 };
                struct proc_event event;

                if (recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
                        continue;
                memcpy(&event, bytes + NLMSG_HDRLEN + sizeof(struct cn_msg), sizeof(event));
                if ((unsigned)event.what != 0x80000000) /* PROC_EVENT_EXIT */
                        continue;
                of_threads += event.event_data.exit.process_tgid == getpid();
                ended = event.event_data.exit.process_pid == child;
        }
        watch_close(watch);
        sd_event_unref(loop);
        assert_true(ended);
        assert_int_equal(of_threads, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(threads_are_not_told) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/arrival.h"

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Nobody is woken without a ring to write into: a page of its own and one of records. */
static size_t ring_size(void) {
        return 2 * (size_t)sysconf(_SC_PAGESIZE);
}

Arrival arrival_watch(pid_t tid, uint64_t addr) {
        struct perf_event_attr attr = { .type = PERF_TYPE_BREAKPOINT,
                                        .size = sizeof(attr),
                                        .bp_type = HW_BREAKPOINT_X,
                                        .bp_addr = addr,
                                        .bp_len = sizeof(long),
                                        .sample_period = 1,
                                        .wakeup_events = 1,
                                        .exclude_kernel = 1,
                                        .exclude_hv = 1 };
        Arrival a = { .fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC) };

        if (a.fd < 0)
                return a;
        a.ring = mmap(NULL, ring_size(), PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, 0);
        if (a.ring == MAP_FAILED) {
                close(a.fd);
                a.fd = -1;
        }
        return a;
}

void arrival_await(Arrival *a, uint64_t usec) {
        struct pollfd p = { .fd = a->fd, .events = POLLIN };

        poll(&p, 1, (int)((usec + 999) / 1000));
        arrival_end(a);
}

void arrival_end(Arrival *a) {
        if (a->fd < 0)
                return;
        munmap(a->ring, ring_size());
        close(a->fd);
        a->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/watch.h"
#include "agent/child.h"
#include "base/clock.h"
#include "base/macro.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

enum {
        BUFFER = 4 << 20, /* of the socket: some 50,000 events */
        BATCH = 64,       /* datagrams a call of the kernel */
        CALLS = 16,       /* of the kernel, until others of the loop have a turn */
        DATAGRAM = 128,   /* an event has 76 bytes; what was cut is no event */
        REST_USEC = 5000, /* between two reads while there is something each time */
};

struct Watch {
        int fd;
        sd_event *loop;
        sd_event_source *input, *rest; /* either awaits the first event, or the end of a rest */
        void (*event)(void *data, const WatchEvent *w);
        void *data;
};

/*
 * Only exec and the end of whole processes are let through, so that threads and forks cost nothing here. The
 * offsets are behind both headers; classic BPF loads big-endian.
 */
static int filter(int fd) {
        enum {
                EVENT = NLMSG_HDRLEN + offsetof(struct cn_msg, data),
                WHAT = EVENT + offsetof(struct proc_event, what),
                TASK = EVENT + offsetof(struct proc_event, event_data.exit.process_pid),
                LEADER = EVENT + offsetof(struct proc_event, event_data.exit.process_tgid)
        };
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, WHAT),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(0x00000002), 6,
                         0),                                  /* PROC_EVENT_EXEC */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0), /* the answer to our request */
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __builtin_bswap32(0x80000000), 0,
                         5), /* PROC_EVENT_EXIT: of a thread, unless it is the leader */
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, TASK),
                BPF_STMT(BPF_MISC | BPF_TAX, 0),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, LEADER),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, DATAGRAM),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = { ELEMENTSOF(code), code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static int listen_to(int fd) {
        uint32_t op = PROC_CN_MCAST_LISTEN;
        struct nlmsghdr n = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct cn_msg) + sizeof(op)),
                              .nlmsg_type = NLMSG_DONE };
        struct cn_msg c = { .id = { CN_IDX_PROC, CN_VAL_PROC }, .len = sizeof(op) };
        uint8_t message[NLMSG_HDRLEN + sizeof(c) + sizeof(op)] = { 0 };

        memcpy(message, &n, sizeof(n));
        memcpy(message + NLMSG_HDRLEN, &c, sizeof(c));
        memcpy(message + NLMSG_HDRLEN + sizeof(c), &op, sizeof(op));
        return send(fd, message, sizeof(message), 0) < 0 ? -errno : 0;
}

/* The kernel answers while the request is made, and only who is in its first pid and user namespaces: what it
 * may tell others, because somebody else listens, is about pids that are not theirs. */
static bool is_answered(int fd) {
        enum { WHAT = NLMSG_HDRLEN + offsetof(struct cn_msg, data) + offsetof(struct proc_event, what) };
        uint8_t bytes[DATAGRAM];
        ssize_t n;

        while ((n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0 || errno == EINTR ||
               errno == ENOBUFS) {
                uint32_t what;

                if (n < (ssize_t)(WHAT + sizeof(what)))
                        continue;
                memcpy(&what, bytes + WHAT, sizeof(what));
                if (what == 0) /* PROC_EVENT_NONE */
                        return true;
        }
        return false;
}

static int open_connector(Error *e) {
        struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC };
        _cleanup_(closep) int fd =
                socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
        int size = BUFFER, r;

        if (fd < 0)
                return error_errno(e, -errno, "process events connector");
        if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_errno(e, -errno, "process events connector: bind");
        if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        r = filter(fd);
        if (r == 0)
                r = listen_to(fd);
        if (r < 0)
                return error_errno(e, r, "process events connector");
        if (!is_answered(fd))
                return error_set(e, -ENOTSUP,
                                 "process events connector: it tells nothing in a container (another pid or "
                                 "user namespace)");
        return TAKE_FD(fd);
}

static uint32_t u32_at(const uint8_t *p) {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        return v;
}

size_t watch_parse(const uint8_t *bytes, size_t size, void (*event)(void *, const WatchEvent *), void *data) {
        enum {
                HEADS = NLMSG_HDRLEN + offsetof(struct cn_msg, data),
                BODY = offsetof(struct proc_event, event_data)
        };
        const uint8_t *body = bytes + HEADS;
        WatchEvent w = { 0 };
        pid_t tid;

        if (size < HEADS + BODY + 16 || u32_at(bytes) > size || u32_at(bytes + NLMSG_HDRLEN) != CN_IDX_PROC ||
            u32_at(bytes + NLMSG_HDRLEN + 4) != CN_VAL_PROC)
                return 0;
        tid = (pid_t)u32_at(body + BODY);
        w.pid = (pid_t)u32_at(body + BODY + 4);
        switch (u32_at(body)) {
        case 0x00000002: /* exec */
                w.kind = WATCH_EXEC;
                break;
        case 0x80000000: { /* exit: of a thread, unless it is the leader */
                uint32_t code = u32_at(body + BODY + 8);

                if (tid != w.pid)
                        return 0;
                w.kind = WATCH_EXIT;
                w.signal = (int)(code & 0x7f);
                w.core = code & 0x80;
                w.code = w.signal ? 0 : (int)(code >> 8 & 0xff);
                break;
        }
        default:
                return 0;
        }
        event(data, &w);
        return 1;
}

/* Returns how many datagrams there were; negative when the socket is of no use any more. */
static int read_batch(const Watch *w) {
        uint8_t bytes[BATCH][DATAGRAM] __attribute__((aligned(8)));
        struct sockaddr_nl from[BATCH];
        struct mmsghdr messages[BATCH];
        struct iovec parts[BATCH];
        int n;

        for (size_t i = 0; i < BATCH; i++) {
                parts[i] = (struct iovec){ bytes[i], DATAGRAM };
                messages[i].msg_hdr = (struct msghdr){ .msg_name = &from[i],
                                                       .msg_namelen = sizeof(from[i]),
                                                       .msg_iov = &parts[i],
                                                       .msg_iovlen = 1 };
        }
        do
                n = recvmmsg(w->fd, messages, BATCH, MSG_DONTWAIT, NULL);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == ENOBUFS) {
                w->event(w->data, &(WatchEvent){ .kind = WATCH_LOST });
                return BATCH;
        }
        if (n < 0)
                return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        for (int i = 0; i < n; i++)
                if (from[i].nl_pid == 0) /* the kernel, and nobody else */
                        watch_parse(bytes[i], messages[i].msg_len, w->event, w->data);
        return n;
}

/* Reads what is there; then rests, or (nothing was there) waits for the next event. */
static void turn(Watch *w) {
        int n = BATCH, sum = 0;

        for (unsigned i = 0; n == BATCH && i < CALLS; i++) {
                n = read_batch(w);
                sum += MAX(n, 0);
        }
        if (n < 0)
                child_log(LOG_ERR,
                          "process events connector: %s: processes that start are noticed by the "
                          "periodic look only",
                          strerror(-n));
        sd_event_source_set_enabled(w->input, n < 0 || sum ? SD_EVENT_OFF : SD_EVENT_ON);
        if (n < 0 || !sum)
                return;
        sd_event_source_set_time(w->rest, now_usec() + (n == BATCH ? 0 : REST_USEC));
        sd_event_source_set_enabled(w->rest, SD_EVENT_ONESHOT);
}

static int on_input(sd_event_source *s, int fd, uint32_t events, void *data) {
        (void)s;
        (void)fd;
        (void)events;
        turn(data);
        return 0;
}

static int on_rested(sd_event_source *s, uint64_t usec, void *data) {
        (void)s;
        (void)usec;
        turn(data);
        return 0;
}

int watch_open(sd_event *loop, void (*event)(void *data, const WatchEvent *w), void *data, Watch **out,
               Error *e) {
        int fd = open_connector(e), r;
        Watch *w;

        if (fd < 0)
                return fd;
        w = calloc(1, sizeof(*w));
        if (!w)
                abort();
        *w = (Watch){ .fd = fd, .loop = loop, .event = event, .data = data };
        r = sd_event_add_io(loop, &w->input, fd, EPOLLIN, on_input, w);
        if (r >= 0)
                r = sd_event_add_time(loop, &w->rest, CLOCK_MONOTONIC, 0, REST_USEC / 5, on_rested, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->rest, SD_EVENT_OFF);
        if (r < 0) {
                watch_close(w);
                return error_errno(e, r, "process events connector");
        }
        *out = w;
        return 0;
}

Watch *watch_close(Watch *w) {
        if (!w)
                return NULL;
        sd_event_source_unref(w->input);
        sd_event_source_unref(w->rest);
        close(w->fd);
        free(w);
        return NULL;
}

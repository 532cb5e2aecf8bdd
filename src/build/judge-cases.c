/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small program for test-judge.c, which compiles it twice for each case: -DCASE=n -DNEW=0 and
 * -DNEW=1. Cases below 100 change a layout; cases from 100 on are what fixes look like.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NI __attribute__((noinline))
#define N(c) (NEW && CASE == (c))

enum {
        EV_OPEN = 3,
        EV_READ,
#if N(11)
        EV_PEEK,
#endif
        EV_WRITE,
        EV_CLOSE,
        EV_ERROR,
};

struct addr {
        uint32_t ip;
        uint16_t port;
#if N(10)
        uint16_t scope;
        uint32_t zone;
#endif
};

struct item {
        int weight;
#if N(7)
        int extra;
#endif
#if CASE == 8 && NEW
        short count;
#else
        int count;
#endif
        const char *label;
};

struct session;
struct callbacks {
        int (*on_read)(struct session *s, int n);
        int (*on_write)(struct session *s, int n);
#if N(29)
        int (*on_peek)(struct session *s, int n);
#endif
        void (*on_close)(struct session *s);
#if N(14)
        void (*on_error)(struct session *s);
#endif
};

struct session {
#if N(15)
        struct session *next;
#endif
#if N(18)
        int id;
#else
        long id;
#endif
#if N(5)
        long state;
#else
        int state;
#endif
#if N(3)
        int depth;
#endif
#if N(1)
        long quota;
#endif
#if N(25)
        char name[8];
#else
        char *name;
#endif
#if N(6)
        float flags;
#else
        unsigned flags;
#endif
#if N(19)
        char kind[4];
#else
        char kind;
#endif
#if N(4)
        char sub;
#endif
#if N(28)
        float score;
#else
        double score;
#endif
#if N(16)
        size_t room, n_items;
        struct item *items;
#elif N(31)
        struct item *items;
        size_t room, n_items;
#else
        struct item *items;
        size_t n_items, room;
#endif
        const struct callbacks *cb;
#if N(9)
        char buf[64];
#else
        char buf[32];
#endif
#if N(20)
        unsigned ready : 2, closed : 2, dirty : 3, level : 4;
#else
        unsigned ready : 1, closed : 1, dirty : 1, level : 4;
#endif
        struct addr peer;
#if !N(17)
        int spare;
#endif
        int errors;
#if !N(15)
        struct session *next;
#endif
#if N(2)
        long quota;
#endif
};

struct msg {
        int len;
#if N(12)
        int kind;
#endif
        char data[];
};

struct conf {
        int limit;
        int verbose;
#if N(13)
        int burst;
        int reserve;
#endif
        const char *prefix;
        struct session *head;
        long served;
};
static struct conf conf;
static struct conf *volatile shared = &conf;

struct stat_entry {
        long hits, misses;
#if N(22)
        long errors;
#endif
};
static struct stat_entry *stats;
#if N(112)
static long warned[8];
#endif

struct options { /* lives on the stack */
        int mode;
        short retries;
#if N(26)
        short backoff;
#endif
        const char *text;
};

#if N(125)
#define MAYBE static inline __attribute__((always_inline))
#else
#define MAYBE static NI
#endif

MAYBE long item_value(const struct item *it) {
        return (long)it->weight * it->count;
}

static NI void session_reset(struct session *s) {
        s->state = EV_OPEN;
        s->flags = 0;
        s->errors = 0;
        s->ready = 0;
        s->closed = 0;
        s->level = 3;
        memset(s->buf, 0, sizeof(s->buf));
#if N(3)
        s->depth = 0;
#endif
}

static NI struct session *session_new(const char *name, const struct callbacks *cb) {
        struct session *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
#if N(25)
        strncpy(s->name, name, 7);
#else
        s->name = strdup(name);
#endif
#if N(119)
        if (!s->name) {
                free(s);
                return NULL;
        }
#endif
        s->cb = cb;
        s->id = conf.served++;
#if N(19)
        s->kind[0] = name[0];
        s->kind[1] = 'x';
#else
        s->kind = name[0];
#endif
        s->score = 1.5;
        s->peer.ip = 0x7f000001;
        s->peer.port = 80;
#if !N(17)
        s->spare = 7;
#endif
        session_reset(s);
#if N(107)
        conf.head = s;
        s->next = s == conf.head ? NULL : conf.head;
#else
        s->next = conf.head;
        conf.head = s;
#endif
        return s;
}

static NI struct session *session_find(long id) {
        struct session *s;

        for (s = conf.head; s; s = s->next) {
#if N(120)
                if (s->closed)
                        continue;
#endif
                if (s->id == id)
                        return s;
        }
        return NULL;
}

static NI int session_add(struct session *s, int weight, int count, const char *label) {
        struct item *it;

#if N(102)
        if (!s || !label)
                return -1;
#endif
        if (s->n_items == s->room) {
                size_t room = s->room ? s->room * 2 : 4;

#if N(114)
                if (room > SIZE_MAX / sizeof(*it) / 2)
                        return -1;
#endif
                it = realloc(s->items, room * sizeof(*it));
                if (!it)
                        return -1;
                s->items = it;
                s->room = room;
        }
        it = &s->items[s->n_items++];
        it->weight = weight;
        it->count = count;
        it->label = label;
#if N(7)
        it->extra = weight + 1;
#endif
        return 0;
}

static NI long session_total(const struct session *s) {
        long total = 0;

#if N(108)
        for (size_t i = 0; i + 1 <= s->n_items; i++)
#else
        for (size_t i = 0; i < s->n_items; i++)
#endif
        {
#if N(109)
                if (s->items[i].weight < 0)
                        continue;
#endif
                total += item_value(&s->items[i]);
        }
#if N(106)
        if (s->errors > 3 && (s->flags & 4))
                return 0;
#endif
#if N(1) || N(2)
        total += s->quota;
#endif
        return total;
}

static NI double session_score(struct session *s) {
        double d = s->score * session_total(s);

#if N(126)
        if (d > 1e9)
                d = 1e9;
#endif
#if N(6)
        return d + s->flags;
#else
        return d + (s->flags & 1);
#endif
}

static NI int session_log(const struct session *s, const char *what) {
        char line[128];

#if N(104)
        return snprintf(line, sizeof(line), "%s: session %s: %s (%d)", conf.prefix, s->name, what,
                        s->state == EV_OPEN);
#elif N(110)
        char more[64];

        snprintf(more, sizeof(more), "%.40s", s->name);
        return snprintf(line, sizeof(line), "%s session %s %s %d", conf.prefix, more, what, (int)s->state);
#else
        return snprintf(line, sizeof(line), "%s session %s %s %d", conf.prefix, s->name, what, (int)s->state);
#endif
}

#if N(111)
static NI int session_check(const struct session *s, int n) {
        if (n < 0 || s->closed)
                return -1;
        return s->errors > conf.limit;
}
#endif

static NI int session_event(struct session *s, int event, int n) {
#if N(111)
        if (session_check(s, n))
                return -1;
#endif
        switch (event) {
        case EV_OPEN:
                session_reset(s);
                s->ready = 1;
                return 0;
        case EV_READ:
                s->state = EV_READ;
#if N(105)
                session_log(s, "read");
#endif
#if N(3)
                if (++s->depth > 10)
                        return -1;
#endif
                return s->cb->on_read(s, n);
        case EV_WRITE:
                s->state = EV_WRITE;
                s->dirty = 1;
#if N(103)
                if (n > 2048)
                        return -2;
#else
                if (n > 4096)
                        return -2;
#endif
                return s->cb->on_write(s, n);
        case EV_CLOSE:
                s->closed = 1;
                s->cb->on_close(s);
                return 1;
        case EV_ERROR:
                s->errors++;
#if N(14)
                s->cb->on_error(s);
#endif
#if N(117)
                s->flags |= 8;
#endif
                return -1;
#if N(124)
        case EV_ERROR + 1:
                s->errors = 0;
                return s->ready;
#endif
        default:
                return -3;
        }
}

static NI int parse(struct session *s, const unsigned char *p, size_t n) {
        size_t len;

        if (n < 4)
                return -1;
        len = p[1] | (size_t)p[2] << 8;
#if N(101)
        if (len > sizeof(s->buf) || len > n - 3)
                return -1;
#endif
#if N(4)
        s->sub = p[3];
#endif
        if (s->state == EV_CLOSE || s->closed)
                return -1;
        memcpy(s->buf, p + 3, len);
        if (p[0] == 1)
                return session_event(s, EV_READ, (int)len);
        if (p[0] == 2)
                return session_event(s, EV_WRITE, (int)len);
#if N(113)
        if (p[0] == 9) {
                free(s->items);
                s->items = NULL;
                s->n_items = s->room = 0;
        }
#endif
        return session_event(s, EV_ERROR, s->level);
}

static NI struct msg *msg_new(const char *text, int n) {
#if N(122)
        struct msg *m = malloc(sizeof(*m) + n + 1);
#else
        struct msg *m = malloc(sizeof(*m) + n);
#endif

        if (!m)
                return NULL;
        m->len = n;
        memcpy(m->data, text, n);
#if N(122)
        m->data[n] = 0;
#endif
        return m;
}

static NI int msg_sum(const struct msg *m) {
        int sum = 0;

        for (int i = 0; i < m->len; i++)
                sum += m->data[i];
#if N(112)
        if (sum < 0 && !warned[3]++)
                puts("negative");
#endif
        return sum;
}

static NI int stat_hit(unsigned key, int miss) {
        struct stat_entry *e = &stats[key & 15];

#if N(22)
        e->errors++;
#endif
        if (miss)
                e->misses++;
        else
                e->hits++;
        return (int)(e->hits + e->misses);
}

static NI int run_options(const struct options *o, struct session *s) {
        int r = 0;

        for (int i = 0; i < o->retries; i++)
                r += session_event(s, o->mode, i);
#if N(26)
        r += o->backoff;
#endif
        return r + (int)strlen(o->text);
}

static NI int retry(struct session *s, int mode) {
        struct options o = { .mode = mode, .retries = 3, .text = "retry" };

#if N(121)
        for (int i = 0; i < 3; i++)
                if (run_options(&o, s) >= 0)
                        return 0;
#endif
        return run_options(&o, s);
}

static NI void session_free(struct session *s) {
        struct session **p = &conf.head;

        while (*p && *p != s)
                p = &(*p)->next;
        if (*p)
                *p = s->next;
#if N(115)
        memset(s->buf, 0, sizeof(s->buf));
        __asm__ volatile("" ::: "memory");
#endif
#if !N(25)
        free(s->name);
#endif
        free(s->items);
        free(s);
}

static NI int describe(const struct session *s, char *out, size_t n) {
#if N(116)
        snprintf(out, n, "%s", s->name);
#else
        strcpy(out, s->name);
#endif
#if N(19)
        if (s->kind[1] == out[0])
                return 2;
#else
        if (s->kind == 'q')
                return 2;
#endif
#if N(10)
        if (s->peer.scope || s->peer.zone)
                return 1;
#endif
#if N(17)
        return s->errors;
#else
        return s->errors + s->spare;
#endif
}

static NI int tune(struct conf *c, int argc) {
        if (argc > c->limit)
                c->limit = argc;
#if N(13)
        c->burst = c->limit * 2;
        c->reserve = argc;
#endif
#if N(127)
        if ((unsigned)argc > (unsigned)c->limit)
                c->verbose = 1;
#endif
        return c->limit + c->verbose + (int)c->served;
}

static int reads(struct session *s, int n) {
        return session_add(s, n, 1, "read");
}

static int writes(struct session *s, int n) {
        return session_add(s, 1, n, "write");
}

static void closes(struct session *s) {
        session_free(s);
}

#if N(29) || N(14)
static void errors(struct session *s) {
        s->errors = 0;
}
#endif

static const struct callbacks callbacks = {
        .on_read = reads,
        .on_write = writes,
        .on_close = closes,
#if N(14)
        .on_error = errors,
#endif
};

int main(int argc, char **argv) {
        struct session *s;
        char out[256];
        int r = 0;

        conf.limit = argc + 3;
        conf.prefix = argv[0];
        stats = calloc(16, sizeof(*stats));
        for (int i = 0; i < argc; i++) {
                struct msg *m = msg_new(argv[i], (int)strlen(argv[i]));

                s = session_new(argv[i], &callbacks);
                if (!s || !m || !stats)
                        return 1;
                r += parse(s, (const unsigned char *)argv[i], strlen(argv[i])) + msg_sum(m) +
                     stat_hit((unsigned)i, argc & 1);
                r += (int)session_score(s) + session_log(s, argv[i]) + describe(s, out, sizeof(out)) +
                     tune(shared, argc);
                r += session_add(s, i, 2, "start");
                s = session_find(i / 2);
                if (s)
                        r += retry(s, argc);
                if (s && argc == 9)
                        session_free(s);
                free(m);
        }
        printf("%d\n", r);
        return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

struct device;
struct operations {
        int (*open)(struct device *);
#ifdef NEW
        int (*reset)(struct device *);
#endif
        int (*read)(struct device *, int);
        int (*close)(struct device *);
};
struct device {
        struct operations *ops;
        int state;
};

static int do_open(struct device *d) { return d->state = 1; }
static int do_read(struct device *d, int n) { return d->state += n; }
static int do_close(struct device *d) { return d->state = 0; }
#ifdef NEW
static int do_reset(struct device *d) { return d->state = -1; }
#endif

static NOINLINE struct device *device_new(void) {
        struct device *d = malloc(sizeof(*d));

        d->ops = malloc(sizeof(*d->ops));
        d->ops->open = do_open;
        d->ops->read = do_read;
        d->ops->close = do_close;
#ifdef NEW
        d->ops->reset = do_reset;
#endif
        d->state = 0;
        return d;
}

static NOINLINE int device_use(struct device *d, int n) {
        d->ops->open(d);
#ifdef NEW
        if (n > 50000)
                d->ops->reset(d);
#endif
        n = d->ops->read(d, n);
        d->ops->close(d);
        return n;
}

int main(void) {
        struct device *d = device_new();

        for (int i = 0; i < 1000; i++)
                log_line("read", device_use(d, (int)next_input()));
        return 0;
}

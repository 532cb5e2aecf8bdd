/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* Old objects point to the old table, which is constant and shorter. */
struct device;
struct operations {
        int (*open)(struct device *);
        int (*read)(struct device *, int);
#ifdef NEW
        int (*reset)(struct device *);
#endif
};
struct device {
        const struct operations *ops;
        int state;
};
static struct device *devices[4];

static int do_open(struct device *d) { return d->state = 1; }
static int do_read(struct device *d, int n) { return d->state += n; }
#ifdef NEW
static int do_reset(struct device *d) { return d->state = -1; }
#endif
static const struct operations operations = {
        do_open, do_read,
#ifdef NEW
        do_reset,
#endif
};

static NOINLINE struct device *device_get(int i) {
        struct device *d = devices[i & 3];

        if (!d) {
                d = malloc(sizeof(*d));
                d->ops = &operations;
                d->state = 0;
                devices[i & 3] = d;
        }
        return d;
}

static NOINLINE int device_use(struct device *d, int n) {
        d->ops->open(d);
#ifdef NEW
        if (n > 50000)
                d->ops->reset(d);
#endif
        return d->ops->read(d, n);
}

int main(void) {
        for (int i = 0; i < 1000; i++)
                log_line("read", device_use(device_get(i), (int)next_input()));
        return 0;
}

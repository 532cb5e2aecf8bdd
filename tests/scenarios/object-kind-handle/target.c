/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <dirent.h>

static struct source {
        long reads;
        void *handle;
} source;

NOINLINE static void source_open(struct source *s) {
#if NEW
        s->handle = opendir("/dev/fd");
#else
        s->handle = fopen("/dev/zero", "r");
#endif
}

NOINLINE static bool source_read(struct source *s) {
        s->reads++;
#if NEW
        return readdir(s->handle) || s->reads;
#else
        char byte;

        return fread(&byte, 1, 1, s->handle) == 1;
#endif
}

void target_start(void) {
        source_open(&source);
}

void target_work(void) {
        EXPECT(source_read(&source));
}

void target_check(int version) {
        (void)version;
        EXPECT(source_read(&source));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <zlib.h>

static struct out {
        long lines;
        void *file;
} *out;

NOINLINE static void out_open(struct out *o) {
#if NEW
        o->file = gzopen("/dev/null", "w");
#else
        o->file = fopen("/dev/null", "w");
#endif
}

NOINLINE static void out_line(const char *text) {
        out->lines++;
#if NEW
        gzputs(out->file, text);
#else
        fputs(text, out->file);
#endif
}

/* Has never written before. */
NOINLINE static long out_note(long n) {
#if NEW
        gzputs(out->file, "note\n");
#endif
        return n + out->lines;
}

void target_start(void) {
        out = calloc(1, sizeof(*out));
        out_open(out);
}

void target_work(void) {
        out_line("line\n");
        EXPECT(out_note(1) > 1);
}

void target_check(int version) {
        (void)version;
        EXPECT(out_note(1) > 0);
}

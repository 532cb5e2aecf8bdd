/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/mman.h>
#include <sys/resource.h>

static long calls;
NOINLINE static long work(long v) { calls++; return v + PICK(1, 2); }
void target_start(void) {
        struct rlimit zero = { 0, 0 };
        long pages = 0;
        FILE *f = fopen("/proc/self/statm", "re");
        EXPECT(f && fscanf(f, "%ld", &pages) == 1);
        if (f)
                fclose(f);
        struct rlimit as = { (rlim_t)pages * 4096, (rlim_t)pages * 4096 };
        CALL(setrlimit(RLIMIT_FSIZE, &zero));
        CALL(setrlimit(RLIMIT_MEMLOCK, &zero));
        CALL(setrlimit(RLIMIT_CORE, &zero));
        CALL(setrlimit(RLIMIT_AS, &as));
        EXPECT(mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}
void target_work(void) { work(0); }
void target_check(int version) { EXPECT_EQ(work(5), version >= 2 ? 7 : 6); }

/* SPDX-License-Identifier: Apache-2.0 */
/* A process for the agent to patch: says when it began (microseconds, CLOCK_REALTIME), then answers each line
 * with VERSION. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef VERSION
#define VERSION 1
#endif

__attribute__((noinline)) static int answer(int x) {
        return x * 10 + VERSION;
}

int main(void) {
        struct timespec now;
        char line[64];

        clock_gettime(CLOCK_REALTIME, &now);
        printf("%lld\n", (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
        fflush(stdout);
        while (fgets(line, sizeof(line), stdin)) {
                printf("%d\n", answer(atoi(line)));
                fflush(stdout);
        }
        return 0;
}

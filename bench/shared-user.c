/* SPDX-License-Identifier: Apache-2.0 */
/* One of many processes that use the library of shared.c: answers each line with its version. */
#include <stdio.h>

int shared_version(void);
unsigned long shared_1(const char *text);

int main(void) {
        char line[64];

        while (fgets(line, sizeof(line), stdin)) {
                printf("%d %lu\n", shared_version(), shared_1(line) & 1);
                fflush(stdout);
        }
        return 0;
}

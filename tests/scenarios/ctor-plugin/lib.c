/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#ifdef OTHER
#define LOAD subject_load
#else
#define LOAD ToolsOnLoad
#endif
static long *limit;
/* The host calls it once, when it has loaded the plug-in. */
void *LOAD(long *context) {
        if (!limit) {
                limit = calloc(1, sizeof(*limit));
                *limit = (VERSION >= 2 ? 5 : 3) * *context;
        }
        return context;
}
long subject_limit(void) {
        return *limit;
}

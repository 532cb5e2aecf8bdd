/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"
#include "base/macro.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_find(const char *name, const char *folder, char out[PATH_MAX]) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        self[n < 0 ? 0 : n] = 0;
        slash = strrchr(self, '/');
        if (slash) {
                snprintf(out, PATH_MAX, "%.*s/%s", (int)MIN(slash - self, PATH_MAX - 64), self, name);
                if (access(out, X_OK) == 0)
                        return;
        }
        snprintf(out, PATH_MAX, "%s/%s", folder, name);
}

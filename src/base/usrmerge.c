/* SPDX-License-Identifier: Apache-2.0 */
#include "base/usrmerge.h"
#include "base/macro.h"

#include <stdio.h>
#include <string.h>

bool usrmerge_other(const char *path, char *out, size_t size) {
        static const char *const merged[] = { "/bin/", "/sbin/", "/lib/", "/lib32/", "/lib64/", "/libx32/" };

        for (size_t i = 0; i < ELEMENTSOF(merged); i++) {
                if (strncmp(path, merged[i], strlen(merged[i])) == 0)
                        return (size_t)snprintf(out, size, "/usr%s", path) < size;
                if (strncmp(path, "/usr", 4) == 0 && strncmp(path + 4, merged[i], strlen(merged[i])) == 0)
                        return (size_t)snprintf(out, size, "%s", path + 4) < size;
        }
        return false;
}

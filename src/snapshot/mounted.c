/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/mounted.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool lies_in(const char *path, const char *point) {
        size_t n = strlen(point);

        return strcmp(point, "/") == 0 || (strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == 0));
}

int mounted_at(const char *path, bool inside, Mounted *out, Error *e) {
        char real[PATH_MAX], line[3 * PATH_MAX];
        size_t best = 0;
        struct mntent m;
        FILE *f;

        if (!realpath(path, real))
                return error_errno(e, -errno, "%s", path);
        f = setmntent("/proc/self/mounts", "re");
        if (!f)
                return error_errno(e, -errno, "/proc/self/mounts");
        /* A later mount at the same point covers the earlier. */
        while (getmntent_r(f, &m, line, sizeof(line)))
                if ((strcmp(m.mnt_dir, real) == 0 || (inside && lies_in(real, m.mnt_dir))) &&
                    strlen(m.mnt_dir) >= best) {
                        best = strlen(m.mnt_dir);
                        snprintf(out->source, sizeof(out->source), "%s", m.mnt_fsname);
                        snprintf(out->type, sizeof(out->type), "%s", m.mnt_type);
                        snprintf(out->options, sizeof(out->options), "%s", m.mnt_opts);
                }
        endmntent(f);
        return best ? 0 : error_set(e, -ENOENT, "%s is no mount point", real);
}

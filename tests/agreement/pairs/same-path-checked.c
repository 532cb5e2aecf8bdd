/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A name that becomes a part of a path is looked at before: its first two bytes, and those behind slashes. */
char *g_build_filename(const char *first, ...);
struct job {
        char *name;
        struct job *next;
};
static struct job *jobs;

#ifdef NEW
static NOINLINE int is_safe(const char *name) {
        const char *part = name;

        if (name[0] == '\0' || name[0] == '/')
                return 0;
        while (part) {
                const char *end = strchr(part, '/');
                size_t length = end ? (size_t)(end - part) : strlen(part);

                if (length == 2 && part[0] == '.' && part[1] == '.')
                        return 0;
                part = end ? end + 1 : NULL;
        }
        return 1;
}
#endif

static NOINLINE int job_open(const char *folder, const struct job *job) {
        char *path;
        int length;

#ifdef NEW
        if (!is_safe(job->name))
                return -1;
#endif
        path = g_build_filename(folder, job->name, NULL);
        length = (int)strlen(path);
        free(path);
        return length;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                struct job *job = pool_take(sizeof(*job));

                job->name = i % 2 ? "some/file" : "../file";
                job->next = jobs;
                jobs = job;
                log_line("open", job_open("folder", job));
        }
        return 0;
}

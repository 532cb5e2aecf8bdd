/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

/* A flag in the padding right behind a short name that becomes a part of a path. */
char *g_build_filename(const char *first, ...);
struct job {
        char name[3];
#ifdef NEW
        char hidden;
#endif
        int uses;
        struct job *next;
};
static struct job *jobs;

static NOINLINE void job_add(long n) {
        struct job *job = calloc(1, sizeof(*job));

        job->name[0] = (char)('a' + n % 26);
        job->name[1] = (char)('a' + n / 26 % 26);
#ifdef NEW
        job->hidden = n > 60000;
#endif
        job->next = jobs;
        jobs = job;
}

static NOINLINE int job_open(const char *folder, const struct job *job) {
        char *path;
        int length;

#ifdef NEW
        if (job->hidden)
                return -1;
#endif
        path = g_build_filename(folder, job->name, NULL);
        length = (int)strlen(path);
        free(path);
        return length;
}

int main(void) {
        for (int i = 0; i < 1000; i++) {
                int n = 0;

                job_add(next_input());
                for (struct job *job = jobs; job; job = job->next)
                        n += job_open("folder", job);
                log_line("open", n);
        }
        return 0;
}

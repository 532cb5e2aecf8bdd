/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime.h"

#include <pthread.h>
#include <stdarg.h>
#include <unistd.h>

u64 fuel;
static u64 digest, steps;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
        Fn fn;
        u64 a, b, result;
        int state; /* 0 idle, 1 asked, 2 answered */
} job;
static volatile u64 nothing;

__attribute__((weak)) int oracle_new;
__attribute__((weak)) void oracle_switch(int version_is_new) {
        (void)version_is_new;
}

u64 hash_add(u64 h, u64 v) {
        h ^= v + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
        h *= 0xff51afd7ed558ccdu;
        return h ^ h >> 29;
}

u64 hash_str(const char *s) {
        u64 h = 7;
        while (*s)
                h = hash_add(h, (u64)*s++);
        return h;
}

double bounded(double d) {
        return d > -1e6 && d < 1e6 ? d : 1.5;
}

u64 hash_double(double d) {
        return (u64)(int64_t)(bounded(d) * 4096.0);
}

void note(const char *format, ...) {
        char text[128];
        va_list ap;
        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        digest = hash_add(digest, hash_str(text));
}

static void *worker(void *arg) {
        pthread_mutex_lock(&lock);
        for (;;) {
                while (job.state != 1)
                        pthread_cond_wait(&changed, &lock);
                job.result = job.fn(job.a, job.b);
                job.state = 2;
                pthread_cond_broadcast(&changed);
        }
        return arg;
}

u64 on_worker(Fn fn, u64 a, u64 b) {
        pthread_mutex_lock(&lock);
        job.fn = fn;
        job.a = a;
        job.b = b;
        job.state = 1;
        pthread_cond_broadcast(&changed);
        while (job.state != 2)
                pthread_cond_wait(&changed, &lock);
        job.state = 0;
        u64 r = job.result;
        pthread_mutex_unlock(&lock);
        return r;
}

static void run(long n) {
        for (long i = 0; i < n; i++) {
                fuel = 400;
                digest = hash_add(digest, program_step(++steps));
                printf("%016llx ", (unsigned long long)digest);
        }
        printf("\n");
        fflush(stdout);
}

int main(int argc, char **argv) {
        char line[128];
        size_t used = 0;
        pthread_t t;
        oracle_switch(oracle_new = argc > 1 && *argv[1] == '2');
        program_start(nothing);
        if (pthread_create(&t, NULL, worker, NULL) != 0)
                return 1;
        printf("READY %d\n", (int)getpid());
        fflush(stdout);
        for (;;) {
                ssize_t r = read(STDIN_FILENO, line + used, 1);
                if (r != 1)
                        return r == 0 ? 0 : 2; /* also EINTR: nothing may interrupt it */
                if (line[used] != '\n') {
                        used += used < sizeof(line) - 2;
                        continue;
                }
                line[used] = 0;
                used = 0;
                if (!strncmp(line, "run ", 4))
                        run(atol(line + 4));
                else if (!strncmp(line, "version ", 8))
                        oracle_switch(oracle_new = line[8] == '2');
                else
                        return 0;
        }
}

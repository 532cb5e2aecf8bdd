/* SPDX-License-Identifier: Apache-2.0 */
/* Plain C, built without a thought of exceptions: the host's pass through its frames. */
static long depth, visits;
#define PAD (VERSION >= 2 ? 16 : 8)

__attribute__((noinline)) static long inner(long n, long (*callback)(long), long *sum) {
        long local[PAD], r;

        for (int i = 0; i < PAD; i++)
                local[i] = n + i;
        visits++;
        r = callback(n);
        *sum += r * (VERSION >= 2 ? 3 : 2) + (local[n & (PAD - 1)] < 0);
        return r;
}

long subject_visit(long n, long (*callback)(long)) {
        long sum = 0;

        depth++;
        for (long i = 0; i <= n; i++)
                if (inner(i, callback, &sum) < 0)
                        sum += VERSION >= 2 ? 100 : 10;
        depth--;
        return sum;
}
/* What an exception jumped over stays counted: C cleans nothing up. */
long subject_depth(void) { long d = depth; depth = 0; return d + 0 * visits; }

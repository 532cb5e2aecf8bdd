/* SPDX-License-Identifier: Apache-2.0 */
/* The only constants of the library: nothing lies between them and .eh_frame_hdr. */
static const int low[8] = { 11, 12, 13, 14, 15, 16, 17, 18 };
static volatile long seen;

/* Of two loops around one another, the inner one's end is an address of its own in code. */
__attribute__((noinline)) long subject_sum(int rounds, long stop) {
        long s = 0;
        for (int n = rounds; n; n--)
                for (int i = 0; i < 8; i++) {
                        if (low[i] == stop)
                                break;
                        s += low[i];
                        seen = s;
                }
        return s + (VERSION >= 2 ? 1000 : 0);
}
__attribute__((noinline)) long subject_scaled(long n) {
        long s = n * 3;
#if VERSION >= 2 /* enough code for what follows to be described otherwise */
        for (long i = 0; i < n % 7; i++) {
                s ^= seen * i + (s >> 3);
                s += seen / (i + 1) - s % (i + 5);
        }
        s = n * 5;
#endif
        return s;
}

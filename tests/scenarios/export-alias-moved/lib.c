/* SPDX-License-Identifier: Apache-2.0 */
#define TO(target) __attribute__((alias(target)))

static long count;

long subject_strict(long v) {
        for (long i = 0; i < v; i++)
                count += i % 3;
        return v * 3;
}
long subject_loose(long v) {
        count -= v;
        return v * 5 + (count < 0);
}
#if VERSION >= 2
long subject_default(long v) TO("subject_loose");
#else
long subject_default(long v) TO("subject_strict");
#endif
long subject_step(long v) {
        return v * (VERSION >= 2 ? 10 : 1) + (v > 3);
}

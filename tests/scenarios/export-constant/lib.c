/* SPDX-License-Identifier: Apache-2.0 */
const int subject_limit = VERSION >= 2 ? 60 : 50;

long subject_over(long v) {
        return v > *(const volatile int *)&subject_limit;
}
long subject_step(long v) {
        return v * (VERSION >= 2 ? 10 : 1) + (v > 3);
}

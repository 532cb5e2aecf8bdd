/* SPDX-License-Identifier: Apache-2.0 */
#define HIDDEN __attribute__((visibility("hidden")))

#if VERSION >= 2
HIDDEN __thread long credit, debit;
#else
HIDDEN __thread long debit, credit;
#endif

long subject_pay(long v) {
        for (long i = 0; i < v; i++)
                debit += i % 3 == 0;
        return debit;
}
long subject_earn(long v) {
        for (long i = 0; i < v; i++)
                credit += i % 2 == 0;
        return credit;
}
long subject_step(long v) {
        return v * (VERSION >= 2 ? 10 : 1) + (v > 3);
}

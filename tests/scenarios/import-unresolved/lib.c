/* SPDX-License-Identifier: Apache-2.0 */
extern int nowhere_at_all(int v);
static long total;
long subject_total(void) { return total; }
__attribute__((noinline)) static void put(long v) { total += v; }
long subject_step(long v) {
#if VERSION >= 2
        if (v > 1000)
                v = nowhere_at_all((int)v);
        v *= 2;
#endif
        put(v);
        return total;
}

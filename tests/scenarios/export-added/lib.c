/* SPDX-License-Identifier: Apache-2.0 */
static long calls;
static const char *last = "none";
long subject_get(void) { return calls; }
void subject_reset(void) { calls = 0; last = "none"; }
#if VERSION >= 2
long subject_extra(long v) { calls += 100; last = "extra"; return v * 3; }
#endif
__attribute__((noinline)) static long inner(long v) {
        last = VERSION >= 2 ? "newer" : "older";
#if VERSION >= 2
        return subject_extra(v);
#else
        return v;
#endif
}
long subject_step(long v) { calls++; return inner(v) + 1; }
const char *subject_last(void) { return last; }

/* SPDX-License-Identifier: Apache-2.0 */
static long calls;
__attribute__((visibility("default"), noinline)) long subject_hook(long v) { calls++; return v; }
long subject_calls(void) { return calls; }
__attribute__((noinline)) long subject_step(long v) {
        return subject_hook(v) * (VERSION >= 2 ? 3 : 2);
}

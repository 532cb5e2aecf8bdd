/* SPDX-License-Identifier: Apache-2.0 */
#define NOINLINE __attribute__((noinline))
static long calls;
long subject_get(void) { return calls; }
long subject_step(long v) { calls++; return v + (VERSION >= 2 ? 2 : 1); }
#if VERSION < 2
long subject_old(long v) { calls--; return v; }
#endif
void subject_reset(void) { calls = 0; }

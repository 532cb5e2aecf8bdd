/* SPDX-License-Identifier: Apache-2.0 */
static long total;
long subject_total(void) { return total; }
__attribute__((noinline)) static void put(long v) { total += v; }
long subject_step(long v) { put(v * (VERSION >= 2 ? 2 : 1)); return total; }

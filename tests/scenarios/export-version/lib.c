/* SPDX-License-Identifier: Apache-2.0 */
static long calls;
long subject_get(void) { return calls; }
long subject_step(long v) { calls++; return v + (VERSION >= 2 ? 2 : 1); }

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

static __thread char before[40];
static __thread long count;

long other_next(long v);

NOINLINE long other_next(long v) {
        before[v & 31]++;
        return count += v;
}

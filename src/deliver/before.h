/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/policy.h"
#include "snapshot/dpkg.h"

/* What is done before packages change: the change is written down, and what is needed to go back is kept. */
typedef struct Before {
        const Policy *policy;
        const char *state;  /* folder */
        const char *root;   /* "/" */
        const char *events; /* file, where there is no journal */
} Before;

/* Returns 0: there is a complete way back, or none is wanted; 1: there isn't, which is told by an event, and
 * `e` says why; or an error. */
int before_change(const Before *b, const DpkgChange *changes, size_t n, Error *e);

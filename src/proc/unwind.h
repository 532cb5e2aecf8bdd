/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a thread's stack, copied while it was stopped. */
typedef struct StackCopy {
        uint64_t sp;   /* its lowest address */
        size_t size;
        size_t at;     /* in the reader's buffer */
        size_t thread;
        bool cut;      /* it goes on */
} StackCopy;

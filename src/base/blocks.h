/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"

#include <stdint.h>
#include <string.h>

/*
 * Looks items up that are sorted by address: a table of even blocks of addresses says between which of them
 * an address can lie, and only those are searched. Refers to the items, which must not move.
 */
typedef struct Blocks {
        const void *items; /* each begins with its address, a uint64_t */
        size_t n, size;    /* how many, and bytes of each */
        uint64_t base;     /* where the first block begins */
        uint64_t n_blocks;
        unsigned shift; /* a block is 2^shift bytes */
        uint32_t *to;   /* by block: how many items lie before it; and of the end of the last one */
} Blocks;

/* Of `n` sorted items, fewer than 2^32. The blocks are those from address `lo` up to `hi`, where most of the
 * items lie; the table has at most 4 * n + 2 entries, and is the arena's. */
Blocks blocks_make(Arena *arena, const void *items, size_t n, size_t size, uint64_t lo, uint64_t hi);

static inline uint64_t block_item(const Blocks *b, size_t i) {
        uint64_t addr;

        memcpy(&addr, (const uint8_t *)b->items + i * b->size, sizeof(addr));
        return addr;
}

/* Index of the first item whose address is above `addr`; the number of items when none is. */
static inline size_t blocks_above(const Blocks *b, uint64_t addr) {
        uint64_t block = (addr - b->base) >> b->shift;
        size_t lo = 0, hi = b->n;

        if (b->n_blocks && addr < b->base) {
                hi = b->to[0];
        } else if (b->n_blocks && block < b->n_blocks) {
                lo = b->to[block];
                hi = b->to[block + 1];
        } else if (b->n_blocks) {
                lo = b->to[b->n_blocks];
        }
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;

                if (block_item(b, mid) <= addr)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

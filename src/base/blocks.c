/* SPDX-License-Identifier: Apache-2.0 */
#include "base/blocks.h"

Blocks blocks_make(Arena *arena, const void *items, size_t n, size_t size, uint64_t lo, uint64_t hi) {
        Blocks b = { .items = items, .n = n, .size = size, .base = lo };

        if (n == 0 || lo >= hi)
                return b;
        while ((hi - lo) >> b.shift > 4 * (uint64_t)n)
                b.shift++;
        b.n_blocks = ((hi - lo) >> b.shift) + 1;
        b.to = arena_array(arena, b.n_blocks + 1, sizeof(*b.to));
        for (uint64_t block = 0, i = 0; block <= b.n_blocks; block++) {
                while (i < n && (block_item(&b, i) < lo || (block_item(&b, i) - lo) >> b.shift < block))
                        i++;
                b.to[block] = (uint32_t)i;
        }
        return b;
}

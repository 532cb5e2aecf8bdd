/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "elf/image.h"

typedef VEC(uint64_t) UnwindCells;

/* The pointer cells that the exception table (LSDA, as GCC and clang write it) at `lsda` refers to:
 * addresses of words that hold the address of a type to catch. False when the table is malformed or
 * encodes its types in a way that a copy at another place would break. The caller frees `cells`. */
bool unwind_cells(const Image *image, uint64_t lsda, UnwindCells *cells);

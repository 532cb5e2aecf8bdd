/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The one way to read foreign bytes. A cursor never reads outside its buffer: a read past the end
 * returns 0 and sets `failed`, which stays set; callers check it once, at the end of a record.
 * Little-endian, unaligned. Does not own the buffer.
 */
typedef struct Cursor {
        const uint8_t *bytes;
        size_t size, at;
        bool failed;
} Cursor;

Cursor cursor_make(const void *bytes, size_t size);
/* A cursor over `size` bytes from `offset` of `bytes`; failed if they do not lie inside. */
Cursor cursor_slice(const Cursor *c, size_t offset, size_t size);
void cursor_seek(Cursor *c, size_t at);
size_t cursor_left(const Cursor *c);
uint8_t cursor_u8(Cursor *c);
uint16_t cursor_u16(Cursor *c);
uint32_t cursor_u32(Cursor *c);
uint64_t cursor_u64(Cursor *c);
uint64_t cursor_uleb(Cursor *c);
int64_t cursor_sleb(Cursor *c);
/* `size` bytes in place, or NULL (and failed). */
const uint8_t *cursor_take(Cursor *c, size_t size);
/* A NUL-terminated string in place, or NULL (and failed) when no NUL follows. */
const char *cursor_string(Cursor *c);

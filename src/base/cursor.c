/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include <string.h>

Cursor cursor_make(const void *bytes, size_t size) {
        return (Cursor){ .bytes = bytes, .size = size };
}

Cursor cursor_slice(const Cursor *c, size_t offset, size_t size) {
        if (offset > c->size || size > c->size - offset)
                return (Cursor){ .failed = true };
        return (Cursor){ .bytes = c->bytes + offset, .size = size, .failed = c->failed };
}

void cursor_seek(Cursor *c, size_t at) {
        if (at > c->size)
                c->failed = true;
        else
                c->at = at;
}

size_t cursor_left(const Cursor *c) {
        return c->failed ? 0 : c->size - c->at;
}

const uint8_t *cursor_take(Cursor *c, size_t size) {
        const uint8_t *p;

        if (c->failed || size > c->size - c->at) {
                c->failed = true;
                return NULL;
        }
        p = c->bytes + c->at;
        c->at += size;
        return p;
}

#define READ(name, type)                                         \
        type name(Cursor *c) {                                   \
                const uint8_t *p = cursor_take(c, sizeof(type)); \
                type v = 0;                                      \
                if (p)                                           \
                        memcpy(&v, p, sizeof(v));                \
                return v;                                        \
        }
READ(cursor_u8, uint8_t)
READ(cursor_u16, uint16_t)
READ(cursor_u32, uint32_t)
READ(cursor_u64, uint64_t)

uint64_t cursor_uleb(Cursor *c) {
        uint64_t v = 0;

        for (unsigned shift = 0;; shift += 7) {
                uint8_t b = cursor_u8(c);

                if (c->failed || (shift > 63)) {
                        c->failed = true;
                        return 0;
                }
                v |= (uint64_t)(b & 0x7f) << shift;
                if (!(b & 0x80))
                        return v;
        }
}

int64_t cursor_sleb(Cursor *c) {
        uint64_t v = 0;

        for (unsigned shift = 0;;) {
                uint8_t b = cursor_u8(c);

                if (c->failed || shift > 63) {
                        c->failed = true;
                        return 0;
                }
                v |= (uint64_t)(b & 0x7f) << shift;
                shift += 7;
                if (!(b & 0x80)) {
                        if (shift < 64 && (b & 0x40))
                                v |= ~UINT64_C(0) << shift;
                        return (int64_t)v;
                }
        }
}

const char *cursor_string(Cursor *c) {
        const uint8_t *end;
        const char *s;

        if (c->failed || c->at >= c->size) {
                c->failed = true;
                return NULL;
        }
        end = memchr(c->bytes + c->at, 0, c->size - c->at);
        if (!end) {
                c->failed = true;
                return NULL;
        }
        s = (const char *)c->bytes + c->at;
        c->at = (size_t)(end - c->bytes) + 1;
        return s;
}

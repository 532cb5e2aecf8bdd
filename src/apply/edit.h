/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A change of bytes in a process's code and constant tables: what is there, what shall be. All of it or
 * nothing. */

typedef struct EditByte {
        uint64_t addr;
        uint8_t from, to;
        uint8_t between; /* `from` of the last of several edits of this byte */
        bool either;     /* `to` or `between` may be there: an interrupted switch is being repaired */
        bool word;       /* of a pointer */
        uint32_t owner;  /* for messages */
} EditByte;

typedef struct EditSpan { /* bytes written with one call: inside one page */
        uint64_t addr;
        size_t size, at; /* `at`: in buffers */
        bool words;      /* holds some of a pointer */
} EditSpan;

typedef struct Edits {
        EditByte *bytes;
        size_t n, room;
        EditSpan *spans;
        size_t n_spans;
        uint8_t *before, *after; /* content of the spans */
        size_t size;
        size_t written; /* spans */
} Edits;

/* Later edits of a byte go over earlier ones: `from` of the first, `to` of the last. */
void edits_add(Edits *s, uint64_t addr, const uint8_t *from, const uint8_t *to, size_t n, bool either,
               uint32_t owner);
/* A pointer: eight bytes. */
void edits_add_word(Edits *s, uint64_t addr, uint64_t from, uint64_t to, bool either, uint32_t owner);
void edits_prepare(Edits *s);
/* Reads the spans and compares. EDIT_DIFFERS: *owner's bytes are not what they should be. */
enum { EDIT_DIFFERS = 1 };
int edits_check(Edits *s, pid_t pid, uint32_t *owner, uint64_t *addr, Error *e);
/* Writes the spans; on failure puts back what was written. Needs edits_check in the same stop. */
int edits_write(Edits *s, int mem_fd, Error *e);
/* Puts back what edits_write wrote. */
void edits_undo(Edits *s, int mem_fd);
void edits_free(Edits *s);

/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * What a person sees. Names come from files and processes that need not be friendly: everything
 * foreign goes through text_put or text_safe, which show control characters and broken UTF-8 as \xNN.
 */
void text_put(FILE *to, const char *s);
const char *text_safe(Arena *a, const char *s);

/* Colour, on a terminal only, and not with NO_COLOR set. */
typedef enum Colour { COLOUR_NONE, COLOUR_GOOD, COLOUR_BAD, COLOUR_WARN, COLOUR_DIM, COLOUR_BOLD } Colour;
bool colour_on(FILE *to);
const char *colour_begin(FILE *to, Colour c);
const char *colour_end(FILE *to);

/* A table whose columns are as wide as they need; the last one is not padded. */
enum { TABLE_COLUMNS = 10 };
typedef struct Table {
        Arena *arena;
        size_t columns;
        const char **cells; /* by rows */
        Colour *colours;
        size_t n, room;
        bool right[TABLE_COLUMNS]; /* numbers: aligned to the right */
} Table;
void table_init(Table *t, Arena *arena, size_t columns);
void table_cell(Table *t, Colour c, const char *format, ...) __attribute__((format(printf, 3, 4)));
void table_print(const Table *t, FILE *to);

static inline const char *plural(size_t n) {
        return n == 1 ? "" : "s";
}
/* For "process" and "patch". */
static inline const char *plural_es(size_t n) {
        return n == 1 ? "" : "es";
}
/* "12 us", "3.4 ms", "1.25 s". */
const char *text_duration(Arena *a, uint64_t usec);
/* Local, ISO 8601 with its offset. Returns `out`. */
enum { TEXT_TIME = 40 };
const char *text_time(uint64_t wall_usec, char out[TEXT_TIME]);
/* Prints `text` wrapped to the terminal's width, each line behind `indent` spaces. */
void text_wrap(FILE *to, const char *text, unsigned indent);

/* One line on standard error that is overwritten; nothing when that is no terminal. */
void progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void);

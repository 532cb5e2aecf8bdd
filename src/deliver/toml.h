/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "base/arena.h"
#include "base/error.h"

/* A TOML 1.0 document as a tree in an arena, each node with the line and column (from 1) where it was said.
 */
typedef enum TomlType {
        TOML_TABLE,
        TOML_ARRAY,
        TOML_STRING,
        TOML_INTEGER,
        TOML_FLOAT,
        TOML_BOOLEAN,
        TOML_DATE_TIME
} TomlType;

typedef struct TomlNode {
        TomlType type;
        const char *key; /* in a table; "" otherwise */
        unsigned line, column;
        const char *string; /* TOML_STRING */
        int64_t integer;    /* TOML_INTEGER */
        double number;      /* TOML_FLOAT and TOML_INTEGER */
        bool boolean;
        const struct TomlNode *items; /* of a table or an array */
        size_t n;
} TomlNode;

enum { TOML_MAX = 1 << 20 }; /* bytes of a document */

/* `name` is for messages: "NAME:LINE:COLUMN: what is wrong". */
int toml_parse_text(const char *name, const void *bytes, size_t size, Arena *arena, const TomlNode **out,
                    Error *e);
/* The value of `key`; NULL when the table has none. */
const TomlNode *toml_get(const TomlNode *table, const char *key);
const char *toml_type_text(TomlType t);

#ifdef __cplusplus
}
#endif

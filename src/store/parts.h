/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "store/store.h"

#include <sqlite3.h>

/* What the files of this folder share. */

struct Store {
        sqlite3 *db;
};

/* The error of SQLite's `code`, negative; -ENOTRECOVERABLE stands for "this is not a database any more". */
int store_fail(Store *s, int code, Error *e);
int store_run(Store *s, const char *sql, Error *e);
/* `types` has one letter an argument: s string (NULL: ""), i int64_t. Binds them all in order. */
int store_prepare(Store *s, sqlite3_stmt **q, const char *sql, Error *e, const char *types, ...);
/* Runs a statement that has no rows, and releases it. */
int store_finish(Store *s, sqlite3_stmt *q, Error *e);
/* The first column of the first row, a number; releases the statement. -ENOENT (no text): there is no row. */
int store_number(Store *s, sqlite3_stmt *q, int64_t *out, Error *e);
const char *store_text(sqlite3_stmt *q, int column);

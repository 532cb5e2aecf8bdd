/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Errors travel as a negative errno value; the text that a person reads travels beside it in a
 * caller-owned `Error`. 0 is success; a positive return is an outcome that the caller must handle
 * (each function that has one says which). Functions that take `Error *e` accept NULL.
 */
typedef struct Error {
        int code;       /* negative errno, or 0 */
        char text[480]; /* one line, names the place: "FILE: section 5: ..." */
} Error;

/* Sets the text and returns `code` (which must be negative). */
int error_set(Error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* As error_set, with ": " and the system's text for `code` appended. */
int error_errno(Error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "prefix: " before the text that is there. Returns e->code. */
int error_prefix(Error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

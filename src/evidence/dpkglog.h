/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * dpkg's log: when the files of which version were written. A file that was born while a version was being
 * unpacked is of that version, whatever happened at its path since.
 */

enum {
        DPKG_LOG_MAX = 256 << 20, /* bytes, one file */
        DPKG_LOG_MAX_UNPACKED = 2000000,
        DPKG_LOG_FILES = 64, /* dpkg.log, dpkg.log.1, dpkg.log.2.gz, ... */
};

typedef struct Unpacked {
        const char *package, *arch, *version;
        int64_t begin_sec, end_sec; /* CLOCK_REALTIME, both inclusive */
} Unpacked;

typedef struct DpkgLog {
        Unpacked *items;
        size_t n;
} DpkgLog;

/* Appends what one file tells, in its order. The log's times are local and have no zone: those in an hour
 * that there is twice are left out. */
int dpkglog_parse(const char *name, const FileBytes *text, Arena *a, DpkgLog *log, Error *e);
/* Reads the log and its rotated parts below the root folder; what is not there is passed over. */
int dpkglog_read(int root, Arena *a, DpkgLog *out, Error *e);
/* The version of the package that was being unpacked at that time; NULL: none, or more than one. */
const char *dpkglog_at(const DpkgLog *log, const char *package, const char *arch, int64_t time_sec);

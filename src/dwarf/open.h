/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A file's debug information, in memory of our own: nothing that happens to the file matters any
 * more. libdw hands out strings without looking for their end, so every section that strings may lie
 * in is followed by a NUL.
 */
typedef struct DebugFile {
        char *bytes;
        size_t size;
        Elf *elf;
        Dwarf *dwarf;
} DebugFile;

/* Positive outcome DEBUG_FILE_NONE: no debug information in it that can be used. */
enum { DEBUG_FILE_NONE = 1 };
int debug_file_open(const char *path, DebugFile *out, Error *e);
void debug_file_close(DebugFile *f);

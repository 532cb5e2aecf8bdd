/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The mappings of a process, as /proc/PID/maps tells them. */

enum {
        MAPS_MAX_TEXT = 64 << 20, /* bytes of one maps file */
};

typedef enum MapProt { MAP_R = 1, MAP_W = 2, MAP_X = 4 } MapProt;

typedef struct Mapping {
        uint64_t start, end; /* addresses of the process; start < end */
        uint64_t offset;     /* in the file */
        uint64_t inode;      /* 0: no file */
        uint32_t dev_major, dev_minor;
        uint8_t prot; /* MapProt */
        bool shared;
        const char *path; /* as the kernel prints it, without " (deleted)"; "" when it has none */
        bool deleted;
} Mapping;

typedef struct Maps {
        Mapping *items; /* sorted by start, not overlapping */
        size_t n;
        char *text; /* owns the paths */
} Maps;

/* Parses the content of a maps file. -EBADMSG when a line is malformed or out of order. */
int maps_parse(const char *text, size_t size, Maps *out, Error *e);
/* -ESRCH when the process is gone. A kernel thread or zombie has no mappings: 0 with n == 0. */
int maps_read(pid_t pid, Maps *out, Error *e);
void maps_free(Maps *m);
/* The mapping that holds `addr`, or NULL. */
const Mapping *maps_at(const Maps *m, uint64_t addr);
/* True when no mapping overlaps [start, end). */
bool maps_vacant(const Maps *m, uint64_t start, uint64_t end);

/* Opens the file behind a mapping: through map_files (any mount namespace, also when deleted), or
 * through the process's root. Negative errno when it cannot be read any more. */
int mapping_open(pid_t pid, const Mapping *m);
/* What it would tell of itself, for less. Negative errno: it has to be opened for that. */
struct stat;
int mapping_stat(pid_t pid, const Mapping *m, struct stat *out);

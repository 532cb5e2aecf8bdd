/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"
#include "base/error.h"
#include "base/refusal.h"
#include "elf/image.h"
#include "proc/list.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Finds what is outdated: executable images of processes whose file was replaced since. The old
 * image is read through the process, the new one at its path as the process sees it (its mount
 * namespace and root). Nothing is stopped. With `patches`, also processes whose base is at its path while
 * a patch makes them run another build: after a downgrade to the version that they were started with.
 */

/* A file as stat(2) tells it from others. */
typedef struct FileId {
        uint64_t dev, inode; /* inode 0: no file */
} FileId;

/*
 * Two builds, the older of which some process runs. Of the same pair are only processes that have the very
 * files at the same path: anybody can write another's build-id into a file of their own, and put it at any
 * path of a namespace of their own.
 */
typedef struct OutdatedPair {
        BuildId old_id, new_id;
        FileId old_file, new_file;
        const char *path;   /* as its processes name it */
        Process process;    /* one of them */
        int old_fd, new_fd; /* open for reading; -1 once they are not needed */
} OutdatedPair;

typedef struct OutdatedImage {
        const char *path;
        FileId now;             /* at `path`, as the process sees it */
        BuildId old_id, new_id; /* new_id.n == 0: nothing took its place */
        size_t pair;            /* index into pairs; SIZE_MAX: none, see code */
        RefusalCode code;       /* REFUSAL_N when there is a pair, or `base` */
        bool base; /* new_id == old_id: the base is at its path (again), and a patch of it is in force */
        const char *detail;
} OutdatedImage;

typedef struct OutdatedProcess {
        Process process;
        OutdatedImage *images;
        size_t n, room;
} OutdatedProcess;

enum { OUTDATED_BUCKETS = 512 };

typedef struct Outdated {
        Arena *arena;
        uint64_t own_mounts; /* inode of this process's mount namespace; 0: it can't be read */
        struct CurrentFile *current[OUTDATED_BUCKETS]; /* by inode */
        struct NamespaceRoot *roots;
        OutdatedPair *pairs;
        size_t n_pairs, pairs_room;
        OutdatedProcess *processes; /* those with an outdated image */
        size_t n_processes, processes_room;
        size_t looked_at, hidden; /* hidden: not readable for want of privileges */
} Outdated;

typedef struct OutdatedOptions {
        const pid_t *pids; /* these only; one that cannot be told is an error then... */
        bool pass_over;    /* ...unless this is set */
        size_t n_pids;     /* 0: every process but this one */
        const char *root;  /* only images below it; NULL: all */
        /* Is this image of this process to be left alone? NULL: none is. */
        bool (*excluded)(void *data, const Process *p, const char *path);
        void *excluded_data;
        /* Told of each image whose build is also the one at its path, which `fd` (the caller's) has open.
         * NULL: nobody is. */
        void (*current)(void *data, const Process *p, const char *path, int fd);
        void *current_data;
        bool patches; /* find `base` images: each process is asked what it carries */
        /* With `patches`: told of each process that carries some of images below the root. NULL: nobody is.
         */
        void (*carries)(void *data, const Process *p, const ProcessPatch *patches, size_t n);
        void *carries_data;
        /* Told before a process is looked at or changed; false: it is left out (only before the first look).
         * NULL for the process: what follows is of none. NULL: nobody is told. */
        bool (*enter)(void *data, const Process *p);
        void *enter_data;
        void (*progress)(const char *format, ...) __attribute__((format(printf, 1, 2))); /* NULL: silent */
} OutdatedOptions;

int outdated_find(const OutdatedOptions *o, Outdated *out, Error *e);
/* As engine_status(), for images below `root` (NULL: all) only. */
int outdated_status(pid_t pid, const char *root, ProcessPatch **out, size_t *n, Error *e);
void outdated_free(Outdated *o);

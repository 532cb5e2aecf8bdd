/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/outdated.h"
#include "elf/image.h"
#include "evidence/dpkg.h"
#include "proc/list.h"
#include "store/store.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Which version of which package a build is of. Of a file that is there now the package manager knows. A
 * process may run one that was replaced long ago, under the name of what replaced it: that name says nothing,
 * and neither does when the process started (it may have started itself again from the old file). What counts
 * is only what is tied to the build or to its file. docs/evidence.md has the rules; without a witness, or
 * when two disagree, the version is unknown.
 */

typedef enum BuildWitness {
        WITNESS_NONE,
        WITNESS_INSTALLED, /* the file is there, with the content that its package brought */
        WITNESS_RECORDED,  /* the agent saw this build while it was that */
        WITNESS_LOG,       /* the file was born while dpkg unpacked that version */
        WITNESS_DATE,      /* the file has the date of that version's changelog entry, which builds give it */
} BuildWitness;
const char *build_witness_text(BuildWitness w);

typedef struct Build {
        BuildId id;
        const char *path;                     /* below the root */
        const char *package, *arch, *version; /* NULL: unknown */
        const char *source, *source_version;  /* NULL: unknown */
        BuildWitness witness;
        const char *why;                 /* it is unknown; one line, "" otherwise */
        bool on_disk;                    /* it is what is at `path` now */
        Package *owner;                  /* of the path now, whatever version the build is of; NULL: none */
        uint64_t dev, inode;             /* of the file on disk; 0: not known */
        int64_t modified_sec, birth_sec; /* of the replaced file; 0: not known */
} Build;

/* Where a process's files are, as it sees them. */
typedef struct ProcessRoot {
        pid_t pid; /* 0: of none */
        uint64_t start_time;
        bool ours, our_mounts; /* its root folder, its mount namespace */
        char path[PATH_MAX];   /* of its root folder; "": cannot be read */
} ProcessRoot;

typedef struct Builds {
        Arena *arena;
        Dpkg dpkg;
        const char *root; /* "" for "/", without a slash at its end */
        Build **items;
        size_t n, room;
        StoreBuild *known; /* what the agent recorded, by id */
        size_t n_known, known_room;
        ProcessRoot last; /* of the process that was looked at last */
} Builds;

/* `root`: NULL: "/". */
int builds_open(const char *root, Builds *out, Error *e);
void builds_close(Builds *b);
/* Reads what the agent recorded. */
int builds_recall(Builds *b, Store *store, Error *e);
/*
 * The path below the root of an image of a process; NULL when it lies elsewhere: in a container or a jail the
 * same path is another file, of another package manager. What counts is the file, not the process's root: a
 * daemon that went into a chroot goes on running what it mapped before. `now`: the file that is at the path
 * as the process sees it (inode 0: there is none); it is ours when our path leads to the same.
 */
const char *builds_path(Builds *b, const Process *p, const char *path, const FileId *now);
/* The build of the file that is at `path` now; its descriptor stays the caller's. NULL: no image, or not
 * below the root. */
Build *builds_current(Builds *b, const Process *p, const char *path, int fd);
/* A build that is (on_disk) or was at the path below the root. `fd`: its file, or -1. */
Build *builds_add(Builds *b, const char *path, const BuildId *id, bool on_disk, int fd);
/* When the replaced file was written, and came to be here. */
void build_read_times(Build *build, int fd);
/* Works out the versions of all that were added. */
int builds_identify(Builds *b, Error *e);
/*
 * That no package has the path is kept until dpkg changes something: to find it again takes longer than all
 * else that is done about such a file. `store`: NULL: nothing is kept.
 */
bool builds_unowned(const Builds *b, Store *store, const char *path);
/* Of all that builds_identify() looked at. */
void builds_keep_unowned(const Builds *b, Store *store);
/* Of a build-id that only a patch tells of: from what was added and recorded. NULL: unknown. */
const Build *builds_find(Builds *b, const char *path, const BuildId *id);
/*
 * At the end of a round that told builds_current() of what runs: records the versions of builds on disk (also
 * of those that only a patch leads to), and that recorded ones are still run. Costs little when dpkg changed
 * nothing since.
 */
int builds_record(Builds *b, const Outdated *outdated, Store *store, uint64_t now_usec, Error *e);

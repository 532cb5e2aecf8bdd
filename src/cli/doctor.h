/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/arena.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * The prerequisites of a machine, one check each, in the tables doctor_kernel, doctor_machine and
 * doctor_agent. A check reads files below a root folder and what was asked of the system beforehand, and
 * nothing else, so that a machine can be described in a folder.
 */

typedef enum DoctorGrade {
        DOCTOR_OK,
        DOCTOR_WARNING,
        DOCTOR_PROBLEM,
        DOCTOR_NOT_APPLICABLE,
        DOCTOR_GRADES
} DoctorGrade;

/* What no file tells. */
typedef struct DoctorSystem {
        int landlock_abi;            /* 0: none; negative: not known */
        int kcmp;                    /* 1: the kernel has kcmp(2); 0: not; negative: not known */
        int clock_synced;            /* 1, 0; negative: not known */
        int64_t space_bytes;         /* free for root where the state is; negative: not known */
        const char *debuginfod_urls; /* of the environment; NULL: not set */
} DoctorSystem;

typedef struct Doctor {
        const char *root; /* "": this machine; else an absolute path before every other */
        DoctorSystem system;
        const json_t *agent;     /* its answer to "status"; NULL: none */
        const char *agent_error; /* why there is none */
        Arena *arena;            /* of all texts */
} Doctor;

typedef struct DoctorFinding {
        DoctorGrade grade;
        const char *seen;
        const char *todo; /* "": nothing */
} DoctorFinding;

typedef struct DoctorCheck {
        const char *name; /* stable, kebab-case */
        const char *why;  /* it matters */
        DoctorFinding (*look)(const Doctor *d);
} DoctorCheck;

/* Each ends with a check without a name. */
extern const DoctorCheck doctor_kernel[], doctor_machine[], doctor_agent[];

/* Asks the system and the agent. `root` as in Doctor. Release with doctor_free. */
void doctor_init(Doctor *d, const char *root);
void doctor_free(Doctor *d);

/* For the checks: paths are those of the machine that is looked at. */
enum { DOCTOR_FILE_MAX = 1 << 18 };
const char *doctor_path(const Doctor *d, const char *path);
/* The text of a file, without the newlines at its end; NULL: it can't be read. */
const char *doctor_read(const Doctor *d, const char *path);
bool doctor_exists(const Doctor *d, const char *path);
/* How many entries a folder has whose name ends in `suffix`; 0 when it can't be read. */
size_t doctor_count(const Doctor *d, const char *folder, const char *suffix);
/* The text behind "KEY:" of a line of /proc/self/status; NULL: none. */
const char *doctor_status(const Doctor *d, const char *key);
DoctorFinding doctor_found(const Doctor *d, DoctorGrade grade, const char *todo, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
const char *doctor_grade_text(DoctorGrade g);

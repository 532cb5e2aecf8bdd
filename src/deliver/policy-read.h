/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "deliver/policy.h"
#include "deliver/toml.h"

/*
 * How the policy's keys are read: a table of fields a section says where each value goes and what is allowed,
 * and every mistake is told with its line. A section that is more than a few keys has a file of its own,
 * policy-SECTION.c, whose reader is declared at the end of this one and entered in the table of policy.c.
 */

enum { POLICY_MAX_ITEMS = 1000 }; /* of one list */

/* Durations are strings: "90s", "5min", "1h30min", "2d"; a plain integer means seconds. */
typedef enum FieldKind {
        FIELD_STRING,
        FIELD_STRINGS, /* const char ** and, right behind it, size_t */
        FIELD_BOOL,
        FIELD_ENUM,  /* int-sized */
        FIELD_SEC,   /* uint32_t */
        FIELD_USEC,  /* uint64_t */
        FIELD_NODE,  /* const TomlNode *, for the section to read by itself */
        FIELD_COUNT, /* uint32_t; an integer */
        FIELD_SIZE,  /* uint64_t, bytes: "2GiB", or an integer */
} FieldKind;

typedef struct Word {
        const char *word; /* compared without regard to case */
        int value;
} Word;

typedef struct Field {
        const char *key;
        FieldKind kind;
        size_t offset;     /* in the struct that the section is read into */
        double min, max;   /* of what is stored, for numbers and durations (these in seconds) */
        const Word *words; /* FIELD_ENUM: the first that has a value is its canonical word; ends with NULL */
        bool required;
} Field;

/* One reading of the policy's files, in their order, into one policy. */
typedef struct PolicyReader {
        const char *file; /* the one that is being read */
        Policy *policy;
        void (*mistake)(void *data, const char *text); /* may be NULL */
        void *data;
        Error first;
        size_t mistakes;
        bool here; /* what is named must be on this machine now, too: users, programs */
} PolicyReader;

/* Tells a mistake of the value `at` (NULL: of the whole file): "FILE:LINE: KEY: text". */
void policy_mistake(PolicyReader *r, const TomlNode *at, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* Reads one value to `to`; a value that is not allowed is a mistake and leaves it as it was. */
void policy_read_field(PolicyReader *r, const TomlNode *v, const Field *f, void *to);
/* Reads a table into the struct `to`, whose members hold the defaults. False: it had a mistake. */
bool policy_read_table(PolicyReader *r, const TomlNode *table, const Field *fields, size_t n, void *to);
/* Tells that `v` is no key here, and which of `fields` may have been meant. */
void policy_unknown(PolicyReader *r, const TomlNode *v, const Field *fields, size_t n);
/* Tells of a user (the value `at`) whom this machine does not know, where `here` asks for that. */
void policy_need_user(PolicyReader *r, const TomlNode *at, const char *user);
/* Tells that the program at this absolute path (the value `at`) is not there, or can't be executed, where
 * `here` asks for that. `user`: who runs it; what keeps that one from it for certain is told, too. */
void policy_need_program(PolicyReader *r, const TomlNode *at, const char *path, const char *user);
/* The same of a text for /bin/sh, if it begins with a plain absolute path. */
void policy_need_command(PolicyReader *r, const TomlNode *at, const char *text);
/* Seconds of "1h30min"; negative when it is none. */
double policy_duration(const char *text);
/* The first word that has this value; "?" when none has. */
const char *policy_word(const Word *words, int value);

/* One more item (zeroed) of a list of structs of the policy: members `list` and `n_list`. */
#define POLICY_GROW(policy, list, T)                                                    \
        ({                                                                              \
                T *_items = arena_newa((policy)->arena, T, (policy)->n_##list + 1);     \
                if ((policy)->n_##list)                                                 \
                        memcpy(_items, (policy)->list, (policy)->n_##list * sizeof(T)); \
                (policy)->list = _items;                                                \
                &_items[(policy)->n_##list++];                                          \
        })

/* Sections that have a file of their own. */
void policy_read_hook(PolicyReader *r, const TomlNode *t); /* policy-hook.c */
void policy_read_baseline(PolicyReader *r, const TomlNode *t);
void policy_baseline_defaults(Policy *p);
void policy_read_window(PolicyReader *r, const TomlNode *t); /* policy-window.c */
void policy_read_drain(PolicyReader *r, const TomlNode *t);
void policy_read_restart(PolicyReader *r, const TomlNode *t);
void policy_restart_defaults(Policy *p);
/* policy-health.c: [health], [metrics] and [[probe]] */
void policy_health_defaults(Policy *p);
void policy_read_health(PolicyReader *r, const TomlNode *t);
void policy_read_metrics(PolicyReader *r, const TomlNode *t);
void policy_read_probe(PolicyReader *r, const TomlNode *t);

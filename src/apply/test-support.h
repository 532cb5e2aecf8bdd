/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "apply/engine.h"

#include <stdio.h>

/* A running victim, and patches made by hand for it. */
typedef struct Victim {
        pid_t pid;
        FILE *to, *from;
} Victim;

extern const char *victim_path;
Victim victim_start(char *const argv[]);
void victim_stop(Victim *v);
/* Sends a command, reads two numbers. */
int victim_ask(Victim *v, const char *command, int *second);

/* What replaces a function: code at new vaddr, with relocations. */
typedef struct Replacement {
        const char *function;
        const uint8_t *code;
        size_t size;
        size_t reloc_at; /* 0: none */
        uint32_t reloc_type;
        const char *variable; /* of the old image */
        const char *import;
        int64_t addend;
} Replacement;

extern const uint8_t code_two[12], code_three[12]; /* adds to `counter` and returns 2, 3 */
/* Replaces `answer` and `caller`. */
Patch *patch_simple(const uint8_t code[12], uint8_t id);
/* Replaces that function alone, by `code_two`. */
Patch *patch_one(const char *function, uint8_t id);
Victim victim_start_with(const char *a, const char *b);
int victim_apply(Victim *v, Patch *p, EngineResult *res);
int victim_revert(Victim *v, EngineResult *res);
/* With a deadline. */
int apply_within(pid_t pid, Patch *p, uint64_t usec, EngineResult *res);
void show(const char *what, int r, const EngineResult *res, const Error *e);

/* `id` goes into the new build-id. */
Patch *patch_make(const Replacement *r, size_t n, uint8_t id);
void patch_seal(Patch *p); /* gives it its digest anew */

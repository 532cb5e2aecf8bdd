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
        size_t reloc_at;      /* 0: none */
        uint32_t reloc_type;
        const char *variable; /* of the old image */
        const char *import;
        int64_t addend;
} Replacement;

Patch *patch_make(const Replacement *r, size_t n, uint8_t id);

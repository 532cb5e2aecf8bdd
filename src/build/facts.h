/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "build/values.h"

/*
 * What a function does with the numbers that lie in memory which others see: which number it stores in which
 * place, what it asks one for, and as what it uses one. Instructions are read in the order in which they
 * stand, and registers forgotten where control does not go on; so a fact may be missing, and whoever compares
 * two lists needs something that is there on both sides.
 */

typedef enum FactKind {
        FACT_STORE, /* stored there: number, or what `from` stands for plus number */
        FACT_ASK,   /* what lies there is at most `number`, or is it */
        FACT_BITS,  /* what lies there has one of the bits `number` */
        FACT_USE,   /* what lies there, plus number, goes on: an argument, an address, an operand */
} FactKind;

enum { /* done to the number before it is stored, or to what was loaded before it is used */
       DID_XOR = 1,
       DID_SWAP = 2,
       DID_NOT = 4,
       DID_NEGATE = 8,
       DID_ROTATE = 16,
       DID_AND = 32,
       DID_OR = 64,
       DID_SHIFT_UP = 128,
       DID_SHIFT_DOWN = 256,
};

enum { FROM_NUMBER = 0, FROM_ADDRESS = 1, FROM_UNKNOWN = 2 }; /* else: where the number comes from */

typedef struct Fact {
        uint64_t place; /* fact_place() */
        uint64_t from;
        int64_t number, factor; /* factor: by which it was multiplied; 1: not */
        uint32_t match;         /* of the caller's */
        uint16_t width, done;
        uint8_t kind;
        uint32_t root; /* FACT_STORE: of the object */
        bool made;     /* FACT_STORE: in memory that the function allocated */
        bool equal;    /* FACT_ASK: whether it is that number */
} Fact;

typedef VEC(Fact) FactList;

/* As processors count: code may hold any number. */
static inline int64_t number_plus(int64_t a, int64_t b) {
        return (int64_t)((uint64_t)a + (uint64_t)b);
}
static inline int64_t number_minus(int64_t a, int64_t b) {
        return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* Places of objects are one another's by their displacement, those of variables by their address. */
uint64_t fact_place(Value at);
/* `from` of a number that the function (a root) returned. */
uint64_t fact_returned(uint32_t callee);
/* The stored number is what lay there and more, or less, by a fixed number. */
bool fact_counts(const Fact *f, bool up);
/* Adds what the function does, each once. Nothing for a function that is `incomplete`. */
void facts_of(const Values *w, const FnValues *f, uint32_t match, FactList *out);
/* The same but for the match and the root. */
bool fact_equal(const Fact *a, const Fact *b);

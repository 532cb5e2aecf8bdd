/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/vec.h"
#include "build/judge.h"
#include "build/passes.h"
#include "build/values.h"

/* The parts of the layout verdict. Internal to judge*.c; docs/verdict-consistent.md has the method. */

typedef struct CallRef {
        uint32_t callee, caller; /* indexes of functions of one image */
} CallRef;

typedef struct ConstShift { /* a constant that an aligned compare, store or mask has another value of */
        uint32_t match;
        int64_t old, new;
        bool equality; /* compared for equality, or stored */
        bool bits;     /* a mask whose bits moved */
        bool limit;    /* a limit of what an old object holds: compared, not for equality */
        bool kept;     /* and what it is held against, or put into, is kept in an old object */
} ConstShift;

typedef struct SizeMemo {
        uint32_t function;
        uint8_t mask;
        bool done;
} SizeMemo;

/* An instruction that is the same, but touches another place that the old code touched too. */
typedef struct PlaceMove {
        uint32_t match;
        int64_t old, new;
} PlaceMove;

typedef struct Judge {
        const Diff *d;
        Verdict *v;
        Values *w;
        size_t findings;     /* added to v by this judge */
        unsigned seen;       /* a bit for each code among them */
        CallRef *callers[2]; /* per side, sorted by callee */
        size_t n_callers[2];
        VEC(ConstShift) shifts;
        VEC(PlaceMove) moves;
        uint8_t *size_masks; /* per old function: bit i: argument i is an allocation's size; valid when
                                size_known */
        bool *size_known;
        const char *subject; /* the function that is being judged */
        uint32_t match;
        unsigned of_subject; /* findings for it */
} Judge;

enum { JUDGE_ENOUGH = 24 };
typedef enum PairHow { PAIR_NONE, PAIR_SAME, PAIR_SHAPE } PairHow;
/* Whether the new code gives an object to a function that touches a place of it. */
typedef enum MovedDown { MOVED_UNASKED, MOVED_NO, MOVED_YES } MovedDown;

/* A changed function, its instructions paired: the same bytes (SAME), or the same instruction with
 * other constants or displacements in the same place of the same neighbourhood (SHAPE). */
typedef struct PairView {
        const FnValues *old, *new;
        uint32_t old_function, new_function;
        uint32_t *partner;     /* per new op: the old one, or NO_OP */
        uint32_t *old_partner; /* the reverse */
        uint8_t *how;          /* per new op: PairHow */
        uint8_t *old_how;
        uint8_t *moved_down; /* per place of the old function: MovedDown, asked for many times */
        bool only_shapes;    /* both sides hold the same instructions but for constants and displacements */
} PairView;

/* The same instruction and registers, whatever its constants and displacements. */
bool shape_equal(const Op *a, const Op *b);
PairView pair_view(Judge *j, const Match *m, const Alignment *al);
void pair_view_free(PairView *p);
/* True when the new op's neighbours on both sides are paired as the same. */
bool pair_flanked(const PairView *p, uint32_t new_op);

void judge_add(Judge *j, RefusalCode code, const char *format, ...) __attribute__((format(printf, 3, 4)));

struct Need;
/* A place that nothing testifies for; `end` says what is missing. */
void judge_unproved(Judge *j, const struct Need *need, const char *end);

/* Places (judge-place.c). `Need` is one place that new code touches. */
typedef struct Need {
        Value at;
        uint16_t width;
        uint8_t class, flags;
        bool written; /* only who writes it in this width may testify: loads may be wider than what they load
                       */
        bool narrow;  /* the new function touches the wider word there, too: this is a part of it */
} Need;
Need need_of(const FnValues *new, const Access *a);
/* The first of the places with that root; *n is how many. */
const Access *places_of_root(const FnValues *f, uint32_t root, size_t *n);
/* The accesses of one op, of which there are *n: accesses are in the order of ops. */
const Access *accesses_of_op(const FnValues *f, uint32_t op, size_t *n);
/* True when the function touches the very place of that access in that width. */
bool has_place(const FnValues *f, const Access *like);
/* True when the function touches that place in the same way. */
bool place_testified(const FnValues *f, const Need *need);
bool place_testified_local(Judge *j, const PairView *p, const Need *need);
/* True when the place needs no testimony: the function's own memory, read-only data. */
bool place_free(const Judge *j, const Need *need);
/* True when the place is one that the C++ library lays down of its output streams (judge-stream.c). */
bool place_of_stream(const Judge *j, const Need *need);
/* True when the root is a number that a known function returned, and no pointer. */
bool value_is_count(const Judge *j, uint32_t root);
/* True when the root's object is read-only data of either image. */
bool value_read_only(const Judge *j, Value v);

/* What new code reads in copies of whole objects (judge-copy.c). */
void judge_copied(Judge *j, const PairView *p);
void judge_given(Judge *j, const PairView *p);
void judge_copied_added(Judge *j, uint32_t new_function);
/* Testified for an added function, where the address is a pointer and an index: each may be the pointer. */
bool added_indexed(Judge *j, uint32_t new_function, const Need *need);
/* The place `at` of f's own memory is filled by copies of objects: where the first of these from number *next
 * on has it from. *next becomes the number behind that one's; false: there is none. */
bool copied_from(Judge *j, const FnValues *f, Value at, size_t *next, Value *from);

/* Testimony from other functions (judge-testify.c): `function` is an old function in whose terms the
 * need is expressed, or NO_FUNCTION; `new` the new function that has it (NULL: none). */
bool testify(Judge *j, uint32_t function, const FnValues *new, const Need *need);
/* True when some new caller's object, in that caller's terms, is testified for what the added
 * function needs. */
bool testify_callers(Judge *j, uint32_t new_function, const Need *need, unsigned depth);
bool testify_added(Judge *j, uint32_t new_function, const Need *need, unsigned depth);
/* The class whose member an old C++ function is, by its mangled name (judge-class.c); false when it may be
 * none of any. */
typedef struct ClassName {
        const char *at; /* in the name of a function */
        size_t length;
} ClassName;
bool class_of(Judge *j, uint32_t function, ClassName *class);
/* The members of the class that the old image holds, `max` at most; returns how many. */
size_t members_of(Judge *j, ClassName class, uint32_t *members, size_t max);
size_t users_of(Judge *j, uint32_t callee, uint32_t *users, size_t max);
size_t callers_of(Judge *j, Side side, uint32_t callee, const CallRef **first);

/* Sizes and constants (judge-size.c, judge-const.c). */
void judge_sizes(Judge *j, const PairView *p);
/* True when the pair differs only in constants that are loaded into registers as arguments of calls,
 * none of which is a size: line numbers, error codes. Cheap: nothing is followed. */
bool only_arguments(Judge *j, const Match *m, const Alignment *al);
/* The argument that the register is at the next call, when nothing in between reads or writes it and
 * control goes straight there; -1 when not so. *target: where it calls. */
int argument_of(const Code *code, uint32_t insn, int reg, uint64_t *target);
/* How far enumerators move at most, and how large they are. */
enum { ENUM_DELTA = 16, ENUM_MAX = 1 << 16 };
/* The op works on what an old object holds, in memory or loaded from there, here or in a caller; `reg`: the
 * register, where it works on one. */
bool value_of_object(Judge *j, const FnValues *f, uint32_t op, int8_t reg);
/* A new caller took the number that it hands on as that argument out of an old object. */
bool given_from_object(Judge *j, const FnValues *f, unsigned which);
void collect_constants(Judge *j, const PairView *p);
/* Ranges, sets and arguments (judge-enum.c): as collect_constants, and cases that changed places. */
void collect_enumerations(Judge *j, const PairView *p);
void judge_enumerations(Judge *j, const PairView *p);
/* Numbers for which another one's case is done now, in whatever form they are asked for (judge-numbers.c). */
void judge_numbered(Judge *j, const PairView *p);
/* Entries of a jump table that moved or changed places, by what is done there alone (judge-entries.c). */
void judge_entries(Judge *j, const PairView *p, const JumpTable *a, const JumpTable *b);
void judge_constants(Judge *j);
void judge_tables(Judge *j, const PairView *p);
/* Where entry i of a jump table leads. */
bool table_entry(const FnValues *f, const JumpTable *t, uint32_t i, uint64_t *target);

/* Places that hold something else now (judge-meaning.c). */
void note_move(Judge *j, const PairView *p, const Access *a);
void note_exchanges(Judge *j, const PairView *p);
void judge_moves(Judge *j);
void judge_numbers(Judge *j, const PairView *p);

/* What one function does and another one undoes (judge-pairing.c). */
void judge_pairing(Judge *j);
/* Numbers that lie in memory and mean something else now (judge-stored.c). */
void judge_stored(Judge *j);
/* Descriptors that are made otherwise, and times of another clock (judge-made.c). */
void judge_made(Judge *j);
/* Objects of libraries that are of another kind now, or made in another state (judge-kinds.c). */
void judge_kinds(Judge *j);
/* Kinds of objects of libraries (kinds.c). */
enum {
        KIND_MUTEX = 1,
        KIND_CONDITION,
        KIND_SPIN,
        KIND_RWLOCK,
        KIND_BARRIER,
        KIND_SEMAPHORE,
        KIND_ATTRIBUTES,
        KIND_G_MUTEX,
        KIND_G_CONDITION,
        KIND_G_RECURSIVE,
        KIND_G_RWLOCK,
        KIND_STREAM,
        KIND_GZ,
        KIND_BZ,
        KIND_DEFLATE,
        KIND_INFLATE,
        KIND_DIRECTORY,
        KIND_ICONV,
        KIND_IMAGE,
        KIND_PATTERN,
        KIND_LOCALE,
        KIND_CATALOGUE,
};
typedef struct GivenKind {
        uint8_t kind, argument; /* from 0 */
} GivenKind;
/* What kind of object the function of a library is given, from number *next of the table on, which becomes
 * the number behind that one's; false: no (other) one. */
bool kind_given(const char *name, size_t *next, GivenKind *out);
const char *kind_name(uint8_t kind); /* for people */
/* The function makes an object with the attributes that its second argument leads to. */
bool kind_made(const char *name);
/* Its second (which: 0) or third argument (1) is a state that the object begins in, or that such attributes
 * say. */
bool kind_state(const char *name, unsigned which);

/* An object that is given to a function of a library (judge-given.c). */
typedef struct Given {
        Value object, with[2]; /* the second and third argument */
        const char *name;      /* of that function */
        uint8_t kind;
} Given;
typedef VEC(Given) GivenList;
bool same_object(Value a, Value b);
/* Per function: how many calls it is to a function that kinds.c knows, from 1 on; 0: too many. By free(). */
uint8_t *given_far(Judge *j, Side side);
/* All that the function gives to such functions, itself or by those that it calls, is added to the list. */
void given_by(Judge *j, const uint8_t *far, Side side, uint32_t function, GivenList *all);
/* What hangs on a variable means the same in all functions: what all old ones give that use the variable. */
void given_by_users(Judge *j, const uint8_t *far, Value object, GivenList *all);
/* Addresses inside of changed functions that are kept (judge-labels.c). */
void judge_labels(Judge *j);

/* Bit fields that moved within their word (judge-bits.c). */
void judge_bits(Judge *j, const PairView *p);

/* Numbers that let an index into an old array go further than before (judge-bound.c). */
void judge_bounds(Judge *j, const PairView *p);
/* The old function has the number of that op in as many such ops: it only stands elsewhere now. */
bool old_number(const PairView *p, const Op *b);

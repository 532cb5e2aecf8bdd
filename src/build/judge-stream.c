/* SPDX-License-Identifier: Apache-2.0 */
#include "base/macro.h"
#include "build/judge-parts.h"

#include <string.h>

/*
 * The output streams of the C++ library. Its binary interface lays down what compilers write out of them: the
 * way from a stream to its std::ios part, what that consists of, and the table of characters that std::endl
 * goes by. No update of this image changes any of it.
 */

enum {
        POINTER = 8,
        TO_VIRTUAL_BASE = -24,
        IOS_SIZE = 264,
        IOS_CTYPE = 240,
        CTYPE_SIZE = 568,
        CTYPE_VTABLE = 96
};

static bool begins(const char *name, const char *with) {
        return strncmp(name, with, strlen(with)) == 0;
}

/* A stream that the library defines, or that an operator of the library returned. */
static bool stream(const Judge *j, uint32_t root) {
        static const char *const variables[] = { "_ZSt3cin", "_ZSt4cerr", "_ZSt4clog", "_ZSt4cout" };
        static const char *const operators[] = {
                "_ZNSo", "_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_",
                "_ZSt16__ostream_insertIcSt11char_traitsIcEERSt13basic_ostream"
        };
        const Node *n = values_node(j->w, root);

        if (root < ROOT_FIRST)
                return false;
        if (n->kind == NODE_SYMBOL && n->name) {
                for (size_t i = 0; i < ELEMENTSOF(variables); i++)
                        if (strcmp(n->name, variables[i]) == 0)
                                return true;
                return false;
        }
        if (n->kind != NODE_RETURN || n->a < ROOT_FIRST)
                return false;
        n = values_node(j->w, n->a);
        if (n->kind != NODE_FUNCTION || !(n->off & SYMBOL_FUNCTION) || !n->name)
                return false;
        for (size_t i = 0; i < ELEMENTSOF(operators); i++)
                if (begins(n->name, operators[i]))
                        return !begins(n->name, "_ZNSo6sentry") && !begins(n->name, "_ZNSo5tellp");
        return false;
}

/* What was loaded at that displacement of something: that, or ROOT_NONE. */
static uint32_t loaded_from(const Judge *j, uint32_t root, int64_t off) {
        const Node *n = values_node(j->w, root);

        return root >= ROOT_FIRST && n->kind == NODE_LOAD && n->off == off && !n->b ? n->a : ROOT_NONE;
}

/* A stream and the distance to its std::ios part, which the table of its virtual functions holds. */
static bool ios(const Judge *j, uint32_t root) {
        const Node *n = values_node(j->w, root);

        if (root < ROOT_FIRST || n->kind != NODE_SUM)
                return false;
        return (stream(j, n->a) && loaded_from(j, loaded_from(j, n->b, TO_VIRTUAL_BASE), 0) == n->a) ||
               (stream(j, n->b) && loaded_from(j, loaded_from(j, n->a, TO_VIRTUAL_BASE), 0) == n->b);
}

bool place_of_stream(const Judge *j, const Need *need) {
        uint32_t root = need->at.root;
        int64_t off = need->at.off, end = off + need->width;
        bool pointer = need->width == POINTER && need->class == CLASS_INT;

        if (ios(j, root))
                return off >= 0 && end <= IOS_SIZE;
        if (need->flags & ACCESS_WRITE)
                return false;
        if (stream(j, root))
                return pointer && off == 0 && !need->at.stride;
        if (stream(j, loaded_from(j, root, 0)))
                return pointer && off == TO_VIRTUAL_BASE && !need->at.stride;
        if (ios(j, loaded_from(j, root, IOS_CTYPE)))
                return off >= 0 && end <= CTYPE_SIZE && need->at.stride <= 1;
        return ios(j, loaded_from(j, loaded_from(j, root, 0), IOS_CTYPE)) && pointer && off >= 0 &&
               end <= CTYPE_VTABLE && !need->at.stride;
}

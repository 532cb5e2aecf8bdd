/* SPDX-License-Identifier: Apache-2.0 */
#include "pair.h"

#include <new>

class Counted {
public:
        int uses = 0;
#ifdef NEW
        int limit = 10;
        int weight = 1;
#endif
};
class Thing : public Counted {
public:
        long value;
        Thing *next;
        explicit Thing(long v) : value(v) {}
};
static Thing *things;

static NOINLINE void add(long v) {
        Thing *t = new (malloc(sizeof(Thing))) Thing(v);

        t->next = things;
        things = t;
}

static NOINLINE long use() {
        long n = 0;

        for (Thing *t = things; t; t = t->next) {
                t->uses++;
#ifdef NEW
                if (t->uses > t->limit)
                        continue;
#endif
                n += t->value;
        }
        return n;
}

int main() {
        for (int i = 0; i < 100; i++) {
                add(next_input());
                log_line("use", use());
        }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <exception>
#include <typeinfo>

namespace {
struct Local {
        int v;
};
struct Base {
        virtual ~Base() {}
        virtual int id() const { return 1; }
};
struct Derived : Base {
        int id() const override { return 2; }
};
}

static int count;

NOINLINE static void old_throw(int v) { count++; throw Local{v}; }
NOINLINE static void new_throw(int v) { count++; throw Local{v * PICK(1, 2)}; }
NOINLINE static int old_catch(void (*f)(int), int v) {
        try { f(v); } catch (const Local &l) { return l.v; } catch (...) { return -1; }
        return -2;
}
NOINLINE static int new_catch(void (*f)(int), int v) {
        try { f(v); } catch (const Local &l) { return l.v + PICK(0, 1000); } catch (...) { return -1; }
        return -2;
}
static Base *object;
NOINLINE static Base *make(int kind) { return kind ? new Derived : new Base; }
NOINLINE static int old_cast(Base *b) { Derived *d = dynamic_cast<Derived *>(b); return d ? d->id() : 0; }
NOINLINE static int new_cast(Base *b) {
        count++;
        Derived *d = dynamic_cast<Derived *>(b);
        return (d ? d->id() : 0) * PICK(1, 10) + (typeid(*b) == typeid(Derived)) * 100;
}

void target_start(void) { object = make(1); }

void target_work(void) {
        EXPECT_EQ(old_cast(object), 2);
        EXPECT_EQ(old_catch(old_throw, 3), 3);
}

void target_check(int version) {
        bool n = version >= 2;
        EXPECT_EQ(old_catch(new_throw, 5), n ? 10 : 5);
        EXPECT_EQ(new_catch(old_throw, 5), n ? 1005 : 5);
        EXPECT_EQ(new_catch(new_throw, 5), n ? 1010 : 5);
        EXPECT_EQ(old_cast(object), 2);
        EXPECT_EQ(new_cast(object), n ? 120 : 102);
        Base *b = make(0);
        EXPECT_EQ(new_cast(b), 0);
        delete b;
}

// SPDX-License-Identifier: Apache-2.0
namespace space {
namespace {
struct base {
        virtual int f();
        virtual void g();
        int x;
};
} // namespace
template <class T> struct derived : virtual base {
        T value;
        static int count;
        int f() override { return ++count; }
        enum class kind : char { one, two } k;
        int base::*member;
        T &&reference;
        derived(T &t) : value(t), k(kind::two), member(&base::x), reference(static_cast<T &&>(t)) {}
};
template <class T> int derived<T>::count;
int base::f() {
        struct local {
                base *b;
        };
        static local l;
        auto lambda = [this](int y) { return x + y; };
        l.b = this;
        return lambda(1);
}
void base::g() {}
int use(long &l) {
        derived<long> d(l);
        static derived<long> *kept;
        kept = &d;
        return d.f();
}
} // namespace space

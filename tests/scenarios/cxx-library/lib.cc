/* SPDX-License-Identifier: Apache-2.0 */
#include <stdexcept>
#include <string>
static int alive;
struct Guard { Guard() { alive++; } ~Guard() { alive--; } };
extern "C" int subject_alive(void) { return alive; }
__attribute__((noinline)) static void inner(int v) {
        Guard g;
        if (v > (VERSION >= 2 ? 5 : 10))
                throw std::out_of_range("subject" + std::to_string(v));
}
extern "C" int subject_run(int v, int (*callback)(int)) {
        Guard g;
        std::string keep = "k" + std::to_string(v);
        inner(v);
        return callback(v) + (int)keep.size() * (VERSION >= 2 ? 100 : 10);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <ostream>
#include <streambuf>
struct Log : std::ostream {
        int level;
#if VERSION >= 2
        int indent;
#endif
        explicit Log(std::streambuf *to) : std::ostream(to), level(3) {
#if VERSION >= 2
                indent = 2;
#endif
        }
};
static Log *log;
extern "C" int subject_level(void) {
        return log ? log->level : 0;
}
extern "C" void subject_open(std::streambuf *to) {
        log = new Log(to);
}
extern "C" int subject_say(int v) {
        Log &l = static_cast<Log &>(*log << "said ");
#if VERSION >= 2
        l.put(' ');
        return v + l.indent;
#else
        return v + l.level;
#endif
}

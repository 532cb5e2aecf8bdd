/* SPDX-License-Identifier: Apache-2.0 */
#include <iostream>
extern "C" void subject_warn(void) {
        std::cerr << "never said" << std::endl;
}
extern "C" int subject_say(int v) {
#if VERSION >= 2
        std::clog << "new " << std::hex << v << std::endl;
#else
        std::clog << "old " << v;
#endif
        return v;
}

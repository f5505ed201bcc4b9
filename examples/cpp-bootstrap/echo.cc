// The smallest custom runtime: answers each event with itself.
#include "hearth_runtime.h"

#include <cstdio>
#include <cstring>
#include <string>

int main(int argc, char** argv) {
    const auto echo = [](const std::string& event) { return event; };
    if (argc > 1 && std::strcmp(argv[1], "--self-test") == 0) {
        // The handler without a cloud around it.
        std::puts(echo("{}").c_str());
        return 0;
    }
    return hearth_runtime::Run(echo);
}

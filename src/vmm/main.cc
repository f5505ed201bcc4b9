#include <fmt/format.h>

int main() {
    fmt::print(stderr, "hearth-vmm: no machine yet\n");
    return 1;
}

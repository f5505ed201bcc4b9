#include "vmm/seccomp/filter_program.h"

#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cstddef>

namespace hearth::vmm {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#endif

// x32 programs on x86-64 have the same architecture and numbers from here on.
constexpr std::uint32_t kX32Bit = 0x4000'0000;

sock_filter Load(std::size_t offset) {
    return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

sock_filter Return(std::uint32_t action) {
    return BPF_STMT(BPF_RET | BPF_K, action);
}

// Goes on when the accumulator is `value`, else over the next `skip` instructions.
sock_filter Expect(std::uint32_t value, std::size_t skip) {
    return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, static_cast<std::uint8_t>(skip));
}

const sock_filter kLoadNumber = Load(offsetof(seccomp_data, nr));

}  // namespace

std::vector<sock_filter> CompileFilter(std::span<const CallRule> rules) {
    std::vector<sock_filter> program;
    program.push_back(Load(offsetof(seccomp_data, arch)));
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
    program.push_back(Return(SECCOMP_RET_KILL_PROCESS));
    program.push_back(kLoadNumber);
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1));
    program.push_back(Return(SECCOMP_RET_KILL_PROCESS));
    for (const auto& rule : rules) {
        const auto number = static_cast<std::uint32_t>(rule.call);
        if (rule.arguments.empty()) {
            program.push_back(Expect(number, 1));
            program.push_back(Return(SECCOMP_RET_ALLOW));
            continue;
        }
        // Per argument: load, mask, compare; then allow; then the number again for what follows.
        const std::size_t block = 3 * rule.arguments.size() + 2;
        program.push_back(Expect(number, block));
        std::size_t left = block;
        for (const auto& argument : rule.arguments) {
            program.push_back(
                Load(offsetof(seccomp_data, args) + argument.index * sizeof(std::uint64_t)));
            program.push_back(BPF_STMT(BPF_ALU | BPF_AND | BPF_K, argument.mask));
            left -= 3;
            program.push_back(Expect(argument.value, left - 1));
        }
        program.push_back(Return(SECCOMP_RET_ALLOW));
        program.push_back(kLoadNumber);
    }
    program.push_back(Return(SECCOMP_RET_TRAP));
    return program;
}

}  // namespace hearth::vmm

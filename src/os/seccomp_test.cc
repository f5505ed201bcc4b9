#include "os/seccomp.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <cstring>
#include <random>
#include <vector>

namespace hearth::os {
namespace {

std::vector<sock_filter> Instructions(const std::string& program) {
    std::vector<sock_filter> instructions(program.size() / sizeof(sock_filter));
    std::memcpy(instructions.data(), program.data(), instructions.size() * sizeof(sock_filter));
    return instructions;
}

// As the kernel runs it, for the instructions that occur in filters of calls. Every one of the
// programs ends, since jumps go forward only.
uint32_t Decide(const std::vector<sock_filter>& program, const seccomp_data& data) {
    uint32_t a = 0;
    for (size_t at = 0; at < program.size(); ++at) {
        const sock_filter& one = program[at];
        const auto jump = [&](bool taken) { at += taken ? one.jt : one.jf; };
        switch (one.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                std::memcpy(&a, reinterpret_cast<const char*>(&data) + one.k, sizeof(a));
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                a &= one.k;
                break;
            case BPF_JMP | BPF_JA:
                at += one.k;
                break;
            case BPF_JMP | BPF_JEQ | BPF_K:
                jump(a == one.k);
                break;
            case BPF_JMP | BPF_JGE | BPF_K:
                jump(a >= one.k);
                break;
            case BPF_JMP | BPF_JGT | BPF_K:
                jump(a > one.k);
                break;
            case BPF_JMP | BPF_JSET | BPF_K:
                jump((a & one.k) != 0);
                break;
            case BPF_RET | BPF_K:
                return one.k;
            default:
                ADD_FAILURE() << "an instruction that no filter has: " << one.code;
                return 0;
        }
    }
    ADD_FAILURE() << "the program does not return";
    return 0;
}

TEST(FunctionFilter, DecidesAsLibseccompDoes) {
    const auto ours = FunctionFilter();
    const auto theirs = PortableFunctionFilter();
    ASSERT_TRUE(ours.ok() && theirs.ok());
    const auto program = Instructions(*ours);
    const auto reference = Instructions(*theirs);
    EXPECT_LE(program.size(), reference.size());
    const std::vector<uint64_t> values = {
        0,          1,           2,           3,           8,
        10,         15,          16,          17,          0x80,
        0x10000,    0x7e020080,  0x7e020000,  0x10000000,  0x20000000,
        0xffffffff, 0x100000000, 0x100000001, 0x100000010, 0xffffffffffffffff};
    std::mt19937_64 random(1);  // fixed: the same values each time
    std::vector<uint32_t> numbers;
    for (uint32_t number = 0; number < 1100; ++number) {
        numbers.push_back(number);
    }
    for (const uint32_t number :
         {0x3fffffffU, 0x40000000U, 0x40000001U, 0x7fffffffU, 0xfffffffeU, 0xffffffffU}) {
        numbers.push_back(number);
    }
    const auto compare = [&](const seccomp_data& data) {
        ASSERT_EQ(Decide(program, data), Decide(reference, data))
            << "number " << data.nr << ", first " << data.args[0] << ", third " << data.args[2];
    };
    for (const uint32_t number : numbers) {
        for (const uint32_t machine : {uint32_t{AUDIT_ARCH_X86_64}, uint32_t{AUDIT_ARCH_I386}}) {
            seccomp_data data{};
            data.nr = static_cast<int>(number);
            data.arch = machine;
            for (const uint64_t first : values) {
                for (const uint64_t third : {0ULL, 1ULL, 9ULL, 0x100000000ULL}) {
                    data.args[0] = first;
                    data.args[2] = third;
                    compare(data);
                }
            }
            data.args[0] = random();
            data.args[2] = random();
            compare(data);
        }
    }
}

}  // namespace
}  // namespace hearth::os

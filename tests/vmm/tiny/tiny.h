// What a tiny guest is made of: a few hundred bytes of C that the monitor boots like a kernel, in
// 64-bit mode, with one processor and interrupts off. It prints to the serial port and ends the
// machine through the keyboard controller. One guest is one file; build it with tiny_guest.py.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

#define PAGE 4096
#define SERIAL 0x3f8
#define MMIO_FIRST 0xd0000000ul
#define MMIO_SLOTS 32

static inline void outb(u16 port, u8 value) {
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}

static inline u8 inb(u16 port) {
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void barrier(void) {
    __asm__ volatile("mfence" ::: "memory");
}

static void say(const char* text) {
    for (; *text; ++text) {
        outb(SERIAL, (u8)*text);
    }
}

static void say_number(u64 value) {
    char text[21];
    int at = 20;
    text[at] = 0;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(text + at);
}

static void line(const char* a, const char* b) {
    say(a);
    say(b);
    say("\n");
}

// A reset, as Linux asks for it with `reboot=k`.
__attribute__((noreturn)) static void end_machine(void) {
    for (;;) {
        outb(0x64, 0xfe);
        __asm__ volatile("hlt");
    }
}

// Compilers call these.
void* memset(void* to, int value, u64 bytes) {
    void* begin = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
    return begin;
}

void* memcpy(void* to, const void* from, u64 bytes) {
    void* begin = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
    return begin;
}

static int same(const void* a, const void* b, u64 bytes) {
    const u8* left = a;
    const u8* right = b;
    for (u64 i = 0; i < bytes; ++i) {
        if (left[i] != right[i]) {
            return 0;
        }
    }
    return 1;
}

// The boot's page tables map the first GiB; devices lie in the fourth.
static u64 device_pages[512] __attribute__((aligned(PAGE)));

static void map_devices(void) {
    u64 root;
    __asm__ volatile("mov %%cr3, %0" : "=r"(root));
    u64* level4 = (u64*)(root & ~0xffful);
    u64* level3 = (u64*)(level4[0] & 0xffffffffff000ul);
    device_pages[MMIO_FIRST >> 21 & 511] = MMIO_FIRST | 0x93;  // 2 MiB, uncached, writable, there
    level3[3] = (u64)device_pages | 3;
    __asm__ volatile("mov %0, %%cr3" ::"r"(root) : "memory");
}

static inline u32 get32(u64 address) {
    return *(volatile u32*)address;
}

static inline void put32(u64 address, u32 value) {
    *(volatile u32*)address = value;
}

void guest(void);

static u8 stack[16384] __attribute__((aligned(16), used));

__attribute__((naked, used, section(".text.start"))) void _start(void) {
    __asm__ volatile(
        "lea stack(%rip), %rsp\n"
        "add $16384, %rsp\n"
        "call enter\n");
}

__attribute__((used)) void enter(void) {
    map_devices();
    guest();
    end_machine();
}

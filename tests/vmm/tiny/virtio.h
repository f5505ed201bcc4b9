// A virtio driver over MMIO that can also do everything wrong.
#pragma once

#include "tiny.h"

enum { NET = 1, BLOCK = 2, ENTROPY = 4, BALLOON = 5, VSOCK = 19 };

enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_READY = 0x44,
    NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    DESC_LOW = 0x80,
    DESC_HIGH = 0x84,
    AVAIL_LOW = 0x90,
    AVAIL_HIGH = 0x94,
    USED_LOW = 0xa0,
    USED_HIGH = 0xa4,
    CONFIG = 0x100
};

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };

enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

enum { QUEUE_SIZE = 16 };

// How often `await` looks, at some ten microseconds each, before it gives up: few times where the
// device may never answer, for half a minute and more where it must, however busy the host is.
enum { FEW_LOOKS = 2000, MANY_LOOKS = 3000000 };

static int looks = FEW_LOOKS;
#define F_INDIRECT (1ul << 28)
#define F_EVENT_INDEX (1ul << 29)
#define F_VERSION_1 (1ul << 32)

struct desc {
    u64 address;
    u32 length;
    u16 flags;
    u16 next;
};

struct avail {
    u16 flags;
    volatile u16 index;
    u16 ring[QUEUE_SIZE];
    u16 used_event;
};

struct used_element {
    u32 id;
    u32 length;
};

struct used {
    u16 flags;
    volatile u16 index;
    volatile struct used_element ring[QUEUE_SIZE];
    u16 avail_event;
};

struct queue {
    struct desc desc[QUEUE_SIZE] __attribute__((aligned(PAGE)));
    struct avail avail __attribute__((aligned(PAGE)));
    struct used used __attribute__((aligned(PAGE)));
    u16 taken;
};

// 0 when there is no such device.
static u64 find_device(u32 id, int skip) {
    for (int slot = 0; slot < MMIO_SLOTS; ++slot) {
        const u64 at = MMIO_FIRST + (u64)slot * PAGE;
        if (get32(at + MAGIC) == 0x74726976 && get32(at + DEVICE_ID) == id && skip-- == 0) {
            return at;
        }
    }
    return 0;
}

static void reset_device(u64 device) {
    put32(device + STATUS, 0);
    // A device may take its time.
    for (int i = 0; i < 100000 && get32(device + STATUS) != 0; ++i) {
    }
}

static int begin_device(u64 device, u64 wanted) {
    put32(device + STATUS, ACKNOWLEDGE);
    put32(device + STATUS, ACKNOWLEDGE | DRIVER);
    put32(device + DEVICE_FEATURES_SEL, 0);
    u64 offered = get32(device + DEVICE_FEATURES);
    put32(device + DEVICE_FEATURES_SEL, 1);
    offered |= (u64)get32(device + DEVICE_FEATURES) << 32;
    const u64 features = (wanted | F_VERSION_1) & offered;
    put32(device + DRIVER_FEATURES_SEL, 0);
    put32(device + DRIVER_FEATURES, (u32)features);
    put32(device + DRIVER_FEATURES_SEL, 1);
    put32(device + DRIVER_FEATURES, (u32)(features >> 32));
    put32(device + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    return (get32(device + STATUS) & FEATURES_OK) != 0;
}

static void set_queue(u64 device, u16 number, u32 size, u64 desc, u64 avail, u64 used) {
    put32(device + QUEUE_SEL, number);
    put32(device + QUEUE_NUM, size);
    put32(device + DESC_LOW, (u32)desc);
    put32(device + DESC_HIGH, (u32)(desc >> 32));
    put32(device + AVAIL_LOW, (u32)avail);
    put32(device + AVAIL_HIGH, (u32)(avail >> 32));
    put32(device + USED_LOW, (u32)used);
    put32(device + USED_HIGH, (u32)(used >> 32));
    put32(device + QUEUE_READY, 1);
}

static void add_queue(u64 device, u16 number, struct queue* queue) {
    memset(queue, 0, sizeof(*queue));
    set_queue(device, number, QUEUE_SIZE, (u64)queue->desc, (u64)&queue->avail, (u64)&queue->used);
}

static void drive(u64 device) {
    put32(device + STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

static void put_desc(
    struct queue* queue, u16 at, const volatile void* address, u32 length, u16 flags, u16 next) {
    queue->desc[at].address = (u64)address;
    queue->desc[at].length = length;
    queue->desc[at].flags = flags;
    queue->desc[at].next = next;
}

static void offer(struct queue* queue, u16 head) {
    queue->avail.ring[queue->avail.index % QUEUE_SIZE] = head;
    barrier();
    queue->avail.index = (u16)(queue->avail.index + 1);
    barrier();
}

static void kick(u64 device, u16 number) {
    put32(device + NOTIFY, number);
}

// Whether the device has put something into the used ring. Each look is an exit, so that the device
// has the processor meanwhile, however few processors there are.
static int await(u64 device, struct queue* queue) {
    for (int i = 0; i < looks; ++i) {
        barrier();
        if (queue->used.index != queue->taken) {
            queue->taken = (u16)(queue->taken + 1);
            return 1;
        }
        if (get32(device + STATUS) & NEEDS_RESET) {
            return 0;
        }
    }
    return 0;
}

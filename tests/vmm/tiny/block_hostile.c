// Everything a driver must not do to a disk. After each attack the device is reset and read: it
// must be as before.
#include "virtio.h"

static struct queue queue;
static struct desc table[64] __attribute__((aligned(PAGE)));

static struct {
    u32 type;
    u32 reserved;
    u64 sector;
} header;

static u8 data[4096] __attribute__((aligned(PAGE)));
static volatile u8 status;
static u64 device;

static void begin(void) {
    looks = FEW_LOOKS;
    reset_device(device);
    begin_device(device, F_EVENT_INDEX | F_INDIRECT);
    add_queue(device, 0, &queue);
    drive(device);
    header.type = 0;
    header.reserved = 0;
    header.sector = 0;
    status = 0xff;
}

// Whether the disk still reads as it should.
static int lives(void) {
    begin();
    looks = MANY_LOOKS;
    memset(data, 0, 512);
    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    kick(device, 0);
    return await(device, &queue) && status == 0 && same(data, "HEARTH TEST DISK", 16);
}

static void attack(const char* name) {
    kick(device, 0);
    await(device, &queue);
    line(lives() ? "survived " : "DEAD ", name);
    begin();
}

static void attack_queue(const char* name, u32 size, u64 desc, u64 avail, u64 used) {
    reset_device(device);
    begin_device(device, 0);
    memset(&queue, 0, sizeof(queue));
    set_queue(device, 0, size, desc, avail, used);
    drive(device);
    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack(name);
}

void guest(void) {
    device = find_device(BLOCK, 0);
    if (!device || !lives()) {
        say("no disk\n");
        return;
    }
    begin();

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT | WRITE, 1);
    offer(&queue, 0);
    attack("a loop of one");

    for (u16 i = 0; i < QUEUE_SIZE; ++i) {
        put_desc(&queue, i, data, 16, NEXT | (i ? WRITE : 0), (u16)((i + 1) % QUEUE_SIZE));
    }
    offer(&queue, 0);
    attack("a loop of all");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 0xffffffff, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a huge length");

    put_desc(&queue, 0, (void*)0xfffffffffffff000ul, 0x2000, NEXT, 1);
    put_desc(&queue, 1, (void*)~0ul, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("addresses that wrap");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, (void*)(64ul << 30), 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("addresses beyond memory");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, (void*)(MMIO_FIRST), 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a device as a buffer");

    put_desc(&queue, 0, &header, 16, NEXT, QUEUE_SIZE);
    offer(&queue, 0);
    attack("a next that is outside");

    offer(&queue, 0xffff);
    attack("a head that is outside");

    put_desc(&queue, 0, &header, 16, 0, 0);
    offer(&queue, 0);
    attack("a header alone");

    put_desc(&queue, 0, &header, 3, NEXT, 1);
    put_desc(&queue, 1, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a short header");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT, 2);
    put_desc(&queue, 2, &status, 1, 0, 0);
    offer(&queue, 0);
    attack("buffers that may not be written");

    put_desc(&queue, 0, &header, 16, NEXT | WRITE, 1);
    put_desc(&queue, 1, data, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a header that is written");

    put_desc(&queue, 0, &header, 0, NEXT, 1);
    put_desc(&queue, 1, data, 0, NEXT | WRITE, 2);
    put_desc(&queue, 2, &status, 0, WRITE, 0);
    offer(&queue, 0);
    attack("empty buffers");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, queue.desc, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &queue.desc[1], 1, WRITE, 0);
    offer(&queue, 0);
    attack("a read over the descriptors");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, &queue.avail, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &queue.used, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a read over the rings");

    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, &header, 512, NEXT | WRITE, 2);
    put_desc(&queue, 2, &header, 1, WRITE, 0);
    offer(&queue, 0);
    attack("one buffer for all");

    put_desc(&queue, 0, table, 15, INDIRECT, 0);
    offer(&queue, 0);
    put_desc(&queue, 1, table, 0, INDIRECT, 0);
    offer(&queue, 1);
    put_desc(&queue, 2, table, 0xfffffff0, INDIRECT, 0);
    offer(&queue, 2);
    put_desc(&queue, 3, (void*)0xfffffffffffffff0ul, 64, INDIRECT | NEXT, 3);
    offer(&queue, 3);
    attack("indirect tables of odd sizes");

    for (int i = 0; i < 64; ++i) {
        table[i].address = (u64)table;
        table[i].length = sizeof(table);
        table[i].flags = INDIRECT | NEXT;
        table[i].next = (u16)(63 - i);
    }
    put_desc(&queue, 0, table, sizeof(table), INDIRECT, 0);
    offer(&queue, 0);
    attack("indirect in indirect");

    for (int i = 0; i < 64; ++i) {
        table[i].flags = NEXT;
        table[i].next = (u16)(i ^ 1);
    }
    put_desc(&queue, 0, table, sizeof(table), INDIRECT, 0);
    offer(&queue, 0);
    attack("a loop in an indirect table");

    queue.avail.index = 0x8000;
    attack("an index that jumps");

    for (int i = 0; i < 2000; ++i) {
        kick(device, 0);
    }
    attack("2000 kicks for nothing");

    kick(device, 1);
    kick(device, 0xffff);
    put32(device + NOTIFY, 0xffffffff);
    attack("kicks of queues that are not there");

    for (int i = 0; i < 20; ++i) {
        begin();
        for (u16 slot = 0; slot + 3 <= QUEUE_SIZE; slot += 3) {
            put_desc(&queue, slot, &header, 16, NEXT, (u16)(slot + 1));
            put_desc(&queue, (u16)(slot + 1), data, 4096, NEXT | WRITE, (u16)(slot + 2));
            put_desc(&queue, (u16)(slot + 2), &status, 1, WRITE, 0);
            offer(&queue, slot);
        }
        kick(device, 0);
        put32(device + STATUS, 0);
    }
    attack("resets in mid-flight");

    put32(device + STATUS, 0xff);
    put32(device + QUEUE_READY, 1);
    put32(device + QUEUE_NUM, 4);
    put32(device + DRIVER_FEATURES, 0xffffffff);
    attack("changes while it runs");

    const u64 d = (u64)queue.desc;
    const u64 a = (u64)&queue.avail;
    const u64 u = (u64)&queue.used;
    attack_queue("a queue of no size", 0, d, a, u);
    attack_queue("a queue of three", 3, d, a, u);
    attack_queue("a queue of 65536", 65536, d, a, u);
    attack_queue("a queue of 32768", 32768, d, a, u);
    attack_queue("rings beyond memory", QUEUE_SIZE, 1ul << 40, 1ul << 41, 1ul << 42);
    attack_queue("rings at the end of the world", QUEUE_SIZE, ~0ul & ~15ul, ~1ul, ~3ul);
    attack_queue("rings that are not aligned", QUEUE_SIZE, d + 1, a + 1, u + 1);
    attack_queue("rings over each other", QUEUE_SIZE, d, d, d);
    attack_queue("rings in a device", QUEUE_SIZE, MMIO_FIRST, MMIO_FIRST, MMIO_FIRST);

    // Driving without queues, and without features.
    reset_device(device);
    drive(device);
    attack("a driver without a beginning");

    header.type = 1;
    memset(data, 'X', 512);
    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    attack("a write");
    say("end of attacks\n");
}

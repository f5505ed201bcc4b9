// The same wrongs against every queue of every device there is; then what is special about a
// device.
#include "virtio.h"

static struct queue queues[8];
static struct queue* queue;
static struct desc table[64] __attribute__((aligned(PAGE)));
static u8 data[4096] __attribute__((aligned(PAGE)));
static u64 device;
static u16 number;
static u16 queue_count;

static void begin(void) {
    looks = FEW_LOOKS;
    reset_device(device);
    begin_device(device, F_INDIRECT | F_EVENT_INDEX);
    for (u16 i = 0; i < queue_count; ++i) {
        add_queue(device, i, &queues[i]);
    }
    drive(device);
}

static void attack(const char* name) {
    kick(device, number);
    // Many of these have no answer: a moment only.
    for (int i = 0; i < 50; ++i) {
        (void)get32(device + STATUS);
    }
    reset_device(device);
    const int lives = get32(device + STATUS) == 0 && get32(device + MAGIC) == 0x74726976 &&
                      begin_device(device, 0);
    say(lives ? "survived " : "DEAD ");
    say_number(get32(device + DEVICE_ID));
    say("/");
    say_number(number);
    line(" ", name);
    begin();
}

static void attack_queue(void) {
    queue = &queues[number];
    begin();
    put_desc(queue, 0, data, 16, NEXT, 0);
    offer(queue, 0);
    attack("a loop");
    put_desc(queue, 0, data, 16, NEXT | WRITE, 0);
    offer(queue, 0);
    attack("a loop of what is written");
    put_desc(queue, 0, data, 0xffffffff, 0, 0);
    offer(queue, 0);
    put_desc(queue, 1, data, 0xffffffff, WRITE, 0);
    offer(queue, 1);
    attack("huge lengths");
    put_desc(queue, 0, (void*)~0xffful, 0x2000, 0, 0);
    offer(queue, 0);
    put_desc(queue, 1, (void*)(1ul << 40), 64, WRITE, 0);
    offer(queue, 1);
    attack("addresses that wrap or are not there");
    put_desc(queue, 0, data, 0, 0, 0);
    offer(queue, 0);
    put_desc(queue, 1, data, 0, WRITE, 0);
    offer(queue, 1);
    attack("empty buffers");
    for (u32 length = 1; length < 14; ++length) {
        put_desc(queue, (u16)length, data, length, length & 1 ? WRITE : 0, 0);
        offer(queue, (u16)length);
    }
    attack("short buffers both ways");
    offer(queue, 0xffff);
    attack("a head that is outside");
    queue->avail.index = 0x7fff;
    attack("an index that jumps");
    for (int i = 0; i < 64; ++i) {
        table[i].address = (u64)data;
        table[i].length = 64;
        table[i].flags = NEXT | WRITE;
        table[i].next = (u16)(i ^ 1);
    }
    put_desc(queue, 0, table, sizeof(table), INDIRECT, 0);
    offer(queue, 0);
    attack("a loop in an indirect table");
    put_desc(queue, 0, queue, 4096, WRITE, 0);
    offer(queue, 0);
    put_desc(queue, 1, &queue->used, 64, WRITE, 0);
    offer(queue, 1);
    attack("the queue as its own buffer");
    for (int i = 0; i < 200; ++i) {
        kick(device, number);
        kick(device, 0xffff);
    }
    attack("kicks for nothing");
    for (int i = 0; i < 10; ++i) {
        begin();
        for (u16 slot = 0; slot < QUEUE_SIZE; ++slot) {
            put_desc(queue, slot, data, sizeof(data), slot & 1 ? WRITE : 0, 0);
            offer(queue, slot);
        }
        kick(device, number);
        put32(device + STATUS, 0);
    }
    attack("resets in mid-flight");
}

static void attack_entropy(void) {
    queue = &queues[0];
    begin();
    looks = MANY_LOOKS;
    memset(data, 0, 64);
    put_desc(queue, 0, data, 64, WRITE, 0);
    offer(queue, 0);
    kick(device, 0);
    u8 any = 0;
    if (await(device, queue)) {
        for (int i = 0; i < 64; ++i) {
            any |= data[i];
        }
    }
    say(any ? "random bytes came\n" : "DEAD entropy\n");
}

static void attack_balloon(void) {
    begin();
    u32* pages = (u32*)data;
    static const u32 kPages[] = {
        0xffffffff, 0, 1, 0x80000000, 0xd0000, 0x7ff, 0x800, 2047, 2047, 2047};
    for (number = 0; number < 2; ++number) {
        queue = &queues[number];
        memcpy(pages, kPages, sizeof(kPages));
        pages[1] = pages[2] = 0x700;  // A page of memory that nothing uses.
        put_desc(queue, 0, pages, sizeof(kPages), 0, 0);
        offer(queue, 0);
        attack("pages that are not there");
        put_desc(queue, 0, pages, 7, 0, 0);
        offer(queue, 0);
        attack("a part of a page's number");
    }
    number = 0;
    put32(device + CONFIG + 4, 0xffffffff);
    put32(device + CONFIG, 0xffffffff);
    put32(device + CONFIG + 0xe00, 1);
    attack("configuration that is not its own");
}

void guest(void) {
    for (int slot = 0; slot < MMIO_SLOTS; ++slot) {
        device = MMIO_FIRST + (u64)slot * PAGE;
        if (get32(device + MAGIC) != 0x74726976 || get32(device + DEVICE_ID) == 0) {
            continue;
        }
        reset_device(device);
        begin_device(device, 0);
        for (queue_count = 0; queue_count < 8; ++queue_count) {
            put32(device + QUEUE_SEL, queue_count);
            if (get32(device + QUEUE_NUM_MAX) == 0) {
                break;
            }
        }
        for (number = 0; number < queue_count; ++number) {
            attack_queue();
        }
        if (get32(device + DEVICE_ID) == ENTROPY) {
            attack_entropy();
        } else if (get32(device + DEVICE_ID) == BALLOON) {
            attack_balloon();
        }
        reset_device(device);
    }
    say("end of attacks\n");
}

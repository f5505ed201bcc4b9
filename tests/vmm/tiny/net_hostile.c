// Frames that no network has, most of them for the metadata service that answers inside of the
// monitor.
#include "virtio.h"

enum { RX, TX };

enum { HEADER = 12, METADATA = 0xa9fea9fe, OWN = 0xac100002 };

static struct queue queues[2];
static u8 received[QUEUE_SIZE][2048] __attribute__((aligned(PAGE)));
static u8 sent[65536 + PAGE] __attribute__((aligned(PAGE)));
static u64 device;

static void begin(void) {
    looks = FEW_LOOKS;
    reset_device(device);
    begin_device(device, F_EVENT_INDEX);
    add_queue(device, RX, &queues[RX]);
    add_queue(device, TX, &queues[TX]);
    drive(device);
    for (u16 i = 0; i < QUEUE_SIZE; ++i) {
        put_desc(&queues[RX], i, received[i], 2048, WRITE, 0);
        offer(&queues[RX], i);
    }
    kick(device, RX);
}

static void put16(u8* at, u32 value) {
    at[0] = (u8)(value >> 8);
    at[1] = (u8)value;
}

static void put_be32(u8* at, u32 value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static int send(u32 frame_bytes) {
    struct queue* tx = &queues[TX];
    const u16 slot = tx->avail.index % QUEUE_SIZE;
    put_desc(tx, slot, sent, HEADER + frame_bytes, 0, 0);
    offer(tx, slot);
    kick(device, TX);
    return await(device, tx);
}

static u8* ethernet(u32 type) {
    static const u8 kTarget[] = {6, 1, 0x23, 0x45, 0x67, 1};
    static const u8 kSource[] = {6, 0, 0, 0, 0, 1};
    memset(sent, 0, 2048);
    memcpy(sent + HEADER, kTarget, 6);
    memcpy(sent + HEADER + 6, kSource, 6);
    put16(sent + HEADER + 12, type);
    return sent + HEADER + 14;
}

static int ask_who(void) {
    u8* arp = ethernet(0x806);
    memset(sent + HEADER, 0xff, 6);
    put16(arp, 1);
    put16(arp + 2, 0x800);
    arp[4] = 6;
    arp[5] = 4;
    put16(arp + 6, 1);
    memcpy(arp + 8, sent + HEADER + 6, 6);
    put_be32(arp + 14, OWN);
    put_be32(arp + 24, METADATA);
    return send(42);
}

// Whether the metadata service still answers who it is.
static int lives(void) {
    begin();
    looks = MANY_LOOKS;
    if (!ask_who()) {
        return 0;
    }
    struct queue* rx = &queues[RX];
    for (int i = 0; i < 32 && await(device, rx); ++i) {
        const u16 slot = (u16)rx->used.ring[(u16)(rx->taken - 1) % QUEUE_SIZE].id;
        const u8* frame = received[slot % QUEUE_SIZE] + HEADER;
        if (frame[12] == 8 && frame[13] == 6 && frame[21] == 2) {
            return 1;
        }
        // The host's own frames come as well.
        offer(rx, slot);
        kick(device, RX);
    }
    return 0;
}

static void attack(const char* name) {
    line(lives() ? "survived " : "DEAD ", name);
    begin();
}

static u32 sum(const u8* bytes, u32 size, u32 seed) {
    for (u32 i = 0; i + 1 < size; i += 2) {
        seed += (u32)bytes[i] << 8 | bytes[i + 1];
    }
    if (size & 1) {
        seed += (u32)bytes[size - 1] << 8;
    }
    while (seed >> 16) {
        seed = (seed & 0xffff) + (seed >> 16);
    }
    return seed;
}

// A TCP segment for the metadata service with right check sums, unless it is spoiled later. Returns
// its bytes.
static u32 tcp(u32 source_port, u32 sequence, u32 acknowledged, u8 flags, u8 words, u32 payload) {
    u8* ip = ethernet(0x800);
    const u32 segment = words * 4 + payload;
    ip[0] = 0x45;
    put16(ip + 2, 20 + segment);
    ip[8] = 64;
    ip[9] = 6;
    put_be32(ip + 12, OWN);
    put_be32(ip + 16, METADATA);
    put16(ip + 10, ~sum(ip, 20, 0) & 0xffff);
    u8* segment_at = ip + 20;
    put16(segment_at, source_port);
    put16(segment_at + 2, 80);
    put_be32(segment_at + 4, sequence);
    put_be32(segment_at + 8, acknowledged);
    segment_at[12] = (u8)(words << 4);
    segment_at[13] = flags;
    put16(segment_at + 14, 0xffff);
    memset(segment_at + 20, 'x', segment > 20 ? segment - 20 : 0);
    put16(segment_at + 16, ~sum(segment_at, segment, sum(ip + 12, 8, 6 + segment)) & 0xffff);
    return 34 + segment;
}

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

void guest(void) {
    device = find_device(NET, 0);
    if (!device || !lives()) {
        say("DEAD from the beginning\n");
        return;
    }
    begin();

    for (u32 bytes = 0; bytes < 60; bytes += 3) {
        (void)tcp(4000, 1, 0, SYN, 5, 0);
        (void)send(bytes);
    }
    attack("frames that are cut off");
    struct queue* tx = &queues[TX];
    put_desc(tx, 0, sent, 3, 0, 0);
    offer(tx, 0);
    kick(device, TX);
    attack("a part of a header");
    (void)tcp(4000, 1, 0, SYN, 5, 0);
    (void)send(65535);
    (void)send(65536 + 1000);
    attack("frames that are too long");
    for (u32 size = 0; size < 16; ++size) {
        (void)tcp(4001, 1, 0, SYN, 5, 0);
        sent[HEADER + 14] = (u8)(0x40 | size);
        (void)send(54);
    }
    attack("headers of other sizes");
    for (u32 length = 0; length < 70; length += 7) {
        (void)tcp(4002, 1, 0, SYN, 5, 0);
        put16(sent + HEADER + 16, length);
        (void)send(54);
        put16(sent + HEADER + 16, 0xffff - length);
        (void)send(54);
    }
    attack("lengths that are not true");
    for (u8 words = 0; words < 16; ++words) {
        const u32 bytes = tcp(4003, 1, 0, SYN, 5, 0);
        sent[HEADER + 34 + 12] = (u8)(words << 4);
        (void)send(bytes);
    }
    attack("data offsets that are outside");
    (void)tcp(4004, 1, 0, SYN, 15, 0);
    memset(sent + HEADER + 54, 2, 40);
    sent[HEADER + 55] = 0;
    (void)send(94);
    sent[HEADER + 55] = 255;
    (void)send(94);
    attack("options without an end");
    for (u32 flags = 0; flags < 64; ++flags) {
        (void)send(tcp(4100 + flags, 7, 9, (u8)flags, 5, flags));
    }
    attack("every set of flags");
    for (u32 number = 0; number < 300; ++number) {
        (void)send(tcp(10000 + number, number, 0, SYN, 5, 0));
    }
    attack("300 beginnings of connections");
    (void)send(tcp(4200, 100, 0, SYN, 5, 0));
    for (u32 number = 0; number < 50; ++number) {
        (void)send(tcp(4200, 101 + number * 0x40000000, number * 0x01010101, ACK | PSH, 5, 900));
    }
    (void)send(tcp(4200, 101, 0, FIN | RST | SYN, 5, 0));
    attack("sequence numbers from everywhere");
    u8* arp = ethernet(0x806);
    memset(arp, 0xff, 28);
    (void)send(42);
    (void)ethernet(0x806);
    (void)send(42);
    (void)send(20);
    attack("questions that are none");
    for (u16 i = 0; i < QUEUE_SIZE; ++i) {
        put_desc(&queues[RX], i, sent, 5, WRITE, 0);
        offer(&queues[RX], i);
    }
    kick(device, RX);
    (void)ask_who();
    attack("buffers that are too short for an answer");
    for (int i = 0; i < 20; ++i) {
        begin();
        (void)tcp(4300, 1, 0, SYN, 5, 0);
        for (u16 slot = 0; slot < QUEUE_SIZE; ++slot) {
            put_desc(&queues[TX], slot, sent, HEADER + 54, 0, 0);
            offer(&queues[TX], slot);
        }
        kick(device, TX);
        put32(device + STATUS, 0);
    }
    attack("resets in mid-flight");
    say("end of attacks\n");
}

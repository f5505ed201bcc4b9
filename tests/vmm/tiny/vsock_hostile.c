// An honest connection to the host's port 77, packets that nobody should send, and the honest one
// again.
#include "virtio.h"

struct packet {
    u64 source_cid, target_cid;
    u32 source_port, target_port, length;
    u16 type, operation;
    u32 flags, buffer, forwarded;
} __attribute__((packed));

enum { RX, TX, EVENT, HOST = 2 };

enum { REQUEST = 1, RESPONSE, RESET, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST };

static struct queue queues[3];
static u8 received[QUEUE_SIZE][4096] __attribute__((aligned(PAGE)));
static u8 sent[8192] __attribute__((aligned(PAGE)));
static u64 device;
static u64 own_cid;
static u32 port = 5000;

static void begin(void) {
    looks = FEW_LOOKS;
    reset_device(device);
    begin_device(device, F_EVENT_INDEX);
    for (u16 i = 0; i < 3; ++i) {
        add_queue(device, i, &queues[i]);
    }
    drive(device);
    for (u16 i = 0; i < QUEUE_SIZE; ++i) {
        put_desc(&queues[RX], i, received[i], 4096, WRITE, 0);
        offer(&queues[RX], i);
    }
    kick(device, RX);
}

static int send_bytes(u32 bytes) {
    struct queue* tx = &queues[TX];
    const u16 slot = tx->avail.index % QUEUE_SIZE;
    put_desc(tx, slot, sent, bytes, 0, 0);
    offer(tx, slot);
    kick(device, TX);
    return await(device, tx);
}

static int send(u16 operation, u32 target, u32 length, u32 bytes) {
    struct packet packet = {own_cid, HOST, port, target, length, 1, operation, 0, 65536, 0};
    if (operation == SHUTDOWN) {
        packet.flags = 3;
    }
    memcpy(sent, &packet, sizeof(packet));
    return send_bytes((u32)sizeof(packet) + bytes);
}

// The operation of the next packet from the host for our port, or 0. Buffers go back to the device.
static u16 receive(void) {
    struct queue* rx = &queues[RX];
    for (int i = 0; i < 64; ++i) {
        if (!await(device, rx)) {
            return 0;
        }
        const u16 slot = (u16)rx->used.ring[(u16)(rx->taken - 1) % QUEUE_SIZE].id;
        struct packet packet;
        memcpy(&packet, received[slot % QUEUE_SIZE], sizeof(packet));
        offer(rx, slot);
        kick(device, RX);
        if (packet.target_port == port) {
            return packet.operation;
        }
    }
    return 0;
}

static int honest(void) {
    begin();
    looks = MANY_LOOKS;
    ++port;
    if (!send(REQUEST, 77, 0, 0) || receive() != RESPONSE) {
        return 0;
    }
    memcpy(sent + sizeof(struct packet), "hello", 5);
    return send(RW, 77, 5, 5) && send(SHUTDOWN, 77, 0, 0);
}

static void attack(const char* name) {
    ++port;
    // A packet for a port where nobody listens is refused, so the device works.
    looks = MANY_LOOKS;
    const int lives = send(REQUEST, 4711, 0, 0) && receive() == RESET;
    line(lives ? "survived " : "DEAD ", name);
    begin();
}

static void forge(const char* name, struct packet packet, u32 bytes) {
    memcpy(sent, &packet, sizeof(packet));
    (void)send_bytes(bytes);
    attack(name);
}

void guest(void) {
    device = find_device(VSOCK, 0);
    if (!device) {
        say("no vsock\n");
        return;
    }
    own_cid = get32(device + CONFIG);
    line(honest() ? "survived " : "DEAD ", "an honest connection");
    begin();

    const struct packet good = {own_cid, HOST, 6000, 77, 0, 1, RW, 0, 65536, 0};
    struct packet bad = good;
    forge("data without a connection", good, 44);
    bad.operation = RESPONSE;
    forge("a response to nothing", bad, 44);
    bad.operation = SHUTDOWN;
    bad.flags = 0xffffffff;
    forge("a shutdown of nothing", bad, 44);
    bad.operation = CREDIT_UPDATE;
    forge("credit for nothing", bad, 44);
    bad.operation = 0xffff;
    forge("an unknown operation", bad, 44);
    bad.operation = 0;
    forge("no operation", bad, 44);
    bad = good;
    bad.type = 2;
    forge("another type", bad, 44);
    bad = good;
    bad.length = 0xffffffff;
    forge("a length of 4 GiB", bad, 44);
    bad.length = 1000;
    forge("a length beyond the buffer", bad, 44 + 10);
    bad = good;
    bad.source_cid = 99;
    forge("a foreign source", bad, 44);
    bad = good;
    bad.target_cid = 4;
    bad.operation = REQUEST;
    forge("another guest as the target", bad, 44);
    bad.target_cid = own_cid;
    forge("itself as the target", bad, 44);
    bad.target_cid = ~0ul;
    forge("nobody as the target", bad, 44);
    for (u32 bytes = 1; bytes < 44; bytes += 7) {
        forge("a part of a header", good, bytes);
    }

    // Many connections to where nobody listens, none ever closed.
    for (int i = 0; i < 300; ++i) {
        ++port;
        (void)send(REQUEST, 4711, 0, 0);
        (void)receive();
    }
    attack("300 connections to nobody");

    // Requests without looking at the answers: the receiving queue is full.
    for (int i = 0; i < 100; ++i) {
        ++port;
        (void)send(REQUEST, 4711, 0, 0);
    }
    begin();
    attack("100 answers that nobody takes");

    // The same request twice.
    ++port;
    (void)send(REQUEST, 4711, 0, 0);
    (void)send(REQUEST, 4711, 0, 0);
    begin();
    attack("the same connection twice");

    for (int i = 0; i < 50; ++i) {
        (void)send(RESET, 77, 0, 0);
    }
    attack("resets of nothing");

    line(honest() ? "survived " : "DEAD ", "an honest connection, again");
    say("end of attacks\n");
}

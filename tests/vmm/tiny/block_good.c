// Reads the disk's first sectors and tells what is there; writes one when the disk takes it, and
// reads it again.
#include "virtio.h"

static struct queue queue;

static struct {
    u32 type;
    u32 reserved;
    u64 sector;
} header;

static u8 data[512];
static volatile u8 status;

static int transfer(u64 device, u32 type, u64 sector, u16 flags) {
    header.type = type;
    header.sector = sector;
    status = 0xff;
    put_desc(&queue, 0, &header, 16, NEXT, 1);
    put_desc(&queue, 1, data, 512, NEXT | flags, 2);
    put_desc(&queue, 2, &status, 1, WRITE, 0);
    offer(&queue, 0);
    kick(device, 0);
    return await(device, &queue) ? status : -1;
}

void guest(void) {
    looks = MANY_LOOKS;
    const u64 device = find_device(BLOCK, 0);
    if (!device) {
        say("no disk\n");
        return;
    }
    reset_device(device);
    begin_device(device, F_EVENT_INDEX | F_INDIRECT);
    add_queue(device, 0, &queue);
    drive(device);
    say("capacity ");
    say_number(*(volatile u32*)(device + CONFIG));
    say("\n");
    if (transfer(device, 0, 0, WRITE) == 0) {
        data[16] = 0;
        line("read ", (const char*)data);
    }
    memcpy(data, "written by guest", 17);
    say("write ");
    say_number((u64)transfer(device, 1, 1, 0));
    memset(data, 0, sizeof(data));
    say("\nagain ");
    say_number((u64)transfer(device, 0, 1, WRITE));
    line(" ", (const char*)data);
    say("beyond ");
    say_number((u64)transfer(device, 0, 1ul << 40, WRITE));
    say("\nend ");
    say_number((u64)transfer(device, 0, *(volatile u32*)(device + CONFIG) - 1, WRITE));
    say("\nunknown ");
    say_number((u64)transfer(device, 77, 0, WRITE));
    say("\n");
}

#pragma once

#include "base/result.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// A snapshot image: one initialised process, frozen at a quiet point, as one file.
//
//   page 0          FileHeader, zeros up to the page's end
//   page 1 ..       metadata: everything below as WireWriter writes it, zeros up to a page's end
//   data_offset ..  the contents of the pages, run after run without gaps, to the end of the file
//
// The dumped process is hostile, so an image is untrusted input although Hearth wrote it: its
// registers, addresses and names are the process's choice. Decode() checks all that can be checked
// without the machine (bounds, order, overlaps, counts, enum values); CheckIdentity() in identity.h
// checks the machine and the mapped files. What passes Decode() may be mapped and filled without
// further checks of ranges. Format, limits and threat model: docs/internals/snapshots.md.
namespace hearth::snapshot {

inline constexpr uint64_t kPageBytes = 4096;
inline constexpr uint32_t kFormatVersion = 1;

// Limits of what is accepted; a process beyond one is refused by the dumper with that reason.
inline constexpr uint64_t kMetadataBytesMax = 64ULL << 20;
inline constexpr uint64_t kImageBytesMax = 16ULL << 30;
inline constexpr size_t kAreasMax = 65'536;
inline constexpr size_t kRunsMax = 1 << 20;
inline constexpr size_t kThreadsMax = 2'048;
inline constexpr size_t kDescriptorsMax = 4'096;
inline constexpr int32_t kDescriptorNumberMax = 65'535;
inline constexpr size_t kEpollMembersMax = 4'096;
inline constexpr size_t kMappedFilesMax = 4'096;
inline constexpr uint64_t kXstateBytesMax = 16'384;
inline constexpr uint64_t kPipeBytesMax = 1 << 20;
// User addresses; the lowest 64 KB are never mapped (vm.mmap_min_addr).
inline constexpr uint64_t kUserStart = 0x10000;
inline constexpr uint64_t kUserEnd = 0x7ffffffff000;

// What the machine must be for the image to run on it: compared field by field.
struct CpuidLeaf {
    uint32_t leaf = 0;
    uint32_t subleaf = 0;
    std::array<uint32_t, 4> registers{};  // eax, ebx, ecx, edx
    bool operator==(const CpuidLeaf&) const = default;
};

struct MachineIdentity {
    std::string kernel_release;
    std::string kernel_version;
    std::string boot_id;
    std::vector<CpuidLeaf> cpuid;
    uint64_t xcr0 = 0;
    uint64_t xsave_bytes = 0;
    uint64_t page_bytes = 0;
    // FNV-1a of the vdso's bytes.
    uint64_t vdso_checksum = 0;
    bool operator==(const MachineIdentity&) const = default;
};

// A file that is mapped, open, or the program itself; `path` is as the process saw it, absolute in
// its root.
struct MappedFile {
    std::string path;
    // 0, and then not compared, on an overlay: its number belongs to the mount.
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t size = 0;
    int64_t mtime_s = 0;
    uint32_t mtime_ns = 0;
    // Of ELF files: the build id's bytes, else empty.
    std::string build_id;
};

inline constexpr uint32_t kNoFile = UINT32_MAX;

enum class AreaKind : uint8_t {
    kAnonymous,    // private and anonymous: heap, stacks, arenas
    kPrivateFile,  // MAP_PRIVATE of a file; written pages of it are in runs
    kSharedFile,   // MAP_SHARED of a file that can never be written through it
    kVdso,         // [vdso]; must match the machine's byte for byte
    kVvar,         // [vvar], [vvar_vclock]: data of the vdso, moved along with it
};

enum AreaFlag : uint32_t {
    kGrowsDown = 1 << 0,
    kNoReserve = 1 << 1,
    kWipeOnFork = 1 << 2,
    kDontFork = 1 << 3,
    kDontDump = 1 << 4,
    kHugePage = 1 << 5,
    kNoHugePage = 1 << 6,
    kDroppable = 1 << 7,  // contents are never in the image; map it fresh
    kMergeable = 1 << 8,
    kLocked = 1 << 9,
    kRandomAdvice = 1 << 10,
    kSequentialAdvice = 1 << 11,
    kSealed = 1 << 12,
    kAreaFlagsAll = (1 << 13) - 1,
};

// One VMA. Areas are sorted by address and do not overlap. [vsyscall], above kUserEnd and the same
// in every process, is left out.
struct Area {
    uint64_t start = 0;
    uint64_t end = 0;
    uint32_t protection = 0;  // PROT_*
    AreaKind kind = AreaKind::kAnonymous;
    uint32_t flags = 0;       // AreaFlag
    uint32_t file = kNoFile;  // into Image::files
    uint64_t file_offset = 0;
    // Of kVdso and kVvar the name in brackets; of anonymous ones prctl(PR_SET_VMA_ANON_NAME)'s.
    std::string name;
};

// `pages` pages from `address` on, whose contents stand at `offset` of the image. Sorted by address
// and by offset; each run lies within one area of kind kAnonymous or kPrivateFile. Pages of an
// anonymous area in no run are zero; of a file area they are the file's.
struct PageRun {
    uint64_t address = 0;
    uint64_t pages = 0;
    uint64_t offset = 0;
};

// Pages with MADV_GUARD_INSTALL; within anonymous areas, sorted.
struct GuardRun {
    uint64_t address = 0;
    uint64_t pages = 0;
};

struct SignalAction {
    uint64_t handler = 0;
    uint64_t flags = 0;
    uint64_t restorer = 0;
    uint64_t mask = 0;
};

// PR_SET_MM_MAP's fields.
struct MemoryMapFacts {
    uint64_t start_code = 0, end_code = 0, start_data = 0, end_data = 0;
    uint64_t start_brk = 0, brk = 0, start_stack = 0;
    uint64_t arg_start = 0, arg_end = 0, env_start = 0, env_end = 0;
    std::vector<uint64_t> auxv;  // pairs, the last is AT_NULL's
    uint32_t exe = kNoFile;      // into Image::files
};

// struct user_regs_struct in ptrace's order, as 27 numbers. The dumper has applied the rule of
// interrupted system calls already and orig_rax is -1: a thread goes on when these are loaded.
// cs and ss are the 64-bit user ones.
enum Register : uint8_t {
    kR15,
    kR14,
    kR13,
    kR12,
    kRbp,
    kRbx,
    kR11,
    kR10,
    kR9,
    kR8,
    kRax,
    kRcx,
    kRdx,
    kRsi,
    kRdi,
    kOrigRax,
    kRip,
    kCs,
    kEflags,
    kRsp,
    kSs,
    kFsBase,
    kGsBase,
    kDs,
    kEs,
    kFs,
    kGs,
    kRegisterCount
};

struct Thread {
    // In the innermost pid namespace; a clone has the same, since libc caches it.
    int32_t tid = 0;
    std::array<uint64_t, kRegisterCount> registers{};
    // NT_X86_XSTATE: uncompacted, MachineIdentity::xsave_bytes long, xcr0 at offset 464.
    std::string xstate;
    uint64_t signal_mask = 0;
    uint64_t altstack_address = 0;
    uint64_t altstack_bytes = 0;
    uint32_t altstack_flags = 0;
    uint64_t rseq_address = 0;  // 0: none
    uint32_t rseq_bytes = 0;
    uint32_t rseq_signature = 0;
    uint64_t robust_list = 0;
    uint64_t robust_list_bytes = 0;
    uint64_t clear_child_tid = 0;
    std::string name;  // up to 15 bytes
};

enum class OpenFileKind : uint8_t {
    // A regular file or directory at `path`, to be opened anew with `flags` and `offset`.
    kPath,
    // A character device of the harmless kind (/dev/null, zero, full, random, urandom): as kPath.
    kDevice,
    // Named in the DumpRequest: the restoring side hands in a descriptor for `stand_in`. The
    // Runtime API's connections, stdout and stderr.
    kStandIn,
    // One end of a pipe whose other end the process holds too, or has closed. Both have the same
    // `pair`; flags' O_ACCMODE says which end. `bytes` is what the pipe holds (kept with the read
    // end).
    kPipe,
    // One end of an unnamed unix stream, datagram or seqpacket pair, as kPipe; `bytes` is what this
    // end can read (streams only, others are empty). A `pair` with one end only has lost its peer.
    kSocketPair,
    // A socket that was connected to something outside: replaced by one whose peer is closed.
    kDeadSocket,
    // A socket that was not connected: made anew from domain, type and protocol, bound to `address`
    // when that is set, listening when `backlog` is not 0.
    kFreshSocket,
    kEventFd,
    kTimerFd,
    kEpoll,
};

// Options that are set with the value 1.
enum SocketOption : uint32_t {
    kReuseAddress = 1 << 0,
    kReusePort = 1 << 1,
    kV6Only = 1 << 2,
    kNoDelay = 1 << 3,
    kKeepAlive = 1 << 4,
    kBroadcast = 1 << 5,
    kSocketOptionsAll = (1 << 6) - 1,
};

struct EpollMember {
    int32_t number = 0;  // the descriptor's
    uint32_t events = 0;
    uint64_t data = 0;
};

// One open file description; several descriptors may share it (dup).
struct OpenFile {
    OpenFileKind kind = OpenFileKind::kPath;
    uint32_t flags = 0;  // O_* as F_GETFL says, without O_CLOEXEC
    // kPath, kDevice
    std::string path;
    uint64_t offset = 0;
    // kStandIn
    uint32_t stand_in = 0;
    // kPipe, kSocketPair
    uint32_t pair = 0;
    std::string bytes;
    uint32_t pipe_bytes_max = 0;
    // kSocketPair, kDeadSocket, kFreshSocket
    int32_t domain = 0, type = 0, protocol = 0;
    std::string address;  // a sockaddr
    int32_t backlog = 0;
    uint32_t socket_options = 0;  // SocketOption; of kFreshSocket
    // kEventFd
    uint64_t event_count = 0;
    bool event_semaphore = false;
    // kTimerFd; times in ns. `timer_value_ns` is what remains, 1 for one that has fired and was not
    // read; `timer_ticks` is 0 from the dumper.
    int32_t timer_clock = 0;
    uint64_t timer_ticks = 0;
    uint64_t timer_value_ns = 0;
    uint64_t timer_interval_ns = 0;
    // kEpoll
    std::vector<EpollMember> members;
};

struct Descriptor {
    int32_t number = 0;
    bool close_on_exec = false;
    uint32_t open_file = 0;  // into Image::open_files
};

enum class EntropyKind : uint8_t {
    kRandPoll,  // int RAND_poll(void)
    kRandSeed,  // void RAND_seed(const void*, int)
};

// A function of the process that the leader calls before anything else runs, so that no two clones
// draw the same numbers. Its address is in an executable area.
struct EntropyCall {
    EntropyKind kind = EntropyKind::kRandPoll;
    uint64_t address = 0;
};

struct ProcessFacts {
    int32_t pid = 0;  // in the innermost pid namespace, equal to threads[0].tid
    int32_t process_group = 0;
    int32_t session = 0;
    uint32_t umask = 0;
    std::string working_directory;
    uint64_t personality = 0;
    // CLOCK_MONOTONIC and CLOCK_BOOTTIME at the freeze, in ns; for another boot.
    uint64_t monotonic_ns = 0;
    uint64_t boottime_ns = 0;
    // What the environment's /tmp and /dev/shm held at the freeze: names that the engine chose.
    std::string tmp_layer;
    std::string shm_layer;
};

struct Image {
    MachineIdentity machine;
    ProcessFacts process;
    MemoryMapFacts memory;
    std::array<SignalAction, 64> signals{};  // index: number - 1
    std::vector<MappedFile> files;
    std::vector<Area> areas;
    std::vector<PageRun> runs;
    std::vector<GuardRun> guards;
    std::vector<Thread> threads;  // the leader is the first
    std::vector<OpenFile> open_files;
    std::vector<Descriptor> descriptors;  // sorted by number
    std::vector<EntropyCall> entropy_calls;

    // CRC-32C of the pages, four interleaved lanes: see PagesChecksum.
    uint64_t pages_checksum = 0;

    uint64_t page_count() const;
};

// Head and metadata of the file, up to data_offset, which is a multiple of kPageBytes. Sets the
// runs' offsets: they follow each other from data_offset on. The caller writes the pages there.
//   errors    Malformed: the image breaks one of Decode's rules or a limit; the message says which.
Result<std::string> Encode(Image& image);

// The head and metadata of a file of `file_bytes`, sealed with lengths and checksum but not looked
// at: what Encode ends with. For tests of the reader.
std::string SealHead(std::string_view metadata, uint64_t file_bytes);

// Reads what Encode wrote, trusting nothing. `file_bytes` is the size of the whole file.
//   errors    Malformed: with the rule that is broken.
Result<Image> Decode(std::string_view head, uint64_t file_bytes);

// The same from an open file; reads the header and the metadata, no pages.
Result<Image> ReadImage(int image_fd);

// Of the pages as they stand in the file. Four CRC-32C lanes over interleaved words, added up: fast
// enough to be read with the pages (10 GB/s and more). Feed it in order, in multiples of a page.
class PagesChecksum final {
  public:
    void Add(std::string_view pages);
    uint64_t value() const;

  private:
    std::array<uint64_t, 4> lanes_{};
};

// Reads all pages and compares: whoever loads an image that was not written in this boot calls it
// once.
Status CheckPages(int image_fd, const Image& image);

// All of Decode's rules on a built image whose pages would end at `file_bytes`.
Status Validate(const Image& image, uint64_t data_offset, uint64_t file_bytes);

}  // namespace hearth::snapshot

#include "hearth/cloud/recycled_memory.h"

#include <malloc.h>
#include <pthread.h>

#include <array>
#include <cstdint>
#include <cstdlib>

// malloc's own free where the program is linked with --wrap=free (operator_new.cc), else null.
extern "C" [[gnu::weak]] void __real_free(void* piece);

namespace hearth::recycled {
namespace {

void FreeNow(void* piece) {
    if (__real_free != nullptr) {
        __real_free(piece);
    } else {
        std::free(piece);
    }
}

// malloc's pieces have 16k + 8 usable bytes, 24 at least. Small ones have a list for each such
// size; larger ones a list for each 256 bytes, and what is asked for is rounded up to that.
constexpr size_t kSmallStep = 16;
constexpr size_t kSmallBytesMin = 24;
constexpr size_t kSmallLists = 64;
constexpr size_t kSmallBytesMax = kSmallBytesMin + (kSmallLists - 1) * kSmallStep;
constexpr size_t kLargeStep = 256;
constexpr size_t kLargeFirst = kSmallBytesMax / kLargeStep + 1;
constexpr size_t kLists = kSmallLists + kPieceBytesMax / kLargeStep - kLargeFirst + 1;
static_assert(kPieceBytesMax % kLargeStep == 0);

struct Piece {
    Piece* next;
};

enum class Life : uint8_t { kNew, kRunning, kEnded };

struct Lists {
    std::array<Piece*, kLists> first{};
    size_t bytes = 0;
    Life life = Life::kNew;
};

constinit thread_local Lists lists;

// The list whose pieces have room for `bytes`, which are at most kPieceBytesMax.
size_t ListFor(size_t bytes) {
    if (bytes <= kSmallBytesMin) {
        return 0;
    }
    if (bytes <= kSmallBytesMax) {
        return (bytes - kSmallBytesMin + kSmallStep - 1) / kSmallStep;
    }
    return kSmallLists + (bytes + kLargeStep - 1) / kLargeStep - kLargeFirst;
}

// The list that a piece with so many usable bytes belongs to: no piece of it has less room than
// ListFor promises. kLists: none.
size_t ListOf(size_t usable) {
    if (usable < kSmallBytesMin) {
        return kLists;
    }
    if (usable < kLargeFirst * kLargeStep) {
        const size_t list = (usable - kSmallBytesMin) / kSmallStep;
        return list < kSmallLists ? list : kSmallLists - 1;
    }
    const size_t list = kSmallLists + usable / kLargeStep - kLargeFirst;
    return list < kLists ? list : kLists;
}

// What a piece of the list counts for; what malloc added to it is not looked up.
size_t BytesOf(size_t list) {
    return list < kSmallLists ? kSmallBytesMin + list * kSmallStep
                              : (list - kSmallLists + kLargeFirst) * kLargeStep;
}

// At the end of a thread, after its thread_local objects where there are keys made before; what is
// let go of still later goes straight to malloc.
void EndThread(void*) {
    lists.life = Life::kEnded;
    for (Piece*& first : lists.first) {
        while (first != nullptr) {
            Piece* const next = first->next;
            FreeNow(first);
            first = next;
        }
    }
    lists.bytes = 0;
}

// False when this thread keeps nothing.
bool Begin() {
    if (lists.life == Life::kRunning) {
        return true;
    }
    if (lists.life == Life::kEnded) {
        return false;
    }
    static pthread_key_t key;
    static const bool made = pthread_key_create(&key, &EndThread) == 0;
    // pthread_setspecific may itself allocate and free.
    lists.life = Life::kEnded;
    if (!made || pthread_setspecific(key, &lists) != 0) {
        return false;
    }
    lists.life = Life::kRunning;
    return true;
}

}  // namespace

void* Take(size_t bytes) {
    if (bytes > kPieceBytesMax) {
        return std::malloc(bytes);
    }
    const size_t list = ListFor(bytes);
    if (Piece* const piece = lists.first[list]; piece != nullptr) {
        lists.first[list] = piece->next;
        lists.bytes -= BytesOf(list);
        return piece;
    }
    return std::malloc(list < kSmallLists ? bytes : BytesOf(list));
}

void Give(void* piece) {
    if (piece == nullptr) {
        return;
    }
    const size_t list = ListOf(::malloc_usable_size(piece));
    if (list == kLists || lists.bytes + BytesOf(list) > kThreadBytesMax || !Begin()) {
        FreeNow(piece);
        return;
    }
    auto* const kept = static_cast<Piece*>(piece);
    kept->next = lists.first[list];
    lists.first[list] = kept;
    lists.bytes += BytesOf(list);
}

size_t KeptBytes() {
    return lists.bytes;
}

}  // namespace hearth::recycled

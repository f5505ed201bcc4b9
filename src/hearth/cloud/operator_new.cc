#include "hearth/cloud/recycled_memory.h"

#include <malloc.h>

#include <cstddef>
#include <cstdlib>
#include <new>

// The cloud's allocations go through recycled_memory.h: those of C++ by these operators, and the
// coroutine frames, which Asio takes from aligned_alloc and gives to free, by the linker's
// --wrap. Not in sanitized builds, whose own operators watch over each piece.

namespace recycled = hearth::recycled;

extern "C" {
void* __real_aligned_alloc(size_t alignment, size_t bytes);

void* __wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return alignment <= alignof(std::max_align_t) ? recycled::Take(bytes)
                                                  : __real_aligned_alloc(alignment, bytes);
}

void __wrap_free(void* piece) {
    recycled::Give(piece);
}
}

void* operator new(size_t bytes) {
    while (true) {
        if (void* const piece = recycled::Take(bytes); piece != nullptr) [[likely]] {
            return piece;
        }
        const std::new_handler handler = std::get_new_handler();
        if (handler == nullptr) {
            throw std::bad_alloc();
        }
        handler();
    }
}

void* operator new[](size_t bytes) {
    return operator new(bytes);
}

void operator delete(void* piece) noexcept {
    recycled::Give(piece);
}

void operator delete[](void* piece) noexcept {
    recycled::Give(piece);
}

void operator delete(void* piece, size_t) noexcept {
    recycled::Give(piece);
}

void operator delete[](void* piece, size_t) noexcept {
    recycled::Give(piece);
}

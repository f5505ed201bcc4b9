#pragma once

#include <cstddef>

// Memory that a thread let go of, kept for its next request.
//
// A request allocates some 150 times, most of it coroutine frames of 0.5 to 3 KB, and lets go of
// all of it. glibc's cache for each thread ends at 1 KB and at seven pieces of a size; what is
// beyond goes through an arena that other threads lock, too, and each piece of more than 1 KB
// sweeps up the small ones first. So the cloud keeps pieces of up to 8 KB by size, in lists that
// belong to the thread alone.
//
// What is kept came from malloc and is malloc's again when a list has enough or the thread ends; so
// it does not matter who allocated or frees a piece.
namespace hearth::recycled {

inline constexpr size_t kPieceBytesMax = 8 * 1024;
// What one thread keeps at most; a burst of 32 requests swings by about as much.
inline constexpr size_t kThreadBytesMax = 512 * 1024;

// As malloc: aligned for anything up to 16 bytes; null when there is no memory.
void* Take(size_t bytes);
// As free: any piece of malloc's, and null.
void Give(void* piece);

// What this thread keeps.
size_t KeptBytes();

}  // namespace hearth::recycled

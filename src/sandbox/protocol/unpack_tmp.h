#pragma once

// The files that a saved runtime had in /tmp (protocol/tmp_archive.h).
namespace hearth::sandbox {

// Unpacks what stands behind the pages of `image` into `directory`, which is /tmp; an image without
// it is fine.
//   returns  0, or the errno of what failed
//
// What it reads is the function's own: nothing is made outside of the directory, and no link is
// followed. Part of hearth-init, so without the C++ library.
int UnpackTmp(int image, int directory);

// How many bytes of `image` are its pages and their description, without what is to be unpacked.
unsigned long long BytesWithoutTmp(int image);

}  // namespace hearth::sandbox

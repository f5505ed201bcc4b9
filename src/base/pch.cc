// The translation unit that owns the precompiled header (src/CMakeLists.txt lists what is in it).

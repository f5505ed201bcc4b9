# Compiler, language level, warnings, sanitizers and job pools, for every target.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF)

# GCC 12 destroys aggregate and capturing-lambda temporaries inside a co_await statement twice.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    message(FATAL_ERROR "GCC older than 13 miscompiles coroutines that Hearth uses; build with clang 19 "
                        "(./dev setup installs it, ./dev build uses it).")
endif()

set(HEARTH_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=")
option(HEARTH_FUZZ "Build the libFuzzer targets" OFF)
option(HEARTH_WERROR "Warnings are errors" OFF)

set(CMAKE_CXX_FLAGS_FAST "-O1 -g1")
set(CMAKE_C_FLAGS_FAST "-O1 -g1")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O0 -g1")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")

if(HEARTH_SANITIZE)
    # -O1 keeps sanitized tests quick enough for the time limit of ./dev test.
    add_compile_options(-fsanitize=${HEARTH_SANITIZE} -fno-omit-frame-pointer -O1)
    add_link_options(-fsanitize=${HEARTH_SANITIZE})
    if(HEARTH_SANITIZE MATCHES "undefined")
        add_compile_options(-fno-sanitize-recover=undefined)
    endif()
endif()
if(HEARTH_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
add_link_options(-fuse-ld=lld -Wl,--gc-sections)
add_compile_options(-ffunction-sections -fdata-sections -Xclang -fno-pch-timestamp)

set_property(GLOBAL PROPERTY JOB_POOLS compile=2 link=1)
set(CMAKE_JOB_POOL_COMPILE compile)
set(CMAKE_JOB_POOL_LINK link)

add_library(hearth_warnings INTERFACE)
target_compile_options(
    hearth_warnings
    INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wconversion
              -Wno-sign-conversion -Wno-missing-field-initializers -Werror=unused-result
              $<$<BOOL:${HEARTH_WERROR}>:-Werror>)

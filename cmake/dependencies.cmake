# Debian bookworm's packages; ./dev setup installs them.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS system json)
find_package(RocksDB REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(LibArchive REQUIRED)
find_package(ZLIB REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(CAP REQUIRED IMPORTED_TARGET libcap)
pkg_check_modules(RE2 REQUIRED IMPORTED_TARGET re2)
pkg_check_modules(TCMALLOC REQUIRED IMPORTED_TARGET libtcmalloc_minimal)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
# The Debian interpreter by full path: a shim of a version manager may be gone in another environment.
set(Python3_EXECUTABLE /usr/bin/python3)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_package(rapidcheck QUIET)

# Asio and Beast are compiled once, in src/http/boost_impl.cc; everybody else sees declarations.
add_library(hearth_asio INTERFACE)
target_compile_definitions(
    hearth_asio INTERFACE BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
                          BOOST_ASIO_HAS_CO_AWAIT)
target_link_libraries(hearth_asio INTERFACE Boost::headers Boost::system Threads::Threads)

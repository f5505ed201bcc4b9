// The reference for small durable writes: threads that each append a record to a file of their own
// and sync it, as fast as they can.
//
//   sync_writers DIRECTORY THREADS RECORD_BYTES SECONDS
//
// Prints the records a second of all threads together.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

int main(int count, char** arguments) {
    if (count != 5) {
        std::fprintf(stderr, "usage: sync_writers DIRECTORY THREADS RECORD_BYTES SECONDS\n");
        return 2;
    }
    const std::string directory = arguments[1];
    const int threads = std::atoi(arguments[2]);
    const std::string record(static_cast<size_t>(std::atoi(arguments[3])), 'x');
    const auto end =
        std::chrono::steady_clock::now() + std::chrono::duration<double>(std::atof(arguments[4]));
    std::atomic<uint64_t> written = 0;
    std::vector<std::thread> running;
    for (int number = 0; number < threads; ++number) {
        running.emplace_back([&, number] {
            const std::string path = directory + "/sync-" + std::to_string(number);
            const int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
            while (std::chrono::steady_clock::now() < end) {
                if (write(fd, record.data(), record.size()) !=
                        static_cast<ssize_t>(record.size()) ||
                    fdatasync(fd) != 0) {
                    std::perror("sync_writers");
                    std::exit(1);
                }
                ++written;
            }
            close(fd);
        });
    }
    for (std::thread& thread : running) {
        thread.join();
    }
    std::printf("%.0f\n", static_cast<double>(written) / std::atof(arguments[4]));
}

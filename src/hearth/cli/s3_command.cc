#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"
#include "hearth/cli/s3_names.h"
#include "os/fd.h"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

// `hearth s3 import DIR BUCKET` and `hearth s3 export BUCKET DIR`: a directory becomes a bucket's
// objects and the other way round, several at a time.
namespace hearth::cli {
namespace {

namespace fs = std::filesystem;

constexpr int kTransfers = 4;
// Larger files go in parts of this size, so that memory stays small.
constexpr uint64_t kPartBytes = 32ull * 1024 * 1024;
constexpr std::chrono::milliseconds kProgressEvery{200};
constexpr size_t kSkippedShown = 20;

struct Names {
    std::string directory;
    std::string bucket;
    std::string prefix;
};

// What was done, counted by all transfers.
class Progress final {
  public:
    explicit Progress(std::string verb) : verb_(std::move(verb)) {
        if (::isatty(STDERR_FILENO) == 1) {
            shower_ = std::thread([this] { Show(); });
        }
    }

    ~Progress() { Stop(); }

    void Done(uint64_t bytes) {
        ++files_;
        bytes_ += bytes;
    }

    // Not an error: it is said at the end.
    void Skip(std::string name, std::string why) {
        const std::lock_guard lock(mutex_);
        skipped_.emplace_back(std::move(name), std::move(why));
    }

    void Fail(const Error& error) {
        const std::lock_guard lock(mutex_);
        if (!failure_) {
            failure_ = error;
        }
        failed_ = true;
    }

    bool failed() const { return failed_; }

    // The line or the JSON at the end, and the exit status.
    Result<int> Report(bool json) {
        Stop();
        if (failure_) {
            return *failure_;
        }
        if (json) {
            codec::Json output;
            output.Set("files", static_cast<int64_t>(files_));
            output.Set("bytes", static_cast<int64_t>(bytes_));
            codec::Json::Array skipped;
            for (const auto& [name, why] : skipped_) {
                codec::Json one;
                one.Set("name", name);
                one.Set("reason", why);
                skipped.push_back(std::move(one));
            }
            output.Set("skipped", codec::Json(std::move(skipped)));
            Print(Pretty(codec::WriteJson(output)) + "\n");
        } else {
            Print(fmt::format("{} {} files, {} bytes\n", verb_, files_.load(), bytes_.load()));
            for (size_t i = 0; i < std::min(skipped_.size(), kSkippedShown); ++i) {
                Print(fmt::format("skipped {}: {}\n", skipped_[i].first, skipped_[i].second));
            }
            if (skipped_.size() > kSkippedShown) {
                Print(fmt::format("... and {} more\n", skipped_.size() - kSkippedShown));
            }
        }
        return 0;
    }

  private:
    void Show() {
        std::unique_lock lock(mutex_);
        while (!stopped_) {
            fmt::print(
                stderr, "\r{} {} files, {} MB ", verb_, files_.load(), bytes_.load() / 1'000'000);
            (void)changed_.wait_for(lock, kProgressEvery);
        }
        fmt::print(stderr, "\r{:60}\r", "");
    }

    void Stop() {
        {
            const std::lock_guard lock(mutex_);
            stopped_ = true;
        }
        changed_.notify_all();
        if (shower_.joinable()) {
            shower_.join();
        }
    }

    const std::string verb_;
    std::atomic<uint64_t> files_ = 0;
    std::atomic<uint64_t> bytes_ = 0;
    std::atomic<bool> failed_ = false;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopped_ = false;
    std::optional<Error> failure_;
    std::vector<std::pair<std::string, std::string>> skipped_;
    std::thread shower_;
};

// Runs `transfer` for what `next` gives until it gives nothing or something failed, on kTransfers
// threads with a connection each.
template <class Item>
void TransferAll(
    const CloudOptions& options,
    Progress& progress,
    const std::function<std::optional<Item>()>& next,
    const std::function<Status(CloudClient&, const Item&)>& transfer) {
    std::mutex mutex;
    std::vector<std::thread> threads;
    for (int i = 0; i < kTransfers; ++i) {
        threads.emplace_back([&] {
            CloudClient cloud(options);
            while (!progress.failed()) {
                std::optional<Item> item;
                {
                    const std::lock_guard lock(mutex);
                    item = next();
                }
                if (!item) {
                    return;
                }
                if (const Status status = transfer(cloud, *item); !status.ok()) {
                    progress.Fail(status.error());
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

std::string EncodedPath(std::string_view key) {
    std::string path;
    while (true) {
        const size_t slash = key.find('/');
        path += Encoded(key.substr(0, slash));
        if (slash == std::string_view::npos) {
            return path;
        }
        path += '/';
        key.remove_prefix(slash + 1);
    }
}

std::string ObjectTarget(const std::string& bucket, std::string_view key) {
    return "/" + bucket + "/" + EncodedPath(key);
}

// Exactly `size` bytes, unless the file is shorter by now.
Result<std::string> ReadPiece(int fd, uint64_t offset, uint64_t size) {
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::pread(
            fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errors::System("cannot read", errno);
        }
        if (got == 0) {
            break;
        }
        done += static_cast<size_t>(got);
    }
    bytes.resize(done);
    return bytes;
}

Status UploadInParts(
    CloudClient& cloud,
    const std::string& target,
    int fd,
    uint64_t size,
    const std::vector<std::pair<std::string, std::string>>& headers) {
    HEARTH_TRY(const auto created, cloud.Rest("s3", "POST", target + "?uploads=", {}, headers));
    size_t at = 0;
    const auto id = Element(created.body, "UploadId", at);
    if (!id) {
        return errors::Malformed("no upload id in the answer");
    }
    const std::string upload(*id);
    // Parts grow with the file, of which there are at most 10,000.
    const uint64_t part_bytes = std::max(kPartBytes, size / 9'000 + 1);
    std::string list = "<CompleteMultipartUpload>";
    const auto send = [&]() -> Status {
        int number = 0;
        for (uint64_t offset = 0; offset < size; offset += part_bytes) {
            ++number;
            HEARTH_TRY(
                const std::string bytes,
                ReadPiece(fd, offset, std::min(part_bytes, size - offset)));
            HEARTH_TRY(
                const auto put,
                cloud.Rest(
                    "s3",
                    "PUT",
                    fmt::format("{}?partNumber={}&uploadId={}", target, number, upload),
                    bytes));
            const std::string* etag = put.Find("etag");
            list += fmt::format(
                "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>",
                number,
                etag == nullptr ? "" : *etag);
        }
        list += "</CompleteMultipartUpload>";
        HEARTH_RETURN_IF_ERROR(cloud.Rest("s3", "POST", target + "?uploadId=" + upload, list));
        return Status();
    };
    const Status sent = send();
    if (!sent.ok()) {
        (void)cloud.Rest("s3", "DELETE", target + "?uploadId=" + upload);
    }
    return sent;
}

Status Upload(CloudClient& cloud, const Names& names, const fs::path& path, Progress& progress) {
    const std::string key =
        names.prefix + path.lexically_relative(names.directory).generic_string();
    const os::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat info{};
    if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
        if (errno == ENOENT) {
            progress.Skip(key, "it went away");
            return Status();
        }
        return errors::System("cannot open " + path.string(), errno);
    }
    const uint64_t size = static_cast<uint64_t>(info.st_size);
    const std::vector<std::pair<std::string, std::string>> headers = {
        {"Content-Type", std::string(ContentTypeOf(key))},
        {"x-amz-meta-mtime", std::to_string(info.st_mtim.tv_sec)}};
    const std::string target = ObjectTarget(names.bucket, key);
    Status sent;
    if (size > kPartBytes) {
        sent = UploadInParts(cloud, target, fd.get(), size, headers);
    } else {
        HEARTH_TRY(const std::string bytes, ReadPiece(fd.get(), 0, size));
        const auto put = cloud.Rest("s3", "PUT", target, bytes, headers);
        sent = put.ok() ? Status() : Status(put.error());
    }
    if (!sent.ok()) {
        return Error(sent.error()).WithContext(key);
    }
    progress.Done(size);
    return Status();
}

Result<int> Import(CloudClient& cloud, const CloudOptions& options, Names names) {
    std::error_code failed;
    names.directory = fs::canonical(names.directory, failed).string();
    if (failed || !fs::is_directory(names.directory)) {
        return errors::Malformed("not a directory: " + names.directory);
    }
    if (auto made = cloud.Rest("s3", "PUT", "/" + names.bucket);
        !made.ok() && !made.error().message().starts_with("BucketAlreadyOwnedByYou")) {
        return std::move(made).error();
    }
    Progress progress("imported");
    fs::recursive_directory_iterator walk(names.directory, failed);
    const auto next = [&]() -> std::optional<fs::path> {
        while (!failed && walk != fs::recursive_directory_iterator()) {
            const fs::directory_entry entry = *walk;
            walk.increment(failed);
            if (entry.is_symlink()) {
                progress.Skip(entry.path().string(), "symbolic links are not followed");
            } else if (entry.is_regular_file()) {
                return entry.path();
            } else if (!entry.is_directory()) {
                progress.Skip(entry.path().string(), "not a file");
            }
        }
        if (failed) {
            progress.Fail(errors::System("cannot walk " + names.directory, failed.value()));
        }
        return std::nullopt;
    };
    TransferAll<fs::path>(
        options, progress, next, [&](CloudClient& connection, const fs::path& path) {
            return Upload(connection, names, path, progress);
        });
    return progress.Report(options.json);
}

// Written beside and renamed, so that a file is whole or not there.
Status Download(
    CloudClient& cloud,
    const Names& names,
    const ListedObjects::Object& object,
    Progress& progress) {
    const auto name = FileOfKey(std::string_view(object.key).substr(names.prefix.size()));
    if (!name) {
        progress.Skip(object.key, "no file can have this name");
        return Status();
    }
    const fs::path path = fs::path(names.directory) / *name;
    std::error_code failed;
    fs::create_directories(path.parent_path(), failed);
    if (failed || fs::is_directory(path)) {
        progress.Skip(object.key, "a file and a directory would have the same name");
        return Status();
    }
    std::string part = path.string();
    part.resize(part.size() - path.filename().string().size());
    part += fmt::format(".hearth-{}-{}", ::getpid(), std::hash<std::string>()(object.key));
    const os::Fd fd(
        ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.valid()) {
        return errors::System("cannot write " + part, errno);
    }
    uint64_t bytes = 0;
    Status written;
    const std::function<bool(std::string_view)> piece = [&](std::string_view text) {
        bytes += text.size();
        while (!text.empty()) {
            const ssize_t put = ::write(fd.get(), text.data(), text.size());
            if (put < 0 && errno == EINTR) {
                continue;
            }
            if (put <= 0) {
                written = errors::System("cannot write " + part, errno);
                return false;
            }
            text.remove_prefix(static_cast<size_t>(put));
        }
        return true;
    };
    const Status got = cloud.RestStream("s3", ObjectTarget(names.bucket, object.key), piece);
    if (!got.ok() || !written.ok()) {
        ::unlink(part.c_str());
        if (!written.ok()) {
            return written;
        }
        if (got.error().message().starts_with("NoSuchKey")) {
            progress.Skip(object.key, "it was deleted meanwhile");
            return Status();
        }
        return Error(got.error()).WithContext(object.key);
    }
    if (::rename(part.c_str(), path.c_str()) != 0) {
        const int error_number = errno;
        ::unlink(part.c_str());
        if (error_number == EISDIR || error_number == ENOTDIR || error_number == EEXIST) {
            progress.Skip(object.key, "a file and a directory would have the same name");
            return Status();
        }
        return errors::System("cannot write " + path.string(), error_number);
    }
    progress.Done(bytes);
    return Status();
}

Result<int> Export(CloudClient& cloud, const CloudOptions& options, Names names) {
    std::error_code failed;
    fs::create_directories(names.directory, failed);
    if (failed) {
        return errors::System("cannot make " + names.directory, failed.value());
    }
    Progress progress("exported");
    ListedObjects page;
    size_t at = 0;
    bool first = true;
    const auto next = [&]() -> std::optional<ListedObjects::Object> {
        while (at == page.objects.size()) {
            if (!first && page.token.empty()) {
                return std::nullopt;
            }
            const auto answer = cloud.Rest(
                "s3",
                "GET",
                fmt::format(
                    "/{}?{}encoding-type=url&list-type=2&prefix={}",
                    names.bucket,
                    page.token.empty() ? "" : "continuation-token=" + Encoded(page.token) + "&",
                    Encoded(names.prefix)));
            if (!answer.ok()) {
                progress.Fail(answer.error());
                return std::nullopt;
            }
            page = ReadListing(answer->body);
            at = 0;
            first = false;
        }
        return page.objects[at++];
    };
    TransferAll<ListedObjects::Object>(
        options, progress, next, [&](CloudClient& connection, const ListedObjects::Object& object) {
            return Download(connection, names, object, progress);
        });
    return progress.Report(options.json);
}

}  // namespace

void AddS3Command(CLI::App* app, int* exit_status) {
    CLI::App* s3 =
        app->add_subcommand("s3", "Directories as buckets and back; what is stored, checked");
    s3->require_subcommand(1);
    auto from = std::make_shared<Names>();
    CLI::App* import = AddCloudCommand(
        s3,
        "import",
        "Put every file below a directory into a bucket, which is made where there is none",
        exit_status,
        [from](CloudClient& cloud, const CloudOptions& options) {
            return Import(cloud, options, *from);
        });
    import->add_option("DIR", from->directory, "The directory")->required();
    import->add_option("BUCKET", from->bucket, "The bucket")->required();
    import->add_option("--prefix", from->prefix, "What keys begin with, such as backup/");
    auto to = std::make_shared<Names>();
    CLI::App* export_command = AddCloudCommand(
        s3,
        "export",
        "Write every object of a bucket into a directory",
        exit_status,
        [to](CloudClient& cloud, const CloudOptions& options) {
            return Export(cloud, options, *to);
        });
    export_command->add_option("BUCKET", to->bucket, "The bucket")->required();
    export_command->add_option("DIR", to->directory, "The directory")->required();
    export_command->add_option("--prefix", to->prefix, "Only keys that begin so, without it");
    AddS3ScrubCommand(s3, exit_status);
}

}  // namespace hearth::cli

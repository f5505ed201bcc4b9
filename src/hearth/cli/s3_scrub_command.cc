#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <unistd.h>

#include <optional>
#include <utility>

// `hearth s3 scrub`: has the cloud read what it stores, and shows what it finds.
namespace hearth::cli {
namespace {

using codec::Json;

struct ScrubOptions {
    std::string bucket;
    bool known = false;
};

std::string Text(const Json& json, const std::string& name) {
    const std::string* text = json.FindString(name);
    return text == nullptr ? std::string() : *text;
}

int64_t Number(const Json& json, const std::string& name) {
    const Json* found = json.Find(name);
    return found != nullptr && found->AsInt() != nullptr ? *found->AsInt() : 0;
}

std::string DamageLine(const Json& damage) {
    return fmt::format(
        "damaged: {}/{} (version {}): {}\n",
        Text(damage, "bucket"),
        Text(damage, "key"),
        Text(damage, "version_id"),
        Text(damage, "what"));
}

// What the background found, and earlier runs of this command.
Result<int> ShowKnown(CloudClient& cloud, const CloudOptions& options, const std::string& target) {
    HEARTH_TRY(const std::string body, cloud.Admin("GET", target));
    HEARTH_TRY(const Json answer, codec::ParseJson(body));
    const int status = Number(answer, "damaged_count") > 0 ? 1 : 0;
    if (options.json) {
        Print(Pretty(body) + "\n");
        return status;
    }
    if (const Json* damaged = answer.Find("damaged");
        damaged != nullptr && damaged->AsArray() != nullptr) {
        for (const Json& one : *damaged->AsArray()) {
            Print(DamageLine(one));
        }
    }
    const std::string finished = Text(answer, "finished");
    Print(fmt::format(
        "{} damaged; {}\n",
        Number(answer, "damaged_count"),
        finished.empty() ? std::string("not everything was looked at yet")
                         : fmt::format(
                               "{} objects, {} bytes looked at until {}",
                               Number(answer, "objects"),
                               Number(answer, "bytes"),
                               finished)));
    return status;
}

Result<int> Scrub(CloudClient& cloud, const CloudOptions& options, const ScrubOptions& scrub) {
    const std::string target =
        "/_hearth/s3/scrub" + (scrub.bucket.empty() ? "" : "?bucket=" + Encoded(scrub.bucket));
    if (scrub.known) {
        return ShowKnown(cloud, options, target);
    }
    const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
    std::string partial;
    Json last;
    Json::Array damaged;
    const auto take = [&](const Json& line) {
        if (const Json* damage = line.Find("damage"); damage != nullptr) {
            damaged.push_back(*damage);
            if (!options.json) {
                Print(DamageLine(*damage));
            }
            return;
        }
        last = line;
        if (on_terminal) {
            fmt::print(
                stderr,
                "\r{} objects, {} MB ",
                Number(line, "objects"),
                Number(line, "bytes") / 1'000'000);
        }
    };
    const std::function<bool(std::string_view)> piece = [&](std::string_view bytes) {
        partial += bytes;
        size_t begin = 0;
        for (size_t end = partial.find('\n'); end != std::string::npos;
             end = partial.find('\n', begin)) {
            if (const auto line = codec::ParseJson(partial.substr(begin, end - begin)); line.ok()) {
                take(*line);
            }
            begin = end + 1;
        }
        partial.erase(0, begin);
        return true;
    };
    HEARTH_RETURN_IF_ERROR(cloud.AdminStream(target, piece, "POST"));
    if (on_terminal) {
        fmt::print(stderr, "\r{:60}\r", "");
    }
    const Json* complete = last.Find("complete");
    if (complete == nullptr || complete->AsBool() == nullptr || !*complete->AsBool()) {
        const std::string why = Text(last, "error");
        return errors::Unavailable(
            "not everything was looked at: " + (why.empty() ? "the cloud went away" : why));
    }
    const int status = damaged.empty() ? 0 : 1;
    if (options.json) {
        last.Set("damaged", Json(std::move(damaged)));
        Print(Pretty(codec::WriteJson(last)) + "\n");
        return status;
    }
    Print(fmt::format(
        "{} objects, {} bytes compared with the disk: {}\n",
        Number(last, "objects"),
        Number(last, "bytes"),
        status == 0 ? std::string("all whole") : fmt::format("{} damaged", damaged.size())));
    if (const int64_t mended = Number(last, "mended"); mended > 0) {
        Print(fmt::format("{} had lost shares on some disks and have them again\n", mended));
    }
    return status;
}

}  // namespace

void AddS3ScrubCommand(CLI::App* s3, int* exit_status) {
    auto scrub = std::make_shared<ScrubOptions>();
    CLI::App* command = AddCloudCommand(
        s3,
        "scrub",
        "Compare what is stored with its check sums now; the status is 1 when something is damaged",
        exit_status,
        [scrub](CloudClient& cloud, const CloudOptions& options) {
            return Scrub(cloud, options, *scrub);
        });
    command->add_option("--bucket", scrub->bucket, "Only this bucket");
    command->add_flag("--known", scrub->known, "Read nothing: show what was found before");
}

}  // namespace hearth::cli

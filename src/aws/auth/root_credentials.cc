#include "aws/auth/root_credentials.h"

#include "aws/auth/access_key_id.h"
#include "base/ids.h"
#include "codec/crypto/private_file.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <string_view>

namespace hearth::aws {
namespace {

// "name = value" of the file's lines; sections and comments are passed over, because it has only
// the one profile.
std::optional<std::string> FindSetting(std::string_view text, std::string_view wanted) {
    while (!text.empty()) {
        const size_t newline = text.find('\n');
        std::string_view line = text.substr(0, newline);
        text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
        const size_t equal_sign = line.find('=');
        if (equal_sign == std::string_view::npos) {
            continue;
        }
        const auto trim = [](std::string_view part) {
            const size_t begin = part.find_first_not_of(" \t\r");
            if (begin == std::string_view::npos) {
                return std::string_view();
            }
            return part.substr(begin, part.find_last_not_of(" \t\r") - begin + 1);
        };
        if (trim(line.substr(0, equal_sign)) == wanted) {
            return std::string(trim(line.substr(equal_sign + 1)));
        }
    }
    return std::nullopt;
}

}  // namespace

Result<RootCredentials> RootCredentials::LoadOrMake(const std::string& path, Random& random) {
    const char* id = std::getenv("HEARTH_ROOT_ACCESS_KEY_ID");
    const char* secret = std::getenv("HEARTH_ROOT_SECRET_ACCESS_KEY");
    const bool has_id = id != nullptr && *id != '\0';
    const bool has_secret = secret != nullptr && *secret != '\0';
    if (has_id != has_secret) {
        return errors::Malformed(
            "HEARTH_ROOT_ACCESS_KEY_ID and HEARTH_ROOT_SECRET_ACCESS_KEY must be set together");
    }
    if (has_id) {
        return RootCredentials{id, secret};
    }
    const auto make = [&random] {
        return fmt::format(
            "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            MakeAccessKeyId(kLongTermKeyPrefix, AccountId(kRootAccount), random),
            MakeSecretAccessKey(random));
    };
    HEARTH_TRY(const std::string text, codec::ReadOrMakePrivateFile(path, make));
    auto file_id = FindSetting(text, "aws_access_key_id");
    auto file_secret = FindSetting(text, "aws_secret_access_key");
    if (!file_id || !file_secret || file_id->empty() || file_secret->empty()) {
        return errors::Malformed(
            path + " has no aws_access_key_id and aws_secret_access_key lines");
    }
    return RootCredentials{*std::move(file_id), *std::move(file_secret)};
}

}  // namespace hearth::aws

#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>
#include <unistd.h>

namespace hearth::cli {

void AddCredentialsCommand(CLI::App* app, int* exit_status) {
    AddCloudCommand(
        app,
        "credentials",
        "Print the root key of this cloud: lines for a shell, or JSON as an AWS credential_process",
        exit_status,
        [](CloudClient& cloud, const CloudOptions& options) -> Result<int> {
            const std::string path = cloud.data() + "/credentials";
            if (::access(path.c_str(), R_OK) != 0) {
                return errors::System(path, errno);
            }
            if (options.json) {
                codec::Json shown;
                shown.Set("Version", 1);
                shown.Set("AccessKeyId", cloud.keys().access_key_id);
                shown.Set("SecretAccessKey", cloud.keys().secret_access_key);
                Print(Pretty(codec::WriteJson(shown)) + "\n");
                return 0;
            }
            Print(fmt::format(
                "export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n"
                "export AWS_DEFAULT_REGION={} AWS_ENDPOINT_URL={}\n",
                cloud.keys().access_key_id,
                cloud.keys().secret_access_key,
                cloud.region(),
                cloud.endpoint()));
            return 0;
        });
}

}  // namespace hearth::cli

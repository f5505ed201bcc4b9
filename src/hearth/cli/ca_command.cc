#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <cerrno>
#include <fstream>
#include <sstream>

namespace hearth::cli {

void AddCaCommand(CLI::App* app, int* exit_status) {
    AddCloudCommand(
        app,
        "ca",
        "Print the certificate authority of `hearth up --tls self`, for AWS_CA_BUNDLE",
        exit_status,
        [](CloudClient& cloud, const CloudOptions& options) -> Result<int> {
            const std::string path = cloud.data() + "/ca.pem";
            std::ifstream file(path);
            if (!file) {
                return errors::System(path + " (made by `hearth up --tls self`)", errno);
            }
            std::ostringstream text;
            text << file.rdbuf();
            if (options.json) {
                codec::Json shown;
                shown.Set("Path", path);
                shown.Set("Certificate", text.str());
                Print(Pretty(codec::WriteJson(shown)) + "\n");
            } else {
                Print(text.str());
            }
            return 0;
        });
}

}  // namespace hearth::cli

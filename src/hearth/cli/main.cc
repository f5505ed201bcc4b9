#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace {

// A program started without descriptors 0-2 would put its first files or sockets there.
void EnsureStdio() {
    for (int fd = 0; fd <= 2; ++fd) {
        if (::fcntl(fd, F_GETFD) < 0) {
            ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
        }
    }
}

}  // namespace

int main(int argc, char** argv) {
    EnsureStdio();
    CLI::App app("Hearth: a serverless cloud for your own machines", "hearth");
    app.require_subcommand(1);
    app.set_version_flag("--version", "hearth " HEARTH_VERSION);
    int exit_status = 0;
    namespace cli = hearth::cli;
    cli::AddUpCommand(&app, &exit_status);
    cli::AddStatusCommand(&app, &exit_status);
    cli::AddFunctionsCommand(&app, &exit_status);
    cli::AddInvokeCommand(&app, &exit_status);
    cli::AddLogsCommand(&app, &exit_status);
    cli::AddDeliveriesCommand(&app, &exit_status);
    cli::AddTopCommand(&app, &exit_status);
    cli::AddDevCommand(&app, &exit_status);
    cli::AddAwsCommand(&app, &exit_status);
    cli::AddCredentialsCommand(&app, &exit_status);
    cli::AddCaCommand(&app, &exit_status);
    cli::AddS3Command(&app, &exit_status);
    cli::AddClockCommand(&app, &exit_status);
    cli::AddImagesCommand(&app, &exit_status);
    cli::AddMicrovmCommand(&app, &exit_status);
    cli::AddCompletionCommand(&app, &exit_status);
    CLI11_PARSE(app, argc, argv);
    return exit_status;
}

#pragma once

#include <CLI/App.hpp>

// Every command of the program, one function each. When its command was chosen, it runs and puts
// the program's exit status into `*exit_status`.
namespace hearth::cli {

void AddUpCommand(CLI::App* app, int* exit_status);
void AddStatusCommand(CLI::App* app, int* exit_status);
void AddFunctionsCommand(CLI::App* app, int* exit_status);
void AddInvokeCommand(CLI::App* app, int* exit_status);
void AddLogsCommand(CLI::App* app, int* exit_status);
void AddDeliveriesCommand(CLI::App* app, int* exit_status);
void AddTopCommand(CLI::App* app, int* exit_status);
void AddDevCommand(CLI::App* app, int* exit_status);
void AddAwsCommand(CLI::App* app, int* exit_status);
void AddCredentialsCommand(CLI::App* app, int* exit_status);
void AddCaCommand(CLI::App* app, int* exit_status);
void AddS3Command(CLI::App* app, int* exit_status);
// Below the command `s3`.
void AddS3ScrubCommand(CLI::App* s3, int* exit_status);
void AddClockCommand(CLI::App* app, int* exit_status);
void AddImagesCommand(CLI::App* app, int* exit_status);
void AddMicrovmCommand(CLI::App* app, int* exit_status);
void AddCompletionCommand(CLI::App* app, int* exit_status);

}  // namespace hearth::cli

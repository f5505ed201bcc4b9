#include "hearth/cli/command.h"
#include "hearth/cli/commands.h"

#include <CLI/CLI.hpp>

namespace hearth::cli {
namespace {

// Words after `hearth COMMAND`, taken from the commands themselves so that they cannot fall behind.
std::string OptionWords(const CLI::App* command) {
    std::vector<std::string> words;
    for (const auto* option : command->get_options()) {
        for (const auto& name : option->get_lnames()) {
            words.push_back("--" + name);
        }
    }
    for (const auto* sub : command->get_subcommands({})) {
        words.push_back(sub->get_name());
    }
    return fmt::format("{}", fmt::join(words, " "));
}

std::string CommandWords(const CLI::App* app) {
    std::vector<std::string> words;
    for (const auto* command : app->get_subcommands({})) {
        words.push_back(command->get_name());
    }
    return fmt::format("{}", fmt::join(words, " "));
}

std::string Bash(const CLI::App* app) {
    std::string text =
        "# Completion of hearth for bash: source <(hearth completion bash)\n"
        "_hearth() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        words=\"" +
        CommandWords(app) +
        "\"\n"
        "    else\n"
        "        case ${COMP_WORDS[1]} in\n";
    for (const auto* command : app->get_subcommands({})) {
        text += fmt::format(
            "            {}) words=\"{}\" ;;\n", command->get_name(), OptionWords(command));
    }
    text +=
        "        esac\n"
        "        case ${COMP_WORDS[1]} in\n"
        "            invoke | logs)\n"
        "                [ \"${word#-}\" = \"$word\" ] && words+=\" $(hearth functions 2>/dev/null "
        "|\n"
        "                    awk 'NR > 1 { print $1 }')\" ;;\n"
        "        esac\n"
        "    fi\n"
        "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
        "}\n"
        "complete -o default -F _hearth hearth\n";
    return text;
}

std::string Zsh(const CLI::App* app) {
    return "#compdef hearth\n# Completion of hearth for zsh: source <(hearth completion zsh)\n"
           "autoload -U +X bashcompinit && bashcompinit\n" +
           Bash(app);
}

std::string Fish(const CLI::App* app) {
    std::string text =
        "# Completion of hearth for fish: hearth completion fish | source\n"
        "complete -c hearth -f\n";
    for (const auto* command : app->get_subcommands({})) {
        text += fmt::format(
            "complete -c hearth -n __fish_use_subcommand -a {} -d '{}'\n",
            command->get_name(),
            command->get_description().substr(0, command->get_description().find_first_of(";:'")));
        for (const auto* option : command->get_options()) {
            for (const auto& name : option->get_lnames()) {
                text += fmt::format(
                    "complete -c hearth -n '__fish_seen_subcommand_from {}' -l {}\n",
                    command->get_name(),
                    name);
            }
        }
    }
    return text;
}

}  // namespace

void AddCompletionCommand(CLI::App* app, int* exit_status) {
    CLI::App* command = app->add_subcommand("completion", "Print a completion script for a shell");
    auto shell = std::make_shared<std::string>();
    command->add_option("SHELL", *shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    command->callback([app, shell, exit_status] {
        Print(*shell == "bash" ? Bash(app) : *shell == "zsh" ? Zsh(app) : Fish(app));
        *exit_status = 0;
    });
}

}  // namespace hearth::cli

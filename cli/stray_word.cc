#include "cli/stray_word.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "engine/base/text.h"

namespace chappe::cli {
namespace {

/// What people who know other schedulers type first.
struct ForeignWord {
  std::string_view theirs;
  std::string_view ours;
};
constexpr ForeignWord kForeignCommands[] = {
    {"status", "show"}, {"list", "runs"},     {"ps", "runs"},    {"clear", "retry"},   {"log", "logs"},
    {"stop", "cancel"}, {"kill", "cancel"},   {"tasks", "show"}, {"approve", "human"}, {"lint", "validate"},
    {"start", "run"},   {"pools", "workers"}, {"next", "plan"},  {"history", "runs"}};
constexpr ForeignWord kForeignOptions[] = {{"--status", "--state"},
                                           {"--conf", "--param"},
                                           {"--parameter", "--param"},
                                           {"--logical-date", "--logical-time"},
                                           {"--exec-date", "--logical-time"},
                                           {"--execution-date", "--logical-time"},
                                           {"--start-date", "--from"},
                                           {"--end-date", "--to"},
                                           {"--dag-id", "--dag"},
                                           {"--format", "--output"},
                                           {"--json", "--output json"},
                                           {"--max-active-runs", "--max-active"},
                                           {"--run-backwards", "--order newest"},
                                           {"--only-tasks", "--tasks"}};

/// Whether `command`, or one that it is part of, takes `option`; more words behind it are its value.
bool takes(const CLI::App* command, std::string_view option) {
  const std::string name(option.substr(0, option.find(' ')));
  for (; command != nullptr; command = command->get_parent()) {
    if (command->get_option_no_throw(name) != nullptr) return true;
  }
  return false;
}

/// The option that was meant, as far as anybody can tell.
std::optional<std::string> meant_option(const CLI::App* command, std::string_view word) {
  const auto foreign = std::ranges::find(kForeignOptions, word, &ForeignWord::theirs);
  if (foreign != std::end(kForeignOptions) && takes(command, foreign->ours)) return std::string(foreign->ours);
  std::vector<std::string> names;
  for (const CLI::App* level = command; level != nullptr; level = level->get_parent()) {
    for (const CLI::Option* option : level->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return word.starts_with("--") ? nearest(word, names) : std::nullopt;
}

/// "--notify-command" as it stands in a file of settings.
std::string setting_of(std::string_view option) {
  std::string key(option.substr(option.find_first_not_of('-')));
  std::ranges::replace(key, '-', '_');
  return key;
}

std::string or_meant(const std::optional<std::string>& meant, std::string_view otherwise) {
  return meant ? fmt::format("; did you mean '{}'?", *meant) : std::string(otherwise);
}

}  // namespace

std::string describe_stray_word(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().back();
  std::vector<std::string> stray = app.remaining(true);
  if (stray.empty()) return "";
  const bool is_option = stray.front().starts_with('-');
  const std::string word = is_option ? stray.front().substr(0, stray.front().find('=')) : stray.front();
  if (is_option && command->get_option_no_throw(word) != nullptr) {
    return fmt::format("'{}' is an option of '{}': give it behind that word", word, command->get_name());
  }
  if (is_option) {
    const std::string refusal = fmt::format("'{}' is not an option of '{}'", word, command->get_name());
    for (const char* daemon : {"scheduler", "worker"}) {
      const bool its = command->get_name() == "standalone" && app.get_subcommand(daemon)->get_option_no_throw(word);
      if (its)
        return fmt::format("{}: write '{}: {{{}: ...}}' into the --config file", refusal, daemon, setting_of(word));
    }
    return refusal + or_meant(meant_option(command, word), "");
  }
  std::vector<std::string> names;
  for (const CLI::App* one : command->get_subcommands({})) names.push_back(one->get_name());
  if (names.empty()) return fmt::format("'{}' is one word too many for '{}'", word, command->get_name());
  const auto foreign = std::ranges::find(kForeignCommands, word, &ForeignWord::theirs);
  const bool is_foreign = command == &app && foreign != std::end(kForeignCommands);
  const auto near = is_foreign ? std::optional(std::string(foreign->ours)) : nearest(word, names);
  return fmt::format("there is no command '{}'{}", word, or_meant(near, "; 'chappe --help' lists them"));
}

}  // namespace chappe::cli

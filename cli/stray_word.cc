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
struct ForeignCommand {
  std::string_view theirs;
  std::string_view ours;
};
constexpr ForeignCommand kForeignCommands[] = {{"status", "show"}, {"list", "runs"},    {"ps", "runs"},
                                               {"clear", "retry"}, {"log", "logs"},     {"stop", "cancel"},
                                               {"kill", "cancel"}, {"approve", "human"}};

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
  if (is_option) return fmt::format("'{}' is not an option of '{}'", word, command->get_name());
  std::vector<std::string> names;
  for (const CLI::App* one : command->get_subcommands({})) names.push_back(one->get_name());
  if (names.empty()) return fmt::format("'{}' is one word too many for '{}'", word, command->get_name());
  const auto foreign = std::ranges::find(kForeignCommands, word, &ForeignCommand::theirs);
  const bool is_foreign = command == &app && foreign != std::end(kForeignCommands);
  const auto near = is_foreign ? std::optional(std::string(foreign->ours)) : nearest(word, names);
  return fmt::format("there is no command '{}'; {}", word,
                     near ? fmt::format("did you mean '{}'?", *near) : "'chappe --help' lists them");
}

}  // namespace chappe::cli

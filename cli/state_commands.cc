#include "cli/state_commands.h"

#include <string>

namespace chappe::cli {
namespace {

CLI::App* add_state_sub(CLI::App& parent, const std::string& name, const std::string& help, StateOptions& options) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->fallthrough();
  CLI::Option* dag = command->add_option("--dag", options.dag, "Of this DAG");
  command->add_option("--namespace", options.namespace_name, "Of all DAGs of this namespace")->excludes(dag);
  return command;
}

}  // namespace

void add_state_commands(CLI::App& app, const Session& session, StateOptions& options, std::function<int()>& command) {
  CLI::App* state = app.add_subcommand("state", "See and set values that outlive runs");
  state->fallthrough();
  state->require_subcommand(1);
  CLI::App* list = add_state_sub(*state, "list", "List them, with their versions", options);
  list->callback([&] { command = [&] { return list_states(session, options); }; });
  CLI::App* get = add_state_sub(*state, "get", "Print one as JSON", options);
  get->add_option("name", options.name, "Its name")->required();
  get->callback([&] { command = [&] { return show_state(session, options); }; });
  CLI::App* set =
      add_state_sub(*state, "set", "Set one; attempts that run and know the earlier value may not any more", options);
  set->add_option("name", options.name, "Its name")->required();
  set->add_option("value", options.value, "JSON, or a text as it stands; null: as if there was none")->required();
  set->add_option("--expect-version", options.expect_version, "Only if it has this version; 0: if there is none")
      ->check(CLI::NonNegativeNumber);
  set->callback([&] { command = [&] { return set_state(session, options); }; });
}

}  // namespace chappe::cli

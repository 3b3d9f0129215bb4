// Values that outlive runs, and which of them a task leaves another of.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "dags/loader/keys.h"
#include "dags/loader/task_reader.h"

namespace chappe {
namespace {

using yaml::Node;

constexpr std::size_t kDefaultBytesMax = std::size_t{64} << 10;

/// As its variable is called.
std::string upper(std::string name) {
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

/// `state: {cursor: {write: next, default: "1970-01-01"}}`. Before all that may name it.
void TaskReader::read_states(WorkSpec& work, const Node& node) {
  if (!node.is_map() || node.members() == 0) {
    complaints_.error(node, fmt::format("'state' is a map of names, such as {{cursor: {{write: next}}}}, not {}",
                                        Reader::shown(node)));
    return;
  }
  if (node.members() > kStatesMax) complaints_.error(node, fmt::format("'state' has more than {} names", kStatesMax));
  std::set<std::string> variables;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < node.members(); ++i) {
    const auto name = reader_.identifier(node.key(i), "state");
    if (!name) continue;
    if (!variables.insert(upper(*name)).second) {
      complaints_.error(node.key(i), fmt::format("two states would be CHAPPE_STATE_{}", upper(*name)));
    }
    StateUse& use = work.states.emplace_back(StateUse{.name = *name, .default_value = {}, .write = {}});
    names.push_back(*name);
    if (!node.value(i).is_null()) read_state(use, node.value(i));
  }
  names_.know_states(std::move(names));
}

void TaskReader::read_state(StateUse& use, const Node& node) {
  if (!reader_.check_keys(node, keys::kState)) return;
  reader_.take_identifier(node, "write", use.write);
  const std::vector<std::string> scopes = {"dag", "namespace"};
  if (const Node* scope = node.find("scope")) {
    if (const auto found = reader_.choice(*scope, "scope", scopes)) use.scope = static_cast<StateUse::Scope>(*found);
  }
  if (const Node* otherwise = node.find("default")) {
    use.default_value = reader_.value(*otherwise).value_or(Value());
    if (to_json(use.default_value).size() > kDefaultBytesMax)
      complaints_.error(*otherwise, "'default' has over 64 KiB");
  }
}

/// Once all of the task is known.
void TaskReader::check_states(const Task& task, const WorkSpec& work, const Node& node) {
  std::vector<std::string> values;
  for (const OutputValue& value : work.values) values.push_back(value.name);
  bool writes = false;
  for (std::size_t i = 0; i < node.members(); ++i) {
    const Node* write = node.value(i).find("write");
    if (write == nullptr) continue;
    writes = true;
    if (std::ranges::find(values, write->text) != values.end()) continue;
    complaints_.error(*write, fmt::format("'write' names an output value of the task, and there is none called '{}'{}",
                                          write->text, Reader::suggestion(write->text, values)));
  }
  if (!writes) return;
  if (task.foreach) {
    complaints_.error(node, "the items of 'foreach' would write one state side by side; let a task behind them do it");
  }
  if (task.cache) {
    complaints_.error(node,
                      "a result that is used again writes no state, so a task that does takes no 'cache'; write "
                      "the state in a task of its own");
  }
}

}  // namespace chappe

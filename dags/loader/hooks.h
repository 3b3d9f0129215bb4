/// \file
/// The keys that hold the hooks of a task, and what hooks without an id are called.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "dags/loader/yaml_tree.h"
#include "engine/model/policies.h"

namespace chappe {

struct HookKey {
  std::string_view key;
  HookEvent event;
  bool of_attempts;  ///< Only of tasks that have attempts on workers.
};
inline constexpr std::array kHookKeys = {
    HookKey{"on_start", HookEvent::kStart, true}, HookKey{"on_retry", HookEvent::kRetry, true},
    HookKey{"on_success", HookEvent::kSuccess, false}, HookKey{"on_failure", HookEvent::kFailure, false},
    HookKey{"on_skipped", HookEvent::kSkipped, false}};

/// "load_on_failure", "load_on_failure_2", ... `position`: among the hooks of the key, from 0.
std::string hook_id(std::string_view task, std::string_view key, std::size_t position);

/// Where the hooks of a task stand: in the task, else in the template that it uses, else in the DAG's `defaults`.
/// nullptr: it has none.
const yaml::Node* find_hooks(const yaml::Node& root, const yaml::Node& task, const HookKey& hook);

/// The task, or the template that it uses, fans out over objects that are listed.
bool lists_objects(const yaml::Node& root, const yaml::Node& task);

}  // namespace chappe

/// \file
/// What a task may ask of the Kubernetes pod that it runs in. All else is the operator's template's to say.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace chappe {

inline constexpr std::size_t kPodNamesMax = 32;  ///< Labels of nodes, and volumes, that a task may name.

/// A volume of the operator's template, by its name, and where the task sees it.
struct PodMount {
  std::string volume;
  std::string path;  ///< Absolute.
  bool read_only = false;
  bool operator==(const PodMount&) const = default;
};

struct PodSpec {
  std::vector<std::pair<std::string, std::string>> node_selector;  ///< Labels of nodes; sorted by name.
  std::vector<PodMount> volumes;
  std::string service_account;  ///< Of the pods' namespace; "": the template's.
  bool operator==(const PodSpec&) const = default;
};

}  // namespace chappe

/// \file
/// Whether a pod keeps to Kubernetes' Pod Security Standard "restricted". Source: "Pod Security Standards" of the
/// Kubernetes documentation, version 1.32: all controls of "baseline" and of "restricted". Pure.
#pragma once

#include <string>
#include <vector>

#include "engine/base/value.h"

namespace chappe::launch {

/// What of the pod the standard forbids, each as "spec.hostNetwork: must not be true"; empty: nothing.
std::vector<std::string> find_violations(const Value& pod);

}  // namespace chappe::launch

/// \file
/// Sidecars of a task, in its pod. Pure.
///
/// Each is an init container that goes on ("native sidecar"): the kubelet starts them in order, each when the one
/// before is ready, then the task's container, and ends them when that one has ended. Kubernetes has had that on by
/// default since 1.29. What one that failed had to say comes with the pod's status.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/model/sidecar.h"

namespace chappe::launch {

inline constexpr std::size_t kSidecarWordsMax = 400;  ///< Bytes of what a sidecar that failed said last.

/// "db,proxy"
std::string names_of(const std::vector<Sidecar>& sidecars);

/// Adds them to a pod's `spec`, behind the init containers that it has. Errors: kInvalidInput: one has the name of
/// another container, or a user that is no number.
Result<void> add_sidecars(ValueMap& spec, const std::vector<Sidecar>& sidecars);

/// Names of those that the pod was made with.
std::vector<std::string> sidecars_of(const Value& pod);

/// Which of them ended before the task's container began, and what it said last; nullopt: none.
std::optional<std::string> failed_sidecar(const Value& pod);
/// The name of one that runs and is not ready; "": there is none.
std::string unready_sidecar(const Value& pod);
/// Whether the init container of this name goes on, be it a task's or the template's.
bool goes_on(const Value& pod, std::string_view name);

}  // namespace chappe::launch

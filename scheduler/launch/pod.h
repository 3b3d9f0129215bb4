/// \file
/// The pod of one attempt: the operator's template, and in it what a task may ask for. Pure.
///
/// The template's container "task", where it has one, is what the task's own container begins as; its other containers
/// run beside it. An init container puts the worker's program where the task's container sees it; there it is the first
/// process, takes its one attempt and leaves. The task's sidecars are Kubernetes' own: init containers that go on
/// (scheduler/launch/pod_sidecars.h). Every pod is held against Kubernetes' "restricted" profile as it will be
/// made, whatever the template and the task say.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "engine/run/events.h"

namespace chappe::launch {

inline constexpr std::string_view kInstallationLabel = "chappe/installation";
inline constexpr std::string_view kAttemptLabel = "chappe/attempt";
inline constexpr std::string_view kRunLabel = "chappe/run";
inline constexpr std::string_view kSidecarsAnnotation = "chappe/sidecars";  ///< Their names, with commas between.
inline constexpr std::string_view kTaskContainer = "task";
inline constexpr std::string_view kWorkerContainer = "chappe-worker";  ///< The init container.

struct PodSettings {
  std::string namespace_name;
  std::string installation;  ///< Tells our pods from those of other schedulers in the namespace.
  Value pod_template;        ///< A Pod, of which metadata and spec count; null: nothing is asked for.
  std::string image;         ///< With the `chappe` command; also of tasks where nothing names another one.
  std::string scheduler;     ///< The endpoint for workers, as pods reach it.
  std::string server_key;    ///< In hex: to Kubernetes "$$" and "$(" in a text mean something.
  std::string object_store;
};

/// Errors: kInvalidInput: the task asks for what the template does not offer, or the pod would not be "restricted".
Result<Value> make_pod(const PodSettings& settings, const PodOrder& order, const std::string& join_key);

/// Whether pods can be made at all. Errors: kInvalidInput: what is wrong with the template.
Result<void> check_template(const PodSettings& settings);

/// What of `text` may stand in the value of a label: at most 63 letters, digits, '-', '_' and '.'.
std::string label_value(std::string_view text);

}  // namespace chappe::launch

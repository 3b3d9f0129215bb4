/// \file
/// The policies of a task, from YAML: retries, resources, fan-out.
#pragma once

#include "dags/loader/names.h"
#include "dags/loader/reader.h"
#include "engine/model/dag.h"

namespace chappe {

inline constexpr std::int64_t kRetryLimitMax = 1000;
RetryPolicy read_retry(Reader& reader, const yaml::Node& node);
InfraRetryPolicy read_infra_retry(Reader& reader, const yaml::Node& node);
/// `worker_selector` and `tolerations` of a task.
Whereabouts read_whereabouts(Reader& reader, const yaml::Node& task);
/// `executor` of a task, and what goes with it. Null: it runs on a worker.
std::shared_ptr<const PodSpec> read_pod(Reader& reader, const yaml::Node& task);
Resources read_resources(Reader& reader, const yaml::Node& node);
AllowFailure read_allow_failure(Reader& reader, const yaml::Node& node);
TriggerRule read_trigger_rule(Reader& reader, const yaml::Node& node);
/// Afterwards call names.enter_task() with the result where it will stay, so that expressions may name the item.
ForEach read_foreach(Reader& reader, Names& names, std::uint32_t task, const yaml::Node& node);

}  // namespace chappe

/// \file
/// Rows of the metadata store as the JSON that clients see. Times are ISO 8601 or null, ids are texts.
#pragma once

#include "engine/ports/meta_reader.h"
#include "engine/run/instances.h"
#include "engine/run/records.h"

namespace chappe::api {

Value time_json(WallTime time);
Value run_json(const RunRow& run);
Value event_json(const TriggerEventRow& event);
Value counts_json(const std::array<std::uint64_t, kTaskStates>& counts);
/// `instances` may be null: then the name is not known, and the index stands for it.
Value task_json(const TaskRow& row, const Instances* instances);
/// The attempts of an instance, newest first.
Value attempts_json(const TaskRow& row, const std::vector<AttemptRow>& earlier);
Value attempt_json(const AttemptRow& row, std::string_view state);
/// The latest attempt of an instance as a row of its own.
AttemptRow latest_attempt(const TaskRow& row);
Value input_json(const InputRow& row);
Value artifact_json(const ArtifactRow& row);
Value value_json(const ValueRow& row);
Value asset_json(const AssetVersion& version);
Value alias_json(const AliasRow& row);
Value audit_json(const AuditEntry& entry);
Value dag_json(const DagVersionRow& row);

/// "image" and "sidecar_images" of an attempt. `images`: as join_images() makes them.
void append_images(ValueMap& out, const std::string& images);

/// {"items": [...], "next": cursor or null}
Value page_json(ValueList items, Value next);

}  // namespace chappe::api

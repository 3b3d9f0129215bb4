/// \file
/// What a run publishes when it has succeeded (`outputs` of the DAG). Private to engine/run.
#pragma once

#include "engine/run/live_run.h"

namespace chappe {

/// {"values": {NAME: VALUE}, "artifacts": {NAME: {"task", "artifact", "attempt", "object", "size_bytes", "sha256",
/// "packed", "asset", "asset_version"}}, "absent": {NAME: why}}. What cannot be had is absent, and fails nothing: the
/// run's work is done. Null: its DAG names no outputs. Requires: its tasks have ended.
Value published_by(const LiveRun& run);

/// The value, of a run that has published; nullptr: there is none.
const Value* published_value(const RunRow& row, std::string_view name);
/// Errors: kNotFound: it publishes no such artifact, with the reason.
Result<const ArtifactRow*> published_artifact(const LiveRun& run, std::string_view name);
/// Why there is no such output: "it is absent: ..."; or that there is none of the name, and which there are.
std::string why_not_published(const LiveRun& run, std::string_view name);

}  // namespace chappe

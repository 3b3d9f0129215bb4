/// \file
/// Lineage as a graph: objects (asset versions and artifacts) and the attempts that read and wrote them, up to the
/// sources and down to everything that was made from them.
#pragma once

#include <cstdint>

#include "engine/base/result.h"
#include "engine/base/value.h"
#include "scheduler/api/context.h"

namespace chappe::api {

struct LineageQuery {
  bool up = true;            ///< What it was made from.
  bool down = true;          ///< What was made from it.
  std::uint32_t depth = 20;  ///< Attempts between the start and what is still shown.
};

inline constexpr std::size_t kLineageNodesMax = 2'000;

/// {"root": id, "nodes": [...], "edges": [{"from": id, "to": id}], "truncated": bool}. An edge points the way the data
/// went. Node ids are "object KEY" and "attempt HEX". Nodes of kind "asset" and "artifact" carry name, size and hash
/// (assets also URI, version and aliases); nodes of kind "attempt" carry run, task, attempt, DAG version, parameters,
/// values and times. Past `kLineageNodesMax` nodes the rest is left out, and said so.
Result<Value> lineage_of(Context& context, const AssetVersion& start, const LineageQuery& query);

}  // namespace chappe::api

/// \file
/// Lineage as a graph: objects (asset versions and artifacts) and the attempts that read and wrote them, up to the
/// sources and down to everything that was made from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

inline constexpr std::size_t kDatasetUsesMax = 200;  ///< Attempts on either side of one dataset.

/// {"root": id, "nodes": [...], "edges": [{"from": id, "to": id}], "truncated": bool}. An edge points the way the data
/// went. Node ids are "object KEY", "dataset URI" and "attempt HEX". Nodes of kind "asset" and "artifact" carry name,
/// size and hash (assets also URI, version and aliases); nodes of kind "attempt" carry run, task, attempt, DAG version,
/// parameters, values and times. Past `kLineageNodesMax` nodes the rest is left out, and said so.
Result<Value> lineage_of(Context& context, const AssetVersion& start, const LineageQuery& query);

/// The same of a dataset outside that tasks declare by this URI; nullopt: none does. Nodes of kind "dataset" carry
/// their URI and nothing else: which state of it was read, nobody knows.
Result<std::optional<Value>> lineage_of_dataset(Context& context, const std::string& uri, const LineageQuery& query);

}  // namespace chappe::api

/// \file
/// What makes a task's result: the key that it is found by when the same is to be done again, and what differs between
/// two of them.
///
///   auto   command, env.NAME, inputs.NAME (hashes of content, not where it lies), outputs, item, version; and params
///          and times, where the command names the variables that hold them
///   expr   key, task, outputs, version
///
/// Pure. A secret's value is no part of a key: its expression is.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/run/live_run.h"

namespace chappe {

using Sha256Hex = std::function<std::string(std::string_view)>;

/// Requires: the task has a `cache`; `work` is what was resolved for this instance.
/// Errors: kInvalidInput: its `key` has no value.
Result<CacheKey> cache_key(const LiveRun& run, std::uint32_t index, const ResolvedWork& work, const Sha256Hex& sha256);

/// Why nothing was found, for people: in what the result that would come nearest differs. `others`: the likeliest
/// first.
std::string told_miss(const CacheParts& parts, std::span<const CacheEntryRow> others);

}  // namespace chappe

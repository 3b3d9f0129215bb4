/// \file
/// How a DAG names an object that Chappe need not have made.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chappe {

inline constexpr std::size_t kObjectNameMax = 1024;  ///< Bytes.

/// "s3://BUCKET/KEY", or KEY: of the configured object store, as `wait: {s3: KEY}` and `foreach: {s3_list: ...}` mean
/// it. Returns what is wrong with `name` ("is empty"); "" for nothing.
std::string object_name_problem(std::string_view name);

}  // namespace chappe

/// \file
/// The canonical form of a DAG file, whose hash is the DAG's version: same meaning, same version.
#pragma once

#include <string>

#include "dags/loader/yaml_tree.h"

namespace chappe {

/// One line of JSON: comments, formatting and quotes gone, aliases written out, keys sorted where their order means
/// nothing. It does mean something, and is kept, in a map of tasks and in whatever a fan-out or a default value holds:
/// instances are numbered by it. The DAG's `tests` are left out. Scalars whose spelling might matter (`0x10`, `True`)
/// stay apart from their values.
std::string canonical_json(const yaml::Node& root);

}  // namespace chappe

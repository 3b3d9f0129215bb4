/// \file
/// Files that DAG files include, from the disk.
#pragma once

#include <filesystem>

#include "dags/loader/loader.h"

namespace chappe {

/// Reads what lies beneath the folder of `dag_file`, wherever links lead: what leads out of the folder is refused.
ReadInclude include_beside(const std::filesystem::path& dag_file);

/// Whether a file may be a DAG file: *.yaml or *.yml. Names that begin with '_' are left to those that include them.
bool is_dag_file(const std::filesystem::path& path);

}  // namespace chappe

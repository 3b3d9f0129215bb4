/// \file
/// Reads the `tests` of a DAG file.
#pragma once

#include <vector>

#include "dags/loader/dag_tests.h"
#include "dags/loader/reader.h"
#include "engine/model/dag.h"

namespace chappe {

/// Complains of every mistake in them. Requires: `dag` is whole, and free of mistakes.
std::vector<DagTest> read_tests(Reader& reader, const Dag& dag, const yaml::Node& node);

}  // namespace chappe

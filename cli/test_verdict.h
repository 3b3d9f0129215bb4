/// \file
/// What a test of a DAG expected, beside what came of its run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/test_bed.h"

namespace chappe::cli {

/// One expectation that did not come true.
struct Finding {
  yaml::Place place;
  std::string message;
  std::string log;  ///< The end of what the task wrote, where that may say why.
};

/// Compares. `read_object`: the bytes under a key. `log`: the end of a task's log.
struct TestEvidence {
  std::function<Result<std::string>(const std::string& key)> read_object;
  std::function<std::string(const std::string& task)> end_of_log;
};
/// All that is not as `test` expects, in the order of the file. `file`: where the DAG is from, with its folder.
std::vector<Finding> judge(const DagFile& file, const DagTest& test, const TestedRun& run,
                           const TestEvidence& evidence);

}  // namespace chappe::cli

/// \file
/// What tasks wrote, for the commands that show it.
#pragma once

#include <cstddef>
#include <string>

#include "cli/api_client.h"

namespace chappe::cli {

std::string run_path(const std::string& run);
std::string log_path(const std::string& run, const std::string& task, const std::string& attempt);

/// The last lines of the first failed task that wrote something. They are most people's next question.
struct TaskLog {
  std::string task;  ///< "": there is none.
  std::string text;
};
TaskLog find_failed_log(ApiClient& client, const std::string& run, std::size_t lines);

}  // namespace chappe::cli

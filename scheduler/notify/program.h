/// \file
/// Runs one program to its end: text to its stdin, nothing back but how it ended.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace chappe::notify {

/// `command`: an absolute path, and arguments. It gets only PATH of the environment, and is killed with all that it
/// started when `time` has passed.
/// Errors: kUnavailable: it ended with another code than 0, or did not end in time; kInvalidInput: it does not start.
Result<void> run_program(const std::vector<std::string>& command, const std::string& input, std::chrono::seconds time);

}  // namespace chappe::notify

/// \file
/// The command line: what may be written, and which command it means.
#pragma once

namespace chappe::cli {

/// Reads the arguments and runs the command. Returns the exit code.
int run_command_line(int argc, const char* const* argv);

}  // namespace chappe::cli

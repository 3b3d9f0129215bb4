// The `chappe` command.
#include <cstdio>
#include <exception>

#include "cli/command_line.h"
#include "cli/exit_code.h"

int main(int argc, char** argv) {
  try {
    return chappe::cli::run_command_line(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chappe: %s\n", error.what());  // A bug, or no memory: what could be foreseen is a Result.
    return chappe::cli::kFailure;
  }
}

// The `chappe-worker` program.
#include <cstdio>
#include <exception>

#include "cli/worker/worker_options.h"

int main(int argc, char** argv) {
  try {
    return chappe::cli::run_worker_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "chappe-worker: %s\n", error.what());
    return 1;
  }
}

/// \file
/// What stands beneath the help of a command: examples of it, which most people read first.
#pragma once

#include <CLI/CLI.hpp>

namespace chappe::cli {

/// Sets the footers of all commands beneath `app`.
void add_examples(CLI::App& app);

}  // namespace chappe::cli

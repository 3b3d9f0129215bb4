/// \file
/// What to say to who types a command or an option that there is not.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace chappe::cli {

/// What is wrong with the first word that nobody took, as it was typed; "": there is none.
std::string describe_stray_word(const CLI::App& app);

}  // namespace chappe::cli

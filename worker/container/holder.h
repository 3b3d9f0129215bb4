/// \file
/// The program of the container that holds the network of a task and its sidecars: hold.c says what it does.
#pragma once

#include <string_view>

namespace chappe::container {

/// Its file: some KiB of ELF for this machine.
std::string_view holder_program();

}  // namespace chappe::container

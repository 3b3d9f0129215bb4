/// \file
/// The daemons' log: lines with time and level on stderr.
#pragma once

#include "engine/ports/log.h"

namespace chappe::cli {

/// Sends the log to stderr from `least` up. Call it before there are threads.
void log_to_stderr(log::Level least);

}  // namespace chappe::cli

/// \file
/// Which part of a list is wanted: the options that all lists with pages have.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "engine/base/result.h"
#include "engine/base/time.h"

namespace chappe::cli {

struct PageOptions {
  std::string since;  ///< A time, or an age; "" for all.
  std::string until;
  std::string after;  ///< `next` of an earlier page.
  std::uint32_t limit = 20;
};

void add_page_options(CLI::App* command, PageOptions& options);

/// "limit=20&since=...". Errors: kInvalidInput.
Result<std::string> page_query(const PageOptions& options, WallTime now);

/// "2026-11-20", "2026-11-20T03:00:00Z", or "7d" for so long ago, in ISO 8601. Errors: kInvalidInput.
Result<std::string> time_or_age(const std::string& text, WallTime now);

}  // namespace chappe::cli

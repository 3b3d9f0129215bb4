/// \file
/// A staged upload of the local store, written down as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/result.h"

namespace chappe::local {

/// `local1 NAME INODE MTIME_NS SIZE IF_ABSENT URI`, between single spaces; the URI is the rest.
/// Inode, time and size name the file itself: by them a repeated complete() knows its own work.
struct Upload {
  std::string name;  ///< In DIR/staging.
  std::uint64_t inode = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t size = 0;
  bool if_absent = false;
  std::string uri;
  bool operator==(const Upload&) const = default;
};

std::string to_text(const Upload& upload);
/// Errors: kInvalidInput: not written by to_text(), or names a file outside of the staging folder.
Result<Upload> parse_upload(std::string_view text);

}  // namespace chappe::local

/// \file
/// Where an object lies in the directory: its key as a relative path, and back.
///
/// Segments stay readable. Only "%" is written "%25", and a segment longer than a file name may be is cut into pieces
/// of nested folders, each but the last ending in a bare "%":
///
///   path    = name *("/" name)
///   segment = *(piece "%/") piece        ; a piece has at most 250 bytes
#pragma once

#include <string>
#include <string_view>

namespace chappe::local {

constexpr std::size_t kPieceBytesMax = 250;  ///< Linux takes 255 bytes a name.

/// Requires: check_object_key(key).
std::string path_of_key(std::string_view key);
/// The text of one name in a folder; a piece that goes on loses its "%".
std::string text_of_name(std::string_view name);
/// Whether the name is a folder that holds the rest of a long segment.
bool goes_on(std::string_view name);

}  // namespace chappe::local

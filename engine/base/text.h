/// \file
/// Text from outside: people's spelling, UTF-8, and what may be shown of it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace chappe {

/// The candidate that a person most likely meant: the smallest edit distance (a swap counts one), at most a third of
/// the longer word; nullopt when nothing is that near. Cost: O(candidates * length^2).
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> candidates);

/// True for `[A-Za-z_][A-Za-z0-9_]*` up to 200 characters: what a task, a parameter or an artifact may be called.
bool is_identifier(std::string_view text);

bool is_sha256(std::string_view text);  ///< 64 hex digits, of either case.

/// Bytes of the well-formed UTF-8 sequence (RFC 3629: no surrogates, shortest form) at the front; 0 where there is
/// none. Requires: not empty.
std::size_t character_length(std::string_view text);
bool is_utf8(std::string_view text);

/// One line that a terminal shows as it is: control characters but the tab, those of Latin-1 (U+0080 to U+009F) among
/// them, and bytes that are no UTF-8 become `\xHH`. So no text can forge a line or drive a terminal.
std::string printable(std::string_view text);

/// Whether the whole of `text` is as `pattern` says: `*` stands for any characters, also none, `?` for one; all others
/// for themselves. Cost: O(pattern * text).
bool matches_pattern(std::string_view text, std::string_view pattern);

}  // namespace chappe

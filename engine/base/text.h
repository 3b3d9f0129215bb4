/// \file
/// Help with people's spelling.
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

}  // namespace chappe

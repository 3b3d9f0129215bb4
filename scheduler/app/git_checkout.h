/// \file
/// The git checkout that a folder stands in, as far as its files say what is checked out: no git is needed for it.
///
/// Read are HEAD, the branch that it names (a file of its own, or a line of packed-refs), and the `.git` file of a
/// worktree. What git keeps in reftables is not known: then there is no commit.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace chappe {

struct GitCheckout {
  std::filesystem::path directory;  ///< Of this checkout: HEAD and index are there.
  std::filesystem::path shared;     ///< Of all worktrees: branches are there. Often the same.

  /// 40 or 64 hex digits; "" where it cannot be told.
  std::string commit() const;
  /// git is at work on the files: what they say now may be half of it.
  bool is_changing() const;
  /// Whose change tells of another commit.
  std::vector<std::filesystem::path> folders() const;
};

/// Of the folder or one above it, links followed; nullopt: there is none.
std::optional<GitCheckout> find_git_checkout(const std::filesystem::path& folder);

/// Folders in which a symbolic link stands that is a part of the way to `path`: who changes one of these links changes
/// what `path` is. Links to links, too.
std::vector<std::filesystem::path> folders_of_links(const std::filesystem::path& path);

}  // namespace chappe

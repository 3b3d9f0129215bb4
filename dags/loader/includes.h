/// \file
/// A DAG file and the files that it includes: read, and put together as one tree whose nodes know their file.
///
/// Maps are merged, whatever their depth; lists of tasks and of `notify` are put one behind the other, what is included
/// first; of anything else the file that includes wins, and of two that are included the later one.
///
/// A DAG that includes files is kept and sent as one text, a bundle, so that it can be read again without them:
///
///   bundle = "#chappe-bundle 1" LF, then for each file, the DAG file first:
///            "#chappe-file " BYTES " " PATH LF  TEXT  LF          PATH of the DAG file: "-"
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dags/loader/complaints.h"
#include "dags/loader/loader.h"
#include "dags/loader/yaml_tree.h"

namespace chappe {

inline constexpr std::size_t kIncludesMax = 100;     ///< Files that one DAG includes.
inline constexpr std::size_t kIncludeDepthMax = 10;  ///< Files that include each other, one beneath the other.

struct DagSources {
  struct File {
    std::string path;  ///< Beneath the folder of the DAG file; "" for that file.
    std::string name;  ///< For people.
    std::string text;
  };
  std::deque<File> files;
  std::deque<yaml::Tree> trees;       ///< In step with `files`.
  const yaml::Node* root = nullptr;   ///< Of the whole; nullptr where the DAG file holds nothing.
  std::vector<std::string> included;  ///< Paths that were asked for, also in vain.

  /// The file's own text where it includes none.
  std::string bundle() const;
};

/// `read`: may be empty; a bundle has its files in it.
DagSources read_sources(Complaints& complaints, std::string_view text, std::string_view file, const ReadInclude& read);

}  // namespace chappe

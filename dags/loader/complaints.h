/// \file
/// Collects what is wrong with a file, each with its place.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "dags/loader/loader.h"
#include "dags/loader/yaml_tree.h"

namespace chappe {

inline constexpr std::size_t kComplaintsMax = 100;

class Complaints {
 public:
  /// Both must outlive this.
  Complaints(std::string_view text, std::string_view file) { add_file(text, file); }
  /// One that the DAG file includes: places count them from 1. As above.
  void add_file(std::string_view text, std::string_view file) { files_.push_back({text, std::string(file), {}}); }

  /// What places of the DAG file itself are in, where that came with others. As above.
  void set_text(std::string_view text) { files_.front().text = text; }

  void error(yaml::Place place, std::string message) { add(place, std::move(message), false); }
  void error(const yaml::Node& node, std::string message) { add(node.place, std::move(message), false); }
  /// `offset` bytes into the text of a scalar.
  void error(const yaml::Node& scalar, std::size_t offset, std::string message);
  void warn(const yaml::Node& node, std::string message) { add(node.place, std::move(message), true); }
  void warn(const yaml::Node& scalar, std::size_t offset, std::string message);

  /// "line 3" for a complaint about a place in the same file, else "line 3 of FILE".
  std::string told(yaml::Place place, yaml::Place from) const;

  bool failed() const { return errors_ > 0; }
  std::size_t errors() const { return errors_; }  ///< Repeated ones counted each time.
  /// In the order of the file, each once, at most kComplaintsMax.
  std::vector<Diagnostic> take();

 private:
  void add(yaml::Place place, std::string message, bool warning);
  yaml::Place place_in(const yaml::Node& scalar, std::size_t offset);
  std::string_view line(yaml::Place place);

  struct File {
    std::string_view text;
    std::string name;
    std::vector<std::size_t> line_starts;  ///< Made when it is first needed.
  };
  struct Found {
    std::uint16_t file = 0;
    Diagnostic what;
  };
  struct Before {
    bool operator()(const Found& a, const Found& b) const;
  };
  std::vector<File> files_;
  std::set<Found, Before> found_;  ///< A mistake in `defaults` comes once for each task, and is kept once.
  std::size_t errors_ = 0;
};

}  // namespace chappe

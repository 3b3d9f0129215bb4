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
  Complaints(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  void error(yaml::Place place, std::string message) { add(place, std::move(message), false); }
  void error(const yaml::Node& node, std::string message) { add(node.place, std::move(message), false); }
  /// `offset` bytes into the text of a scalar.
  void error(const yaml::Node& scalar, std::size_t offset, std::string message);
  void warn(const yaml::Node& node, std::string message) { add(node.place, std::move(message), true); }
  void warn(const yaml::Node& scalar, std::size_t offset, std::string message);

  bool failed() const { return errors_ > 0; }
  std::size_t errors() const { return errors_; }  ///< Repeated ones counted each time.
  /// In the order of the file, each once, at most kComplaintsMax.
  std::vector<Diagnostic> take();

 private:
  void add(yaml::Place place, std::string message, bool warning);
  yaml::Place place_in(const yaml::Node& scalar, std::size_t offset);
  std::string_view line(std::uint32_t number);

  std::string_view text_;
  std::string_view file_;
  struct Before {
    bool operator()(const Diagnostic& a, const Diagnostic& b) const;
  };
  std::set<Diagnostic, Before> found_;    ///< A mistake in `defaults` comes once for each task, and is kept once.
  std::vector<std::size_t> line_starts_;  ///< Made when it is first needed.
  std::size_t errors_ = 0;
};

}  // namespace chappe

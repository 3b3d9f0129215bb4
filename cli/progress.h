/// \file
/// A run's progress as a person sees it: at a terminal a block that is redrawn, in a pipe one line a change.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/output.h"
#include "engine/base/value.h"

namespace chappe::cli {

/// What is known of the run by now, fed by the lines of the API's watch stream.
class Progress {
 public:
  explicit Progress(const Output& output) : output_(output) {}

  /// Takes in one line of the stream. In a pipe, prints what changed.
  void update(const Value& line);
  /// At a terminal: draws the block anew, at most every 100 ms unless `now_please`.
  void draw(bool now_please = false);
  /// A line above the block, for good.
  void say(const std::string& text);

  const Value& run() const { return run_; }
  bool is_over() const;
  std::string state() const { return text_of(run_, "state"); }

  /// The block as lines, for `rows` rows and `columns` columns of a terminal. Pure.
  std::vector<std::string> block(std::size_t rows, std::size_t columns, WallTime now) const;

 private:
  void print_turn();  ///< Of the run.
  void print_change(const Value& task);
  std::string task_line(const Value& task, std::size_t name_width, WallTime now) const;
  std::string summary_line(WallTime now) const;
  void erase();

  Output output_;
  Value run_;
  Value counts_;
  std::map<std::int64_t, Value> tasks_;  ///< By index.
  std::size_t drawn_lines_ = 0;
  std::chrono::steady_clock::time_point drawn_at_{};
};

}  // namespace chappe::cli

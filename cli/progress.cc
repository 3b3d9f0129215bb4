#include "cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace chappe::cli {
namespace {

constexpr std::chrono::milliseconds kRedrawRest{100};
constexpr std::size_t kNameWidthMax = 40;

struct TerminalSize {
  std::size_t rows = 24, columns = 80;
};

TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {size.ws_row, size.ws_col};
}

/// Cuts a line to the terminal's width; colours take no room and are always closed.
std::string cut(const std::string& line, std::size_t columns) {
  std::string out;
  std::size_t width = 0;
  bool in_colour = false;
  bool coloured = false;
  for (const char c : line) {
    if (c == '\x1b') in_colour = coloured = true;
    const bool begins = !in_colour && (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    if (begins && ++width > columns) break;
    out += c;
    if (in_colour && c == 'm') in_colour = false;
  }
  if (coloured) out += "\x1b[0m";
  return out;
}

/// What a person looks for first, where not everything can be shown.
int rank(const Value& task) {
  const std::string state = text_of(task, "state");
  if (state == "failed") return 0;
  if (state == "running" || state == "committing") return 1;
  if (state == "up_for_retry" || state == "waiting") return 2;
  if (state == "queued") return 3;
  if (state == "scheduled") return 4;
  return state == "none" ? 6 : 5;
}

std::string attempt_of(const Value& task) {
  const std::int64_t number = number_of(task, "attempt_no");
  return number > 1 ? fmt::format("attempt {}", number) : std::string();
}

}  // namespace

bool Progress::is_over() const {
  const std::string now = state();
  return now == "success" || now == "failed" || now == "cancelled";
}

void Progress::update(const Value& line) {
  if (const Value* counts = line.find("counts")) counts_ = *counts;
  const Value* run = line.find("run");
  const bool turned = run != nullptr && text_of(*run, "state") != state();
  if (run != nullptr) run_ = *run;
  if (turned && !is_over()) print_turn();  // It begins before its tasks do, and ends after them.
  for (const Value& task : list_of(line, "tasks")) {
    Value& known = tasks_[number_of(task, "index")];
    const bool news = text_of(known, "state") != text_of(task, "state") ||
                      number_of(known, "attempt_no") != number_of(task, "attempt_no");
    known = task;
    if (news && !output_.live) print_change(task);
  }
  if (turned && is_over()) print_turn();
}

void Progress::print_turn() {
  if (!output_.live) say(fmt::format("run {} {}", text_of(run_, "id"), coloured_state(state(), output_.colour_err)));
}

void Progress::print_change(const Value& task) {
  const std::string state_name = text_of(task, "state");
  if (state_name == "none" || state_name == "scheduled" || state_name == "queued") return;
  std::string line =
      fmt::format("{} {}", printable(text_of(task, "name")), coloured_state(state_name, output_.colour_err));
  for (const std::string& more : {attempt_of(task), reason_of(task)}) {
    if (!more.empty()) line += ", " + more;
  }
  const Value* ended = task.find("ended_at");
  if (ended != nullptr && !ended->is_null()) {
    const std::string took = duration_between(task.find("started_at"), ended, wall_now());
    if (!took.empty()) line += " " + faint("(" + took + ")", output_.colour_err);
  }
  say(line);
}

std::string Progress::task_line(const Value& task, std::size_t name_width, WallTime now) const {
  const std::string name = printable(text_of(task, "name"));
  const std::string state_name = text_of(task, "state");
  const std::string took = duration_between(task.find("started_at"), task.find("ended_at"), now);
  std::string line = "  " + name;
  line.append(name_width > name.size() ? name_width - name.size() : 0, ' ');
  line += "  " + coloured_state(state_name, output_.colour_err);
  line.append(state_name.size() < 15 ? 15 - state_name.size() : 0, ' ');
  line += fmt::format("  {:>7}", state_name == "none" ? "" : took);
  for (const std::string& more : {attempt_of(task), reason_of(task)}) {
    if (!more.empty()) line += "  " + more;
  }
  return line;
}

std::string Progress::summary_line(WallTime now) const {
  std::string line = fmt::format("{} {} {}", bold(printable(text_of(run_, "dag")), output_.colour_err),
                                 text_of(run_, "id"), coloured_state(state(), output_.colour_err));
  line += " " + duration_between(run_.find("created_at"), run_.find("ended_at"), now);
  const std::string counts = told_counts(counts_, "  ", output_.colour_err);
  return counts.empty() ? line : line + "   " + counts;
}

std::vector<std::string> Progress::block(std::size_t rows, std::size_t columns, WallTime now) const {
  std::vector<const Value*> shown;
  for (const auto& [index, task] : tasks_) shown.push_back(&task);
  const std::size_t room = rows > 4 ? rows - 3 : 1;
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(number_of(run_, "task_count"), 0));
  const bool all = shown.size() <= room && count <= room;
  if (!all) {
    std::ranges::stable_sort(shown, {}, [](const Value* task) { return rank(*task); });
    shown.resize(std::min(shown.size(), room));
    std::erase_if(shown, [](const Value* task) { return rank(*task) >= 4; });
  }
  std::size_t width = 0;
  for (const Value* task : shown) width = std::max(width, printable(text_of(*task, "name")).size());
  std::vector<std::string> lines{cut(summary_line(now), columns)};
  for (const Value* task : shown) lines.push_back(cut(task_line(*task, std::min(width, kNameWidthMax), now), columns));
  return lines;
}

void Progress::draw(bool now_please) {
  if (!output_.live || run_.is_null()) return;
  const auto now = std::chrono::steady_clock::now();
  if (!now_please && now - drawn_at_ < kRedrawRest) return;
  drawn_at_ = now;
  const TerminalSize size = terminal_size();
  std::string out = drawn_lines_ > 0 ? fmt::format("\x1b[{}F", drawn_lines_) : "";
  const auto lines = block(size.rows, size.columns, wall_now());
  for (const std::string& line : lines) out += line + "\x1b[K\n";
  out += "\x1b[J";
  drawn_lines_ = lines.size();
  (void)std::fwrite(out.data(), 1, out.size(), stderr);
}

void Progress::erase() {
  if (drawn_lines_ == 0) return;
  fmt::print(stderr, "\x1b[{}F\x1b[J", drawn_lines_);
  drawn_lines_ = 0;
}

void Progress::say(const std::string& text) {
  erase();
  fmt::print(stderr, "{}\n", text);
  draw(true);
}

}  // namespace chappe::cli

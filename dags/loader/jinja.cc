#include "dags/loader/jinja.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace chappe {
namespace {

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";

/// Airflow's names, and the expression that comes nearest.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kOfAirflow = {{
    {"ds", "run.date"},
    {"ds_nodash", "replace(run.date, '-', '')"},
    {"ts", "run.logical_time"},
    {"logical_date", "run.logical_time"},
    {"execution_date", "run.logical_time"},
    {"data_interval_start", "run.interval_start"},
    {"data_interval_end", "run.interval_end"},
    {"run_id", "run.id"},
    {"dag_run", "run.id"},
    {"task_instance", "tasks.ID.outputs.NAME"},
    {"ti", "tasks.ID.outputs.NAME"},
    {"macros", "run.date"},
}};

/// The expression to write for a name; "" for a name that is neither Airflow's nor ours.
std::string expression_for(std::string_view name) {
  const std::string_view root = name.substr(0, name.find('.'));
  for (const auto& [theirs, ours] : kOfAirflow) {
    if (root == theirs) return std::string(ours);
  }
  const bool member = root.size() < name.size();
  if (name == "item" || (member && (root == "params" || root == "run" || root == "tasks" || root == "item"))) {
    return std::string(name);
  }
  return "";
}

std::string remedy(const std::string& expression, bool in_script) {
  const std::string written = fmt::format("${{{{ {} }}}}", expression);
  if (!in_script || expression.find("run.") != std::string::npos) return fmt::format("write {}", written);
  return fmt::format("pass it through env: {{VALUE: \"{}\"}}, and write \"$VALUE\"", written);
}

}  // namespace

std::vector<Jinja> find_jinja(std::string_view text, bool in_script) {
  constexpr std::size_t kShownMax = 60;
  constexpr std::size_t kFoundMax = 20;  ///< Of one text; who mends these sees the next.
  std::vector<Jinja> out;
  std::size_t close = 0;
  for (std::size_t at = 0; out.size() < kFoundMax && (at = text.find("{{", at)) != std::string_view::npos;) {
    if (close < at + 2) close = text.find("}}", at + 2);
    if (close == std::string_view::npos) break;
    const std::size_t start = text.find_first_not_of(" -", at + 2);
    const std::string_view name = text.substr(start, text.find_first_not_of(kNameCharacters, start) - start);
    const bool ours = at > 0 && text[at - 1] == '$';  // An expression, or one that is escaped.
    if (const std::string expression = expression_for(name); !ours && !expression.empty()) {
      const std::string_view shown = text.substr(at, std::min(close + 2 - at, kShownMax));
      out.push_back({at, fmt::format("'{}' is no expression here: {}", shown, remedy(expression, in_script))});
    }
    at = ours ? close + 2 : at + 2;
  }
  return out;
}

}  // namespace chappe

#include "dags/loader/jinja.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace chappe {
namespace {

constexpr std::string_view kNameCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.";

using Word = std::pair<std::string_view, std::string_view>;

/// Names of Airflow and Argo, and the expression that comes nearest. A longer name stands before its beginning.
constexpr std::array<Word, 20> kForeign = {{
    {"ds", "run.date"},
    {"ds_nodash", "replace(run.date, '-', '')"},
    {"ts", "run.logical_time"},
    {"logical_date", "run.logical_time"},
    {"execution_date", "run.logical_time"},
    {"data_interval_start", "run.interval_start"},
    {"data_interval_end", "run.interval_end"},
    {"prev_ds", "run.interval_start"},
    {"prev_execution_date", "run.interval_start"},
    {"run_id", "run.id"},
    {"dag_run.conf", "params.NAME"},
    {"dag_run.logical_date", "run.logical_time"},
    {"dag_run", "run.id"},
    {"task_instance", "tasks.ID.outputs.NAME"},
    {"ti", "tasks.ID.outputs.NAME"},
    {"inputs.parameters", "params.NAME"},
    {"workflow.parameters", "params.NAME"},
    {"workflow.name", "run.id"},
    {"workflow.uid", "run.id"},
    {"steps", "tasks.ID.outputs.NAME"},
}};

/// What no expression stands for.
constexpr std::array<Word, 6> kNoExpression = {{
    {"macros", "the task reckons with times itself, such as by: date -d \"$CHAPPE_LOGICAL_TIME - 1 day\" +%F"},
    {"ts_nodash", "the task writes times as it likes, such as by: date -d \"$CHAPPE_LOGICAL_TIME\" +%Y%m%dT%H%M%S"},
    {"next_ds", "the task reckons with times itself, such as by: date -d \"$CHAPPE_LOGICAL_TIME + 1 day\" +%F"},
    {"var.value", "use 'params', 'env' or 'state'"},
    {"var.json", "use 'params', 'env' or 'state'"},
    {"conn", "use 'secrets'"},
}};

/// Whether `name` is `word`, or begins with it: "ti" and "ti.xcom_pull".
bool begins(std::string_view name, std::string_view word) {
  return name.starts_with(word) && (name.size() == word.size() || name[word.size()] == '.');
}

std::string remedy(const std::string& expression, bool in_script) {
  const std::string written = fmt::format("${{{{ {} }}}}", expression);
  if (!in_script || expression.find("run.") != std::string::npos) return fmt::format("write {}", written);
  return fmt::format("pass it through env: {{VALUE: \"{}\"}}, and write \"$VALUE\"", written);
}

/// What to do about a name; "" for one that is neither theirs nor ours.
std::string remedy_for(std::string_view name, bool in_script) {
  for (const auto& [theirs, instead] : kNoExpression) {
    if (begins(name, theirs)) return std::string(instead);
  }
  for (const auto& [theirs, ours] : kForeign) {
    if (begins(name, theirs)) return remedy(std::string(ours), in_script);
  }
  const std::string_view root = name.substr(0, name.find('.'));
  const bool member = root.size() < name.size();
  if (name == "item" || (member && (root == "params" || root == "run" || root == "tasks" || root == "item"))) {
    return remedy(std::string(name), in_script);
  }
  return "";
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
    if (const std::string told = ours ? "" : remedy_for(name, in_script); !told.empty()) {
      const std::string_view shown = text.substr(at, std::min(close + 2 - at, kShownMax));
      out.push_back({at, fmt::format("'{}' is no expression here: {}", shown, told)});
    }
    at = ours ? close + 2 : at + 2;
  }
  return out;
}

}  // namespace chappe

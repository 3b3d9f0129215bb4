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
constexpr std::array<Word, 31> kForeign = {{
    {"ds", "run.date"},
    {"ds_nodash", "strftime(run.date, '%Y%m%d')"},
    {"ts", "run.logical_time"},
    {"ts_nodash", "strftime(run.logical_time, '%Y%m%dT%H%M%S')"},
    {"ts_nodash_with_tz", "strftime(run.logical_time, '%Y%m%dT%H%M%S%z')"},
    {"logical_date", "run.logical_time"},
    {"execution_date", "run.logical_time"},
    {"data_interval_start", "run.interval_start"},
    {"data_interval_end", "run.interval_end"},
    {"prev_ds", "date_add(run.date, -1, 'day')"},
    {"next_ds", "date_add(run.date, 1, 'day')"},
    {"yesterday_ds", "date_add(run.date, -1, 'day')"},
    {"tomorrow_ds", "date_add(run.date, 1, 'day')"},
    {"prev_execution_date", "run.interval_start"},
    {"macros.ds_add", "date_add(run.date, -7, 'days')"},
    {"macros.ds_format", "strftime(strptime(params.NAME, '%d.%m.%Y'), '%Y-%m-%d')"},
    {"macros.timedelta", "date_add(run.logical_time, -1, 'hour')"},
    {"macros.datetime", "strftime(run.logical_time, '%Y-%m-%d')"},
    {"macros.dateutil", "date_add(run.date, -1, 'month')"},
    {"run_id", "run.id"},
    {"dag_run.conf", "params.NAME"},
    {"dag_run.logical_date", "run.logical_time"},
    {"dag_run", "run.id"},
    {"task_instance", "tasks.ID.outputs.NAME"},
    {"ti", "tasks.ID.outputs.NAME"},
    {"inputs.parameters", "params.NAME"},
    {"workflow.parameters", "params.NAME"},
    {"workflow.creationTimestamp", "strftime(run.logical_time, '%Y-%m-%d')"},
    {"workflow.name", "run.id"},
    {"workflow.uid", "run.id"},
    {"steps", "tasks.ID.outputs.NAME"},
}};

/// Methods of Airflow's times, and what they are here.
constexpr std::array<Word, 9> kMethods = {{
    {".strftime", "strftime({}, '%Y-%m-%d')"},
    {".format", "strftime({}, '%Y-%m-%d')"},
    {".add", "date_add({}, 1, 'day')"},
    {".subtract", "date_add({}, -1, 'day')"},
    {".start_of", "start_of({}, 'month')"},
    {".end_of", "end_of({}, 'month')"},
    {".in_timezone", "in_zone({}, 'Europe/Paris')"},
    {".in_tz", "in_zone({}, 'Europe/Paris')"},
    {".date", "date({})"},
}};

/// What no expression stands for.
constexpr std::array<Word, 4> kNoExpression = {{
    {"macros",
     "there are date_add(), date_diff(), start_of(), strftime() and others, as in ${{ date_add(run.date, -7, 'days') "
     "}}"},
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

/// The expression, or what a method of Airflow's does with it.
std::string of_method(std::string_view method, std::string_view expression) {
  const auto known = std::ranges::find(kMethods, method, &Word::first);
  if (known == kMethods.end() || !expression.starts_with("run.")) return std::string(expression);
  std::string out(known->second);
  return out.replace(out.find("{}"), 2, expression);
}

/// What to do about a name; "" for one that is neither theirs nor ours.
std::string remedy_for(std::string_view name, bool in_script) {
  for (const auto& [theirs, ours] : kForeign) {
    if (begins(name, theirs)) return remedy(of_method(name.substr(theirs.size()), ours), in_script);
  }
  for (const auto& [theirs, instead] : kNoExpression) {
    if (begins(name, theirs)) return std::string(instead);
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

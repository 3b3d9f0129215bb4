// Tasks that wait: for a time, for data, for a person.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "dags/loader/keys.h"
#include "dags/loader/read_dag.h"
#include "dags/loader/task_reader.h"

namespace chappe {
namespace {

using yaml::Node;
using For = WaitSpec::For;

struct Target {
  std::string_view key;
  For what;
};
constexpr std::array kTargets = {Target{"until", For::kTime},  Target{"for", For::kDuration},
                                 Target{"asset", For::kAsset}, Target{"s3", For::kObject},
                                 Target{"file", For::kFile},   Target{"http", For::kHttp}};
constexpr auto kEveryMin = std::chrono::seconds(1);
constexpr auto kEveryMax = std::chrono::hours(24);

bool is_looked_at(For what) { return what == For::kObject || what == For::kFile || what == For::kHttp; }

/// What is wrong with a target that holds no expression; "" for nothing.
std::string target_problem(For what, const std::string& text) {
  if (text.empty()) return "is empty";
  if (what == For::kTime) {
    const auto time = parse_iso8601(text);
    return time ? "" : fmt::format("needs a time such as 2026-11-20T06:00:00Z: {}", time.error().message);
  }
  if (what == For::kAsset && text.find('@') != std::string::npos) {
    return "waits for an asset itself, not for an alias of it: leave '@' out";
  }
  if (what == For::kFile && !text.starts_with('/')) return "needs a path that begins with '/'";
  if (what == For::kHttp && !text.starts_with("http://") && !text.starts_with("https://")) {
    return "needs a URL that begins with http:// or https://";
  }
  if (what == For::kObject && text.starts_with('/')) return "needs a key; it must not begin with '/'";
  return "";
}

}  // namespace

void TaskReader::read_wait(Task& task, const Node& node) {
  auto spec = std::make_shared<WaitSpec>();
  if (!reader_.check_keys(node, keys::kWait)) return;
  std::vector<std::string_view> found;
  for (const Target& target : kTargets) {
    if (node.find(target.key) == nullptr) continue;
    found.push_back(target.key);
    spec->what = target.what;
  }
  if (found.size() != 1) {
    complaints_.error(node, found.empty() ? "'wait' needs one of until, for, asset, s3, file and http"
                                          : fmt::format("one wait is for one thing only, not for {}; a task can depend "
                                                        "on several waits",
                                                        fmt::join(found, " and ")));
    return;
  }
  read_wait_target(*spec, *node.find(found[0]), found[0]);
  if (const Node* newer = node.find("newer_than")) {
    if (spec->what != For::kAsset) complaints_.error(*newer, "'newer_than' goes with 'asset'");
    if (auto text = names_.parse_template(*newer, site::kWait, "newer_than")) spec->newer_than = std::move(*text);
    const bool literal = spec->newer_than.is_literal() && !spec->newer_than.text().empty();
    const bool number = std::ranges::all_of(spec->newer_than.text(), [](char c) { return c >= '0' && c <= '9'; });
    if (literal && !number && !parse_iso8601(spec->newer_than.literal_text())) {
      complaints_.error(*newer,
                        fmt::format("'newer_than' needs a time such as 2026-11-20T06:00:00Z, or the number of a "
                                    "version, not {}",
                                    Reader::shown(*newer)));
    }
  }
  if (const Node* every = node.find("every")) {
    if (!is_looked_at(spec->what))
      complaints_.error(*every, "'every' goes with s3, file and http: of the others one is told");
    reader_.take_duration(node, "every", spec->every);
    if (spec->every < kEveryMin || spec->every > kEveryMax) complaints_.error(*every, "'every' is from 1s to 1d");
  }
  read_patience(spec->patience, node, spec->what == For::kAsset);
  task.wait = std::move(spec);
}

void TaskReader::read_wait_target(WaitSpec& spec, const Node& node, std::string_view key) {
  if (spec.what == For::kDuration) {
    if (const auto length = reader_.duration(node, key)) spec.length = *length;
    return;
  }
  if (spec.what == For::kHttp) return read_http_target(spec, node);
  auto target = names_.parse_template(node, site::kWait, key);
  if (!target) return;
  spec.target = std::move(*target);
  if (!spec.target.is_literal()) return;
  const std::string problem = target_problem(spec.what, spec.target.literal_text());
  if (!problem.empty()) complaints_.error(node, fmt::format("'{}' {}", key, problem));
}

void TaskReader::read_http_target(WaitSpec& spec, const Node& node) {
  const Node* url = &node;
  if (!node.is_scalar()) {
    if (!reader_.check_keys(node, keys::kHttpWait)) return;
    url = node.find("url");
    reader_.take_integer(node, "status", 100, 599, spec.status);
    if (url == nullptr) return complaints_.error(node, "'http' needs a 'url'");
  }
  auto target = names_.parse_template(*url, site::kWait, "url");
  if (!target) return;
  spec.target = std::move(*target);
  const std::string problem =
      spec.target.is_literal() ? target_problem(spec.what, spec.target.literal_text()) : std::string();
  if (!problem.empty()) complaints_.error(*url, fmt::format("'url' {}", problem));
}

void TaskReader::read_patience(Patience& patience, const Node& node, bool has_last) {
  reader_.take_duration(node, "timeout", patience.timeout);
  reader_.take_duration(node, "late_after", patience.late_after);
  const Node* then = node.find("on_timeout");
  if (then != nullptr) {
    std::vector<std::string> choices = {"fail", "skip"};
    if (has_last) choices.emplace_back("use_last");
    if (!has_last && then->is_scalar() && then->text == "use_last") {
      complaints_.error(*then, "'use_last' goes with a wait for an 'asset': nothing else has versions");
    } else if (then->is_scalar() && then->text == "fallback") {
      complaints_.error(*then,
                        "there is no 'fallback' here: write 'on_timeout: skip', and let the other task depend on "
                        "this one with 'on: [skipped]'");
    } else if (const auto choice = reader_.choice(*then, "on_timeout", choices)) {
      patience.on_timeout = static_cast<OnTimeout>(*choice);
    }
    if (!patience.timeout && node.find("timeout") == nullptr) {
      complaints_.error(*then, "'on_timeout' goes with a 'timeout'");
    }
  }
  if (patience.timeout && patience.late_after && *patience.late_after >= *patience.timeout) {
    complaints_.error(*node.find("late_after"), "'late_after' is not before 'timeout', so nobody would ever be told");
  }
}

void TaskReader::read_human(Task& task, const Node& node) {
  if (!reader_.check_keys(node, keys::kHuman)) return;
  auto spec = std::make_shared<HumanSpec>();
  const Node* prompt = node.find("prompt");
  if (prompt == nullptr || prompt->is_null()) {
    complaints_.error(node, "'human' needs a 'prompt': what is asked");
  } else if (auto text = names_.parse_template(*prompt, site::kHuman, "prompt")) {
    spec->prompt = std::move(*text);
  }
  const Node* form = node.find("form");
  if (form != nullptr) spec->form = read_params(reader_, *form, "form");
  for (ParamSpec& field : spec->form) {
    // What nobody fills in by accident: unlike a parameter, a field is required unless it says otherwise.
    const Node* written = form->find(field.name);
    if (!field.default_value && written->find("required") == nullptr) field.required = true;
    if (field.secret)
      complaints_.error(*written, fmt::format("'{}': answers are recorded, so none is secret", field.name));
    if (field.name == "answered_by" || field.name == "answered_at") {
      complaints_.error(*written, fmt::format("'{}' is told by Chappe itself", field.name));
    }
  }
  if (const Node* who = node.find("assignees"); who != nullptr && reader_.is_list(*who, "assignees", "[ann, ben]")) {
    for (const Node* one : who->children) {
      if (auto name = reader_.text(*one, "assignees")) spec->assignees.push_back(std::move(*name));
    }
    if (who->children.empty()) complaints_.error(*who, "'assignees' is empty, so nobody could answer");
  }
  read_patience(spec->patience, node, false);
  task.human = std::move(spec);
}

}  // namespace chappe

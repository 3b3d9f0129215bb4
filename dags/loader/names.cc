#include "dags/loader/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>

#include "dags/loader/jinja.h"
#include "engine/model/secrets.h"

namespace chappe {
namespace {

using expr::Reference;
using yaml::Node;

std::string dotted(const Reference& reference) { return fmt::format("{}", fmt::join(reference.path, ".")); }

/// "year" -> "YEAR": how the variable would be called that passes a value to a script.
std::string variable_for(const Reference& reference) {
  std::string name = reference.path.back();
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

}  // namespace

std::vector<std::string> run_names() {
  return {"id", "dag", "dag_version", "logical_time", "date", "interval_start", "interval_end", "trigger", "events"};
}

std::optional<expr::Template> Names::parse_template(const Node& node, const Site& site, std::string_view what) {
  if (!node.is_scalar()) {
    reader_.complaints().error(
        node, fmt::format("'{}' needs a text, not {}; to_json() makes one of a list", what, Reader::shown(node)));
    return std::nullopt;
  }
  if (node.is_null()) return expr::Template();
  auto parsed = expr::Template::parse(node.text);
  if (!parsed) {
    reader_.complaints().error(node, parsed.error().offset, std::move(parsed.error().message));
    return std::nullopt;
  }
  for (const Reference& reference : parsed->references()) check(reference, node, 0, site);
  for (std::string& mistake : expr::type_mistakes(*parsed, declarations())) {
    reader_.complaints().warn(node, std::move(mistake));
  }
  // A warning: the text may be for a program that knows such templates, and old runs must load.
  for (Jinja& jinja : find_jinja(node.text, site.where == site::kRun.where)) {
    reader_.complaints().warn(node, jinja.offset, std::move(jinja.message));
  }
  return std::move(*parsed);
}

std::optional<expr::Expression> Names::parse_expression(const Node& node, const Site& site, std::string_view what) {
  if (!node.is_scalar() || trimmed(node.text).empty()) {
    reader_.complaints().error(node, fmt::format("'{}' needs an expression, not {}", what, Reader::shown(node)));
    return std::nullopt;
  }
  std::string_view text = trimmed(node.text);
  if (text.starts_with("${{") && text.ends_with("}}")) {
    text.remove_prefix(3);
    text.remove_suffix(2);
  }
  const auto offset = static_cast<std::size_t>(text.data() - node.text.data());
  if (text.find("${{") != std::string_view::npos) {
    reader_.complaints().error(node, fmt::format("'{}' is one expression: put all of it into one '${{{{ }}}}'", what));
    return std::nullopt;
  }
  auto parsed = expr::Expression::parse(text);
  if (!parsed) {
    const auto jinja = find_jinja(text, false);
    if (!jinja.empty()) parsed.error() = {jinja[0].offset, jinja[0].message};
    reader_.complaints().error(node, offset + parsed.error().offset, std::move(parsed.error().message));
    return std::nullopt;
  }
  for (const Reference& reference : parsed->references()) check(reference, node, offset, site);
  check_types(*parsed, node, offset);
  return std::move(*parsed);
}

/// What has a type before a run: parameters, and what is known of each run.
expr::Declarations Names::declarations() const {
  return [this](std::span<const std::string> path) -> std::optional<expr::Declared> {
    if (path.size() != 2) return std::nullopt;
    if (path[0] == "run" && path[1] != "events" && !path[1].ends_with("_tasks")) return expr::Declared{"string", {}};
    if (path[0] != "params") return std::nullopt;
    for (const ParamSpec& spec : dag_.params) {
      if (spec.name == path[1]) return expr::Declared{name_of(spec.type), spec.enumeration};
    }
    return std::nullopt;
  };
}

/// Warnings, so that old runs load.
void Names::check_types(const expr::Expression& condition, const Node& node, std::size_t offset) {
  for (std::string& mistake : expr::type_mistakes(condition, declarations())) {
    reader_.complaints().warn(node, offset, std::move(mistake));
  }
}

void Names::check(const Reference& reference, const Node& node, std::size_t offset, const Site& site) {
  if (std::string problem = problem_of(reference, site); !problem.empty()) {
    reader_.complaints().error(node, offset + reference.offset, std::move(problem));
  } else if (reference.path[0] == "tasks" && !is_item("tasks")) {
    mentions_.push_back({task_, reference, &node, offset});
  }
}

bool Names::is_item(const std::string& root) const { return foreach_ != nullptr && root == foreach_->as; }

std::string Names::problem_of(const Reference& reference, const Site& site) const {
  const std::string& root = reference.path[0];
  const auto not_here = [&] {
    if (site.where == site::kRun.where) {
      return fmt::format(
          "a script that '{0}' is written into can be made to run anything; pass it through env: "
          "{{{1}: \"${{{{ {0} }}}}\"}}, and write \"${1}\"",
          dotted(reference), variable_for(reference));
    }
    return fmt::format("'{}' is not known {}", root, site.where);
  };
  if (is_item(root) || root == "item" || root == "key" || root == "position") return problem_of_item(reference, site);
  if (root == "params") return site.params ? problem_of_param(reference, site) : not_here();
  if (root == "env") return site.env ? problem_of_env(reference, site) : not_here();
  if (root == "event") {
    return site.event ? "" : "'event' is known in the 'params' of a trigger only; elsewhere they are run.events";
  }
  if (root == "run" && site.where == site::kRun.where && reference.path.size() > 1 && reference.path[1] == "events") {
    return not_here();  // Others say what is in them.
  }
  if (root == "run") return site.run ? problem_of_run(reference) : not_here();
  if (root == "tasks") return site.tasks ? "" : not_here();
  if (root == "state") return problem_of_state(reference, site);
  if (root == "outputs" || root == "iteration") {
    if (site.iteration) return "";
    return fmt::format("'{}' is known in the 'until' of a loop only{}", root,
                       root == "outputs" ? "; elsewhere it is tasks.ID.outputs" : "");
  }
  if (root == "task") return problem_of_hooked(reference, site);
  if (root == "response") return problem_of_response(reference, site);
  if (root == "secrets" && !site.handed) {
    return "a secret has no value here: the task finds it in its environment, under the name that it has in 'secrets'";
  }
  if (root == "secrets") return "";
  return problem_of_unknown(reference);
}

std::string Names::problem_of_param(const Reference& reference, const Site& site) const {
  std::vector<std::string> names;
  for (const ParamSpec& spec : dag_.params) {
    const bool meant = reference.path.size() < 2 || reference.path[1] == spec.name;
    if (meant && spec.secret && !site.secrets) {
      return fmt::format("'{}' is secret, and what stands {} is recorded; pass it through env", spec.name, site.where);
    }
    if (reference.path.size() >= 2 && meant) return "";
    names.push_back(spec.name);
  }
  if (reference.path.size() < 2) return "";
  if (names.empty()) return fmt::format("there is no parameter '{}': this DAG has none", reference.path[1]);
  return fmt::format("there is no parameter '{}'{}", reference.path[1], Reader::suggestion(reference.path[1], names));
}

std::string Names::problem_of_env(const Reference& reference, const Site& site) const {
  if (!site.secrets && names_secret(dag_, std::span(&reference, 1))) {
    return fmt::format("'{}' holds a secret parameter, and what stands {} is recorded; pass it through env",
                       dotted(reference), site.where);
  }
  if (reference.path.size() < 2) return "";
  std::vector<std::string> names;
  for (const auto& [name, text] : dag_.env) names.push_back(name);
  if (std::find(names.begin(), names.end(), reference.path[1]) != names.end()) return "";
  return fmt::format("the DAG's 'env' has no '{}'{}", reference.path[1], Reader::suggestion(reference.path[1], names));
}

std::string Names::problem_of_run(const Reference& reference) const {
  if (reference.path.size() < 2) return "";
  std::vector<std::string> names = run_names();
  const std::array<std::string_view, 3> of_ends = {"status", "message", "failed_tasks"};
  if (std::find(of_ends.begin(), of_ends.end(), reference.path[1]) != of_ends.end()) {
    const bool handles = task_ < dag_.tasks.size() && dag_.tasks[task_].handler != Handler::kNone;
    return handles ? "" : fmt::format("'run.{}' is known to handlers of the run's end only", reference.path[1]);
  }
  if (reference.path[1] == "waiting_tasks" || reference.path[1] == "late_tasks") {
    const bool watches = task_ < dag_.tasks.size() && dag_.tasks[task_].hook >= HookEvent::kWait;
    return watches ? "" : fmt::format("'run.{}' is known to the handlers 'wait' and 'late' only", reference.path[1]);
  }
  if (std::find(names.begin(), names.end(), reference.path[1]) != names.end()) return "";
  const std::string near = Reader::suggestion(reference.path[1], names);
  return fmt::format("'run' has no '{}'{}", reference.path[1],
                     near.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : near);
}

std::string Names::problem_of_hooked(const Reference& reference, const Site& site) const {
  if (site.where == site::kRun.where) {
    return fmt::format("'{0}' is not known in 'run'; pass it through env: {{{1}: \"${{{{ {0} }}}}\"}}",
                       dotted(reference), variable_for(reference));
  }
  const bool hears = task_ < dag_.tasks.size() && dag_.tasks[task_].is_hook() && site.instance;
  const bool watches = hears && dag_.tasks[task_].hook >= HookEvent::kWait;
  if (!hears || watches) return "'task' is known to hooks of tasks only: on_failure and the like";
  if (reference.path.size() < 2) return "";
  const std::vector<std::string> names = {"id", "name", "status", "attempt", "reason", "exit_code", "message"};
  if (std::find(names.begin(), names.end(), reference.path[1]) == names.end()) {
    const std::string near = Reader::suggestion(reference.path[1], names);
    return fmt::format("'task' has no '{}'{}", reference.path[1],
                       near.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : near);
  }
  const bool fails = dag_.tasks[task_].hook == HookEvent::kFailure;
  const std::vector<std::string> some =
      fails ? std::vector<std::string>{"exit_code"} : std::vector<std::string>{"reason", "exit_code", "message"};
  const bool always = std::find(some.begin(), some.end(), reference.path[1]) == some.end();
  if (always || reference.guarded) return "";
  return fmt::format("there may be no '{0}'; write '{0} ?? ...' for that case", dotted(reference));
}

std::string Names::problem_of_item(const Reference& reference, const Site& site) const {
  const std::string& root = reference.path[0];
  if (site.where == site::kRun.where) {
    return fmt::format("'{0}' is not known in 'run'; pass it through env: {{{1}: \"${{{{ {0} }}}}\"}}",
                       dotted(reference), variable_for(reference));
  }
  if (!site.instance) return fmt::format("'{}' is not known {}", root, site.where);
  if (foreach_ == nullptr) return fmt::format("'{}' is known in tasks with 'foreach' only", root);
  if (root == "item" && !is_item(root)) return fmt::format("the item is called '{}' here", foreach_->as);
  if (root == "key" && site.position && !is_item(root)) return "the key cannot name itself";
  if (root == "position" && !site.position && !is_item(root)) return "'position' is known in 'key' only";
  if (!is_item(root) || reference.path.size() < 2 || reference.guarded) return "";
  for (std::size_t i = 0; i < foreach_->items.size(); ++i) {
    if (foreach_->items[i].find(reference.path[1]) == nullptr) {
      return fmt::format("item {} of 'foreach' has no '{}'", i + 1, reference.path[1]);
    }
  }
  return "";
}

std::string Names::problem_of_state(const Reference& reference, const Site& site) const {
  if (!site.state) {
    return fmt::format("'{}' is not known {}: an attempt is told it when it starts, in 'env' and 'command'",
                       dotted(reference), site.where);
  }
  if (reference.path.size() < 2) return "write state.NAME";
  if (std::find(states_.begin(), states_.end(), reference.path[1]) != states_.end()) return "";
  const std::string near = Reader::suggestion(reference.path[1], states_);
  return fmt::format("the task has no state '{}'{}", reference.path[1],
                     near.empty() ? "; name it in its 'state'" : near);
}

std::string Names::problem_of_response(const Reference& reference, const Site& site) const {
  if (!site.response) return "'response' is known in the 'success' of a request only; elsewhere it is tasks.ID.outputs";
  if (reference.path.size() < 2) return "";
  const std::vector<std::string> names(std::begin(kHttpValues), std::end(kHttpValues));
  if (std::find(names.begin(), names.end(), reference.path[1]) != names.end()) return "";
  const std::string near = Reader::suggestion(reference.path[1], names);
  return fmt::format("a response has no '{}'{}", reference.path[1],
                     near.empty() ? fmt::format("; it has {}", fmt::join(names, ", ")) : near);
}

std::string Names::problem_of_unknown(const Reference& reference) const {
  const std::string& root = reference.path[0];
  for (const ParamSpec& spec : dag_.params) {
    if (spec.name == root) return fmt::format("unknown name '{0}'; did you mean 'params.{0}'?", root);
  }
  if (dag_.find(root)) return fmt::format("unknown name '{}'; did you mean 'tasks.{}'?", root, dotted(reference));
  std::vector<std::string> roots = {"params", "env", "run", "tasks"};
  if (foreach_ != nullptr) roots.insert(roots.end(), {foreach_->as, "key"});
  const std::string near = Reader::suggestion(root, roots);
  return fmt::format("unknown name '{}'{}", root,
                     near.empty() ? fmt::format("; known are {}", fmt::join(roots, ", ")) : near);
}

bool Names::names_instance(const expr::Template& text) const {
  const auto references = text.references();
  return std::any_of(references.begin(), references.end(), [&](const Reference& reference) {
    return is_item(reference.path[0]) || reference.path[0] == "key";
  });
}

}  // namespace chappe

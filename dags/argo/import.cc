#include "dags/argo/import.h"

#include <fmt/format.h>

#include <algorithm>

#include "dags/argo/workflow.h"
#include "dags/loader/loader.h"
#include "dags/loader/scalar.h"
#include "engine/base/text.h"
#include "engine/base/time.h"

namespace chappe {

std::string ImportNote::text() const {
  if (line == 0) return fmt::format("{}: note: {}", file, message);
  return fmt::format("{}:{}:{}: note: {}", file, line, column, message);
}

Result<ImportedDag> import_argo(std::string_view text, std::string_view file, ImportOptions options) {
  const yaml::Tree tree = yaml::parse(text);
  const auto refuse = [&](const yaml::Place& place, std::string_view message) -> Result<ImportedDag> {
    if (place.line == 0) return fail(ErrorCode::kInvalidInput, fmt::format("{}: error: {}", file, message));
    return fail(ErrorCode::kInvalidInput, fmt::format("{}:{}:{}: error: {}", file, place.line, place.column, message));
  };
  if (!tree.problems.empty()) return refuse(tree.problems[0].place, tree.problems[0].message);
  if (tree.root == nullptr || !tree.root->is_map()) return refuse({}, "this is no Argo Workflow");
  return argo::Importer(*tree.root, file, options).run();
}

namespace argo {

using yaml::Node;

Importer::Importer(const Node& root, std::string_view file, ImportOptions options)
    : root_(root), file_(file), options_(options) {}

Error Importer::error_at(const Node& node, std::string message) const {
  return {ErrorCode::kInvalidInput,
          fmt::format("{}:{}:{}: error: {}", file_, node.place.line, node.place.column, message)};
}

void Importer::note(const Node& at, std::string message, std::optional<std::size_t> task) {
  if (task) {
    std::vector<std::string>& comments = tasks_[*task].comments;
    const std::string line = "look: " + message;
    if (std::find(comments.begin(), comments.end(), line) == comments.end()) comments.push_back(line);
  }
  if (!told_.insert(fmt::format("{}:{}:{}", at.place.line, at.place.column, message)).second) return;
  if (notes_.size() < kImportNotesMax) notes_.push_back({file_, at.place.line, at.place.column, std::move(message)});
}

void Importer::note_once(const Node& at, std::string message) {
  if (told_.insert(message).second) note(at, std::move(message));
}

void Importer::note_keys(const Node& map, std::initializer_list<std::string_view> known, std::string_view what,
                         std::optional<std::size_t> task) {
  for (std::size_t i = 0; map.is_map() && i < map.members(); ++i) {
    const std::string& key = map.key(i).text;
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    note(map.key(i), fmt::format("{} '{}' is not taken over", what, printable(key)), task);
  }
}

/// What is wrong with the file as a whole.
std::optional<Error> Importer::find_spec() {
  const std::string kind = text_of(root_, "kind");
  const Node* version = root_.find("apiVersion");
  const bool is_workflow = kind == "Workflow" || kind == "WorkflowTemplate" || kind == "ClusterWorkflowTemplate";
  if (version == nullptr || !text_of(root_, "apiVersion").starts_with("argoproj.io/") ||
      (!is_workflow && kind != "CronWorkflow")) {
    return error_at(root_,
                    "this is no Argo Workflow: it needs 'apiVersion: argoproj.io/...', and 'kind' Workflow, "
                    "WorkflowTemplate or CronWorkflow");
  }
  const Node* spec = root_.find("spec");
  if (spec == nullptr || !spec->is_map()) return error_at(root_, "the workflow has no 'spec'");
  if (kind == "CronWorkflow") {
    cron_ = spec;
    spec = spec->find("workflowSpec");
    if (spec == nullptr || !spec->is_map()) return error_at(*cron_, "the workflow has no 'workflowSpec'");
  }
  spec_ = spec;
  if (const Node* reference = spec->find("workflowTemplateRef")) {
    return error_at(*reference, fmt::format("the templates stand in another file ('{}'): import that one",
                                            printable(text_of(*reference, "name"))));
  }
  const Node* entry = spec->find("entrypoint");
  if (entry == nullptr) return error_at(*spec, "the workflow has no 'entrypoint'");
  if (find_template(text_of(*spec, "entrypoint")) == nullptr) {
    return error_at(*entry, fmt::format("there is no template '{}' in this file", printable(entry->text)));
  }
  return std::nullopt;
}

Result<ImportedDag> Importer::run() {
  if (auto error = find_spec()) return fail(*std::move(error));
  for (const Node* param : list_in(spec_->find("arguments"), "parameters")) {
    const std::string name = text_of(*param, "name");
    params_.emplace(name, identifier_from(name));
  }
  flatten();
  find_keys();
  // Twice: only then is it known which outputs others read, and which shells there are.
  for (const std::size_t task : order_) (void)write_task(task);
  Yaml tasks = Yaml::list();
  std::map<std::string, Yaml> handlers;
  for (std::size_t i = 0; i < order_.size(); ++i) {
    Yaml written = write_task(order_[i]);
    Yaml& list =
        i < handlers_from_ ? tasks : handlers.try_emplace(tasks_[order_[i]].handles, Yaml::list()).first->second;
    list.add(std::move(written));
  }
  Yaml out = Yaml::map();
  write_head(out);
  write_params(out);
  write_schedule(out);
  write_retention(out);
  write_concurrency(out);
  write_defaults(out);
  if (tasks.empty()) note(*spec_, "there are no tasks");
  out.set("tasks", std::move(tasks.block()));
  Yaml of_ends = Yaml::map();
  for (auto& [end, list] : handlers) of_ends.set(end, std::move(list.block()));
  if (!of_ends.empty()) out.set("handlers", std::move(of_ends.block()));
  ImportedDag imported{out.write(), {}};
  check_result(imported);
  std::stable_sort(notes_.begin(), notes_.end(), [](const ImportNote& a, const ImportNote& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  imported.notes = std::move(notes_);
  return imported;
}

void Importer::write_defaults(Yaml& out) {
  Yaml defaults = Yaml::map();
  if (shells_.size() == 1) defaults.set("shell", Yaml::text(*shells_.begin()));
  if (has_images_) {
    note_once(*spec_,
              "containers see the network and may write anywhere, as they could before: take 'container' out of "
              "'defaults' where no task needs it");
    defaults.set("container", Yaml::map().set("network", Yaml::text("bridge")).set("read_only", Yaml::raw("false")));
  }
  if (!defaults.empty()) out.set("defaults", std::move(defaults));
}

/// What the loader has against it is for a person to finish: never nothing said.
void Importer::check_result(ImportedDag& out) {
  const LoadedDag loaded = load_dag(out.dag_file, "");
  for (const Diagnostic& one : loaded.diagnostics) {
    if (one.warning) continue;
    Node whole;
    note(whole, fmt::format("line {} of the imported file is to be finished by hand: {}", one.line, one.message));
  }
  if (loaded.dag == nullptr && notes_.empty()) notes_.push_back({file_, 0, 0, "the imported file does not load"});
}

void Importer::write_head(Yaml& out) {
  const Node* metadata = root_.find("metadata");
  const Node none;
  const Node& meta = metadata == nullptr ? none : *metadata;
  std::string name = text_of(meta, "name").empty() ? text_of(meta, "generateName") : text_of(meta, "name");
  while (name.ends_with('-')) name.pop_back();
  out.set("name", Yaml::text(name.empty() ? "workflow" : identifier_from(name)));
  if (const Node* annotations = meta.find("annotations")) {
    std::string description = text_of(*annotations, "workflows.argoproj.io/description");
    while (description.ends_with('\n')) description.pop_back();
    if (!description.empty()) out.set("description", Yaml::text(description));
  }
  if (const std::string space = text_of(meta, "namespace"); !space.empty()) {
    out.set("namespace", Yaml::text(identifier_from(space)));
  }
  Yaml labels = Yaml::map();
  const Node* given = meta.find("labels");
  for (std::size_t i = 0; given != nullptr && given->is_map() && i < given->members(); ++i) {
    const bool own = given->key(i).text.find("argoproj.io/") != std::string::npos;
    if (!own && given->value(i).is_scalar()) labels.set(given->key(i).text, Yaml::text(given->value(i).text));
  }
  if (!labels.empty()) out.set("labels", std::move(labels));
  const Node* deadline = spec_->find("activeDeadlineSeconds");
  if (const auto length = deadline == nullptr ? std::nullopt : duration_of(*deadline, std::nullopt)) {
    out.set("timeout", Yaml::text(*length));
  }
  const Node& entry = *find_template(text_of(*spec_, "entrypoint"));
  const Node* dag = entry.find("dag");
  if (dag != nullptr && text_of(*dag, "failFast") != "false") {
    if (handles_failure_) {
      note(*dag,
           "Argo stops at a failure that nobody deals with ('failFast'); here all goes on that still can, and a "
           "failure makes the run failed even where a task deals with it");
    } else {
      out.set("fail_fast", Yaml::text("finish"));
    }
  }
  const Node* parallelism =
      spec_->find("parallelism") != nullptr ? spec_->find("parallelism") : entry.find("parallelism");
  if (parallelism != nullptr && parallelism->is_scalar()) {
    out.set("max_active_tasks", Yaml::number_or_text(parallelism->text));
  }
  note_keys(*spec_,
            {"entrypoint", "templates", "arguments", "activeDeadlineSeconds", "parallelism", "onExit", "hooks",
             "retryStrategy", "ttlStrategy", "podGC", "archiveLogs", "artifactGC", "synchronization"},
            "the workflow's");
}

// ---- Parameters ---------------------------------------------------------------------------------------------------

void Importer::write_params(Yaml& out) {
  Yaml params = Yaml::map();
  std::set<std::string> names;
  for (const Node* param : list_in(spec_->find("arguments"), "parameters")) {
    const std::string name = identifier_from(text_of(*param, "name"));
    if (names.insert(name).second) {
      params.set(name, write_param(*param, name));
    } else {
      note(*param, fmt::format("two parameters would be called '{}'; the second is left out", name));
    }
  }
  if (!params.empty()) out.set("params", std::move(params.block()));
}

Yaml Importer::write_param(const Node& param, const std::string& name) {
  const Node* value = param.find("value") != nullptr ? param.find("value") : param.find("default");
  if (const Node* from = param.find("valueFrom")) {
    note(*from, fmt::format("the value of '{}' comes from elsewhere: it must be given to each run", name));
  }
  const bool is_list = list_params_.contains(name);
  Yaml spec = Yaml::map();
  spec.set("type", Yaml::text(is_list ? "array" : "string"));
  if (value == nullptr || !value->is_scalar() || value->is_null()) {
    spec.set("required", Yaml::raw("true"));
  } else if (is_list) {
    const yaml::Tree tree = yaml::parse(value->text);
    const bool fits = tree.root != nullptr && tree.problems.empty() && tree.root->is_list();
    if (!fits) note(*value, "a fan-out reads this as a list in JSON, which it is not");
    spec.set("default", fits ? copy_of(*tree.root) : Yaml::list());
  } else {
    spec.set("default", Yaml::text(value->text));
  }
  if (const Node* choices = param.find("enum"); choices != nullptr && choices->is_list() && !is_list) {
    Yaml list = Yaml::list();
    for (const Node* choice : choices->children) list.add(Yaml::text(choice->text));
    spec.set("enum", std::move(list));
  }
  if (const std::string description = text_of(param, "description"); !description.empty()) {
    spec.set("description", Yaml::text(description));
  }
  // `name: value` is short for a text with a default.
  const bool is_short =
      value != nullptr && !is_list && !spec.has("enum") && !spec.has("description") && !spec.has("required");
  return is_short ? Yaml::text(value->text) : spec;
}

// ---- Schedules ----------------------------------------------------------------------------------------------------

void Importer::write_schedule(Yaml& out) {
  if (cron_ == nullptr) return;
  std::vector<std::string> lines;
  if (const std::string one = text_of(*cron_, "schedule"); !one.empty()) lines.push_back(one);
  for (const Node* line : list_in(cron_, "schedules")) lines.push_back(line->text);
  Yaml list = Yaml::list();
  std::string timezone = text_of(*cron_, "timezone");
  for (std::string& line : lines) {
    for (const std::string_view head : {"CRON_TZ=", "TZ="}) {
      if (!line.starts_with(head) || line.find(' ') == std::string::npos) continue;
      timezone = line.substr(head.size(), line.find(' ') - head.size());
      line.erase(0, line.find(' ') + 1);
    }
    constexpr std::string_view kEvery = "@every ";
    list.add(line.starts_with(kEvery) ? Yaml::map().set("every", Yaml::text(line.substr(kEvery.size())))
                                      : Yaml::text(line));
  }
  const bool alone = lines.size() == 1 && !lines[0].starts_with("@every");
  if (lines.empty()) note(*cron_, "there is no 'schedule'");
  if (!lines.empty()) out.set("schedule", alone ? Yaml::text(lines[0]) : std::move(list));
  if (!timezone.empty()) out.set("timezone", Yaml::text(timezone));
  const Node* window = cron_->find("startingDeadlineSeconds");
  const auto length = window == nullptr || window->text == "0" ? std::nullopt : duration_of(*window, std::nullopt);
  out.set("catchup", Yaml::text(length ? "latest" : "none"));
  if (length) out.set("catchup_window", Yaml::text(*length));
  if (text_of(*cron_, "suspend") == "true") out.set("paused", Yaml::raw("true"));
  note_keys(*cron_,
            {"schedule", "schedules", "timezone", "startingDeadlineSeconds", "suspend", "concurrencyPolicy",
             "workflowSpec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"},
            "the schedule's");
}

// ---- Workflows at a time ------------------------------------------------------------------------------------------

void Importer::write_concurrency(Yaml& out) {
  const std::string group = shared_mutex();
  if (cron_ == nullptr && group.empty()) return;
  const std::string policy = cron_ == nullptr ? "" : text_of(*cron_, "concurrencyPolicy");
  const bool alone = policy == "Forbid" || policy == "Replace" || !group.empty();
  constexpr int kRuns = 100'000;  // As many as Chappe can count.
  Yaml concurrency = Yaml::map();
  concurrency.set("max_runs", Yaml::number(alone ? 1 : kRuns));
  if (policy == "Forbid" || policy == "Replace") {
    concurrency.set("on_limit", Yaml::text(policy == "Forbid" ? "skip" : "replace"));
    if (!group.empty()) note(*cron_, "'concurrencyPolicy' becomes one about all workflows that share the mutex");
  }
  if (!group.empty()) concurrency.set("group", Yaml::text(group));
  out.set("concurrency", std::move(concurrency));
}

/// The name of the one mutex that the workflow holds as a whole; "" where there is none.
std::string Importer::shared_mutex() {
  const Node* synchronization = spec_->find("synchronization");
  if (synchronization == nullptr) return "";
  std::vector<const Node*> mutexes = list_in(synchronization, "mutexes");
  if (const Node* mutex = synchronization->find("mutex")) mutexes.push_back(mutex);
  const Node* name = mutexes.size() == 1 ? mutexes[0]->find("name") : nullptr;
  if (name == nullptr || synchronization->members() != 1) {
    note(*synchronization, "of the workflow's locks only a single mutex with a name can be taken over, as its 'group'");
    return "";
  }
  return as_template(resolve(*name, Site{}), 0);
}

}  // namespace argo
}  // namespace chappe

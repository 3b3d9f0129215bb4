#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"
#include "engine/model/circles.h"

namespace chappe::cli {
namespace {

Value file_json(const DagFile& file) {
  ValueMap out{{"file", file.file}, {"valid", file.dag != nullptr}};
  if (file.dag != nullptr) {
    out.emplace_back("dag", file.dag->name);
    out.emplace_back("dag_version", file.dag->version);
    out.emplace_back("tasks", static_cast<std::int64_t>(file.dag->tasks.size()));
  }
  out.emplace_back("diagnostics", diagnostics_json(file.diagnostics));
  return out;
}

/// Among files that are looked at together; each circle once.
std::vector<DagCircle> find_circles(const std::vector<DagPtr>& dags) {
  std::vector<DagCircle> out;
  std::map<EventSource, std::vector<DagPtr>> by_source;
  for (const DagPtr& dag : dags) {
    for (const EventSource& source : sources_of(*dag)) by_source[source].push_back(dag);
  }
  const auto listeners = [&](const EventSource& source) {
    const auto found = by_source.find(source);
    return found == by_source.end() ? std::vector<DagPtr>() : found->second;
  };
  for (const DagPtr& dag : dags) {
    const bool told = std::any_of(out.begin(), out.end(), [&](const DagCircle& circle) {
      return std::find(circle.dags.begin(), circle.dags.end(), dag->name) != circle.dags.end();
    });
    if (told) continue;
    DagCircle circle = circle_through(*dag, listeners);
    if (!circle.dags.empty()) out.push_back(std::move(circle));
  }
  return out;
}

/// Each circle is told of every file that is in it.
Value files_json(std::vector<DagFile> files, const std::vector<DagCircle>& circles) {
  ValueList told;
  for (DagFile& file : files) {
    for (const DagCircle& circle : circles) {
      const bool is_in_it = file.dag != nullptr && std::ranges::find(circle.dags, file.dag->name) != circle.dags.end();
      if (is_in_it) file.diagnostics.push_back({.file = file.file, .message = circle.warning, .warning = true});
    }
    told.push_back(file_json(file));
  }
  return told;
}

}  // namespace

int validate_files(const Session& session, const std::vector<std::string>& files) {
  bool valid = true;
  std::vector<DagFile> loaded;
  std::vector<DagPtr> dags;
  for (const std::string& name : files) {
    const auto file = load_dag_file(name);
    if (!file) return complain(file.error().message, kUsage);
    valid = valid && file->dag != nullptr;
    loaded.push_back({.file = file->file, .dag = file->dag, .diagnostics = file->diagnostics});
    if (file->dag != nullptr) dags.push_back(file->dag);
    if (session.output.json) continue;
    show_diagnostics(file->diagnostics, session.output);
    if (file->dag != nullptr) {
      print(fmt::format("{}: DAG {} with {} task{} is valid\n", name, file->dag->name, file->dag->tasks.size(),
                        file->dag->tasks.size() == 1 ? "" : "s"));
    }
  }
  const std::vector<DagCircle> circles = find_circles(dags);
  if (session.output.json) {
    print_json(files_json(std::move(loaded), circles));
  } else {
    for (const DagCircle& circle : circles) warn(circle.dags.front(), circle.warning);
  }
  return valid ? kOk : kUsage;
}

int print_schema() {
  print(dag_schema());
  return kOk;
}

}  // namespace chappe::cli

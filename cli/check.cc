#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/dag_file.h"
#include "cli/exit_code.h"

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

}  // namespace

int validate_files(const Session& session, const std::vector<std::string>& files) {
  bool valid = true;
  ValueList told;
  for (const std::string& name : files) {
    const auto file = load_dag_file(name);
    if (!file) return complain(file.error().message, kUsage);
    valid = valid && file->dag != nullptr;
    told.push_back(file_json(*file));
    if (session.output.json) continue;
    show_diagnostics(file->diagnostics, session.output);
    if (file->dag != nullptr) {
      print(fmt::format("{}: DAG {} with {} task{} is valid\n", name, file->dag->name, file->dag->tasks.size(),
                        file->dag->tasks.size() == 1 ? "" : "s"));
    }
  }
  if (session.output.json) print_json(told);
  return valid ? kOk : kUsage;
}

int print_schema() {
  print(dag_schema());
  return kOk;
}

}  // namespace chappe::cli

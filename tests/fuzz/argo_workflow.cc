// Argo Workflows: whatever the text, an import that is the same twice, notes that stand in the file, and a DAG file
// that is YAML; where there is no note, it loads.
#include <algorithm>
#include <string>

#include "dags/argo/import.h"
#include "dags/loader/loader.h"
#include "dags/loader/yaml_tree.h"
#include "tests/fuzz/target.h"

namespace chappe::fuzz {

FUZZ_TARGET(argo_workflow) {
  const auto imported = import_argo(input, "w.yaml");
  if (!imported) return check_error(imported.error());
  const auto again = import_argo(input, "w.yaml");
  CHAPPE_ASSERT(again && again->dag_file == imported->dag_file && again->notes.size() == imported->notes.size());
  const auto lines = static_cast<std::size_t>(std::count(input.begin(), input.end(), '\n')) + 1;
  CHAPPE_ASSERT(imported->notes.size() <= kImportNotesMax);
  for (const ImportNote& note : imported->notes) {
    CHAPPE_ASSERT(note.file == "w.yaml" && !note.message.empty() && note.line <= lines + 1);
  }
  const yaml::Tree tree = yaml::parse(imported->dag_file);
  const LoadedDag loaded = load_dag(imported->dag_file, "d.yaml");
  CHAPPE_ASSERT(!imported->notes.empty() || (tree.problems.empty() && loaded.dag != nullptr));
}

}  // namespace chappe::fuzz

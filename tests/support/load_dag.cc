#include <gtest/gtest.h>

#include "dags/loader/loader.h"
#include "tests/support/dag_builder.h"

namespace chappe::support {

DagPtr dag_of(std::string_view yaml) {
  LoadedDag loaded = load_dag(yaml, "test.yaml");
  for (const Diagnostic& each : loaded.diagnostics) ADD_FAILURE() << each.text();
  return loaded.dag;
}

}  // namespace chappe::support

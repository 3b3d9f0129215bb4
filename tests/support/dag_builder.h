/// \file
/// DAGs made by hand, for tests that need many of them, or one that no file can say.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/dag.h"

namespace chappe::support {

/// `DagBuilder("d").task("a").task("b", {"a"}).build()`: no-ops, unless `change` makes a task something else.
class DagBuilder {
 public:
  explicit DagBuilder(std::string name) { dag_.name = std::move(name); }

  DagBuilder& task(const std::string& id, const std::vector<std::string>& depends_on = {},
                   const std::function<void(Task&)>& change = {});
  DagBuilder& change(const std::function<void(Dag&)>& change) {
    change(dag_);
    return *this;
  }
  /// Its version is made of the name and a number that no other DAG of this process has.
  DagPtr build();

 private:
  Dag dag_;
};

/// Makes a task a process of so many thousandths of a core.
std::function<void(Task&)> process(std::uint32_t cpu_milli = 1000);
/// Changes one after the other.
std::function<void(Task&)> all_of(std::vector<std::function<void(Task&)>> changes);
std::function<void(Task&)> rule(TriggerRule rule);

/// The DAG in this text. A complaint fails the test, and all of them are printed.
DagPtr dag_of(std::string_view yaml);

}  // namespace chappe::support

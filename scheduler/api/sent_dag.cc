#include "scheduler/api/sent_dag.h"

#include <fmt/format.h>

#include "dags/loader/loader.h"
#include "scheduler/quarantine/quarantine.h"
#include "storage/digest/digest.h"

namespace chappe::api {
namespace {

Answer invalid_dag(const LoadedDag& loaded) {
  std::size_t errors = 0;
  for (const Diagnostic& one : loaded.diagnostics) errors += one.warning ? 0 : 1;
  return problem(422, fmt::format("the DAG file has {} mistake{}", errors, errors == 1 ? "" : "s"),
                 {{"code", "invalid_dag"}, {"diagnostics", diagnostics_json(loaded.diagnostics)}});
}

}  // namespace

std::variant<SentDag, Answer> load_sent_dag(const Value& body) {
  const Value* text = body.find("dag_yaml");
  if (text == nullptr || text->as_string() == nullptr) {
    return problem(400, "the body needs 'dag_yaml', the text of a DAG file");
  }
  const std::string file = text_member(body, "file");
  const std::string hash = to_hex(sha256(*text->as_string()));
  if (quarantine::is_left_alone(quarantine::Kind::kText, hash)) {
    return problem(422, "this DAG file is " + quarantine::complaint());
  }
  const quarantine::Hold hold(quarantine::Kind::kText, hash);
  const LoadedDag loaded = load_dag(*text->as_string(), file.empty() ? "dag.yaml" : file);
  if (loaded.dag == nullptr) return invalid_dag(loaded);
  return SentDag{loaded.dag, diagnostics_json(loaded.diagnostics)};
}

}  // namespace chappe::api

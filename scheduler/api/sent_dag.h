/// \file
/// A DAG file in the body of a request.
#pragma once

#include <variant>

#include "engine/model/dag.h"
#include "scheduler/api/exchange.h"

namespace chappe::api {

struct SentDag {
  DagPtr dag;
  Value diagnostics;  ///< Its warnings.
};

/// The DAG of the members `dag_yaml` and `file`; or the answer to a body that has none, or one with mistakes: 422 with
/// all of them.
std::variant<SentDag, Answer> load_sent_dag(const Value& body);

}  // namespace chappe::api

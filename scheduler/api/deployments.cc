#include <utility>

#include "scheduler/api/handlers.h"
#include "scheduler/api/sent_dag.h"

namespace chappe::api {
namespace {

void set_paused(Context& context, const Request& request, bool paused, Respond respond) {
  if (const auto body = read_body(request.body, {}); !body) return respond(problem(400, body.error().message));
  context.backend.request(DagPauseRequested{.dag = request.variable("dag"),
                                            .paused = paused,
                                            .requested_by = request.principal,
                                            .source = request.source},
                          answer_with(std::move(respond)));
}

}  // namespace

Backend::Done answer_with(Respond respond) {
  return [respond = std::move(respond)](const Result<Value>& answer) {
    respond(answer ? json_answer(*answer) : problem(answer.error()));
  };
}

Result<DagVersionRow> version_in_use(Context& context, const std::string& dag) {
  const auto deployed = context.reader.deployments(dag);
  if (!deployed) return fail(deployed.error());
  return deployed->empty() ? context.reader.newest_dag_version(dag)
                           : context.reader.dag_version(deployed->front().version);
}

void deploy_dag(Context& context, const Request& request, Respond respond) {
  const auto body = read_body(request.body, {{"dag_yaml", "string"}, {"file", "string"}});
  if (!body) return respond(problem(400, body.error().message));
  const auto loaded = load_sent_dag(*body);
  if (const auto* refused = std::get_if<Answer>(&loaded)) return respond(*refused);
  const auto& sent = std::get<SentDag>(loaded);
  context.backend.request(DagDeployed{.dag = sent.dag, .requested_by = request.principal, .source = request.source},
                          [respond = std::move(respond), warnings = sent.diagnostics](const Result<Value>& answer) {
                            if (!answer) return respond(problem(answer.error()));
                            Value told = *answer;
                            told.as_map()->emplace_back("warnings", warnings);
                            respond(json_answer(told));
                          });
}

void undeploy_dag(Context& context, const Request& request, Respond respond) {
  context.backend.request(
      DagRemoved{.dag = request.variable("dag"), .requested_by = request.principal, .source = request.source},
      answer_with(std::move(respond)));
}

void pause_dag(Context& context, const Request& request, Respond respond) {
  set_paused(context, request, true, std::move(respond));
}

void unpause_dag(Context& context, const Request& request, Respond respond) {
  set_paused(context, request, false, std::move(respond));
}

}  // namespace chappe::api

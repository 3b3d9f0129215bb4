/// \file
/// The handlers of the routes, by what they are about. Each file of the same topic holds its handlers.
///
/// A handler gets objects only through a lookup like find_run(), which says 404 for what is not there: the one place
/// where a later permission on single objects goes.
#pragma once

#include "scheduler/api/context.h"
#include "scheduler/api/exchange.h"

namespace chappe::api {

/// The run of `{run}`: an id, a unique prefix of at least four characters, or "latest". Errors: kNotFound,
/// kInvalidInput.
Result<RunRow> find_run(Context& context, const Request& request);
/// All of it: a run that was pruned is none. Errors: kNotFound, which then says when it was.
Result<RunRow> find_whole_run(Context& context, const Request& request);
/// For what the engine is asked about. Errors: kConflict, too: it is left alone.
Result<RunRow> find_run_in_hand(Context& context, const Request& request);
/// The instance of `{task}` in a run: "train", "train[KEY]" or "#INDEX". Errors: kNotFound with the nearest right name.
struct FoundTask {
  RunRow run;
  InstancesPtr instances;
  std::uint32_t index = 0;
};
Result<FoundTask> find_task(Context& context, const Request& request);
/// The version of `{asset}`: a version id, "NAME@ALIAS", or the newest of a name or URI. Errors: kNotFound.
Result<AssetVersion> find_asset(Context& context, const std::string& text);

/// The version that new runs of a DAG are of: the deployed one, or else the newest. Errors: kNotFound.
Result<DagVersionRow> version_in_use(Context& context, const std::string& dag);
/// "there is no DAG 'x'; did you mean 'y'?"
std::string no_such_dag(Context& context, const std::string& name);
/// Passes the engine's answer on.
Backend::Done answer_with(Respond respond);

// prune.cc
void prune_runs(Context& context, const Request& request, Respond respond);

// notifications.cc
Answer list_notifications(Context& context, const Request& request);

// runs.cc
void submit_run(Context& context, const Request& request, Respond respond);
void trigger_dag(Context& context, const Request& request, Respond respond);
void cancel_run(Context& context, const Request& request, Respond respond);
void rerun_run(Context& context, const Request& request, Respond respond);
void explain_run(Context& context, const Request& request, Respond respond);
Answer list_runs(Context& context, const Request& request);
Answer list_dag_runs(Context& context, const Request& request);
Answer show_run(Context& context, const Request& request);
Answer watch(Context& context, const Request& request);

// plan.cc
Answer plan_run(Context& context, const Request& request);

// again.cc
void retry_run(Context& context, const Request& request, Respond respond);
void mark_task(Context& context, const Request& request, Respond respond);

// backfills.cc
void create_backfill(Context& context, const Request& request, Respond respond);
Answer list_backfills(Context& context, const Request& request);
Answer show_backfill(Context& context, const Request& request);
void pause_backfill(Context& context, const Request& request, Respond respond);
void resume_backfill(Context& context, const Request& request, Respond respond);
void cancel_backfill(Context& context, const Request& request, Respond respond);

// tasks.cc
Answer list_tasks(Context& context, const Request& request);
Answer show_task(Context& context, const Request& request);
Answer show_outputs(Context& context, const Request& request);

// people.cc
void answer_task(Context& context, const Request& request, Respond respond);
void list_questions(Context& context, const Request& request, Respond respond);

// logs.cc
Answer read_log(Context& context, const Request& request);

// dags.cc
Answer list_dags(Context& context, const Request& request);
Answer show_dag(Context& context, const Request& request);

// deployments.cc
void deploy_dag(Context& context, const Request& request, Respond respond);
void undeploy_dag(Context& context, const Request& request, Respond respond);
void pause_dag(Context& context, const Request& request, Respond respond);
void unpause_dag(Context& context, const Request& request, Respond respond);

// states.cc
Answer list_states(Context& context, const Request& request);
Answer show_state(Context& context, const Request& request);
void set_state(Context& context, const Request& request, Respond respond);

// webhooks.cc
void take_delivery(Context& context, const Request& request, Respond respond);
Answer list_webhooks(Context& context, const Request& request);

// assets.cc
Answer list_assets(Context& context, const Request& request);
Answer show_asset(Context& context, const Request& request);
Answer show_lineage(Context& context, const Request& request);
Answer list_aliases(Context& context, const Request& request);
Answer show_alias(Context& context, const Request& request);
void move_alias(Context& context, const Request& request, Respond respond);
void remove_alias(Context& context, const Request& request, Respond respond);

// tokens.cc
Answer list_tokens(Context& context, const Request& request);
void create_token(Context& context, const Request& request, Respond respond);
void revoke_token(Context& context, const Request& request, Respond respond);

// metrics.cc
void show_metrics(Context& context, const Request& request, Respond respond);

// service.cc
void list_workers(Context& context, const Request& request, Respond respond);
Answer list_audit(Context& context, const Request& request);
Answer verify_audit(Context& context, const Request& request);
Answer show_schema();
Answer show_openapi();
Answer health();
Answer readiness(Context& context, const Request& request);

}  // namespace chappe::api

#include "scheduler/api/routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "engine/base/text.h"
#include "scheduler/api/handlers.h"

extern "C" {
extern const char openapi[];      // NOLINT(modernize-avoid-c-arrays): the embedded file.
extern const char openapi_end[];  // NOLINT(modernize-avoid-c-arrays)
}

namespace chappe::api {
namespace {

constexpr std::size_t kNoBody = 0;
constexpr std::size_t kSmall = 64 * 1024;
constexpr std::size_t kDelivery = 128 * 1024;  // Kept with the run. A push of GitHub has 5 to 50 KiB.
constexpr std::size_t kParams = std::size_t{1} << 20;
constexpr std::size_t kDagFile = std::size_t{10} << 20;  // 8 MiB of YAML, escaped as a JSON text.

constexpr auto kGet = Method::kGet;
constexpr auto kPost = Method::kPost;
constexpr auto kPut = Method::kPut;
constexpr auto kDelete = Method::kDelete;
constexpr auto kRead = Permission::kRead;
constexpr auto kOperate = Permission::kOperate;
constexpr auto kAuthor = Permission::kAuthor;
constexpr auto kAdminister = Permission::kAdminister;
constexpr auto kMetadata = Lane::kMetadata;
constexpr auto kObjects = Lane::kObjects;

constexpr Route kRoutes[] = {
    {kGet, "/healthz", Permission::kNone, kNoBody, kMetadata, health},
    {kGet, "/readyz", Permission::kNone, kNoBody, kMetadata, readiness},
    {kGet, "/metrics", kRead, kNoBody, kMetadata, show_metrics},
    {kGet, "/api/v1/openapi.yaml", kRead, kNoBody, kMetadata, show_openapi},
    {kGet, "/api/v1/schema", kRead, kNoBody, kMetadata, show_schema},
    {kGet, "/api/v1/dags", kRead, kNoBody, kMetadata, list_dags},
    {kPost, "/api/v1/dags", kAuthor, kDagFile, kMetadata, deploy_dag},
    {kGet, "/api/v1/dags/{dag}", kRead, kNoBody, kMetadata, show_dag, false, "version"},
    {kDelete, "/api/v1/dags/{dag}", kAuthor, kNoBody, kMetadata, undeploy_dag},
    {kPost, "/api/v1/dags/{dag}/pause", kOperate, kSmall, kMetadata, pause_dag},
    {kPost, "/api/v1/dags/{dag}/unpause", kOperate, kSmall, kMetadata, unpause_dag},
    {kGet, "/api/v1/dags/{dag}/runs", kRead, kNoBody, kMetadata, list_dag_runs, false,
     "state backfill since until limit after"},
    {kPost, "/api/v1/dags/{dag}/runs", kOperate, kParams, kMetadata, trigger_dag},
    {kGet, "/api/v1/dags/{dag}/webhooks", kAuthor, kNoBody, kMetadata, list_webhooks},
    {kPost, "/api/v1/dags/{dag}/webhooks/{webhook}", kOperate, kDelivery, kMetadata, take_delivery, true},
    {kPost, "/api/v1/plan", kRead, kDagFile, kObjects, plan_run},
    {kPost, "/api/v1/runs", kAuthor, kDagFile, kMetadata, submit_run},
    {kGet, "/api/v1/runs", kRead, kNoBody, kMetadata, list_runs, false, "dag state backfill since until limit after"},
    {kGet, "/api/v1/runs/{run}", kRead, kNoBody, kMetadata, show_run},
    {kGet, "/api/v1/runs/{run}/watch", kRead, kNoBody, kMetadata, watch},
    {kGet, "/api/v1/runs/{run}/explain", kRead, kNoBody, kMetadata, explain_run, false, "task limit"},
    {kPost, "/api/v1/runs/{run}/cancel", kOperate, kSmall, kMetadata, cancel_run},
    {kPost, "/api/v1/runs/{run}/retry", kOperate, kSmall, kMetadata, retry_run},
    {kPost, "/api/v1/runs/{run}/rerun", kOperate, kParams, kMetadata, rerun_run},
    {kGet, "/api/v1/runs/{run}/outputs", kRead, kNoBody, kMetadata, show_outputs},
    {kGet, "/api/v1/runs/{run}/tasks", kRead, kNoBody, kMetadata, list_tasks, false, "state limit after"},
    {kGet, "/api/v1/runs/{run}/tasks/{task}", kRead, kNoBody, kMetadata, show_task},
    {kGet, "/api/v1/runs/{run}/tasks/{task}/attempts/{attempt}/log", kRead, kNoBody, kObjects, read_log, false,
     "follow offset tail since timestamps"},
    {kPost, "/api/v1/runs/{run}/tasks/{task}/answer", kOperate, kParams, kMetadata, answer_task},
    {kPost, "/api/v1/runs/{run}/tasks/{task}/mark", kOperate, kSmall, kMetadata, mark_task},
    {kGet, "/api/v1/backfills", kRead, kNoBody, kMetadata, list_backfills, false, "dag limit after"},
    {kPost, "/api/v1/backfills", kOperate, kParams, kMetadata, create_backfill},
    {kGet, "/api/v1/backfills/{backfill}", kRead, kNoBody, kMetadata, show_backfill},
    {kPost, "/api/v1/backfills/{backfill}/pause", kOperate, kSmall, kMetadata, pause_backfill},
    {kPost, "/api/v1/backfills/{backfill}/resume", kOperate, kSmall, kMetadata, resume_backfill},
    {kPost, "/api/v1/backfills/{backfill}/cancel", kOperate, kSmall, kMetadata, cancel_backfill},
    {kGet, "/api/v1/questions", kRead, kNoBody, kMetadata, list_questions, false, "limit"},
    {kGet, "/api/v1/notifications", kRead, kNoBody, kMetadata, list_notifications, false, "state limit after"},
    {kGet, "/api/v1/assets", kRead, kNoBody, kMetadata, list_assets, false,
     "asset all_versions since until limit after"},
    {kGet, "/api/v1/assets/{asset}", kRead, kNoBody, kMetadata, show_asset},
    {kGet, "/api/v1/assets/{asset}/lineage", kRead, kNoBody, kMetadata, show_lineage, false, "direction depth"},
    {kGet, "/api/v1/aliases", kRead, kNoBody, kMetadata, list_aliases, false, "model"},
    {kGet, "/api/v1/aliases/{model}/{alias}", kRead, kNoBody, kMetadata, show_alias},
    {kPut, "/api/v1/aliases/{model}/{alias}", kAuthor, kSmall, kMetadata, move_alias},
    {kDelete, "/api/v1/aliases/{model}/{alias}", kAuthor, kNoBody, kMetadata, remove_alias},
    {kGet, "/api/v1/state", kRead, kNoBody, kMetadata, list_states, false, "limit after"},
    {kGet, "/api/v1/state/{scope}/{name}", kRead, kNoBody, kMetadata, show_state},
    {kPut, "/api/v1/state/{scope}/{name}", kOperate, kParams, kMetadata, set_state},
    {kGet, "/api/v1/workers", kRead, kNoBody, kMetadata, list_workers},
    {kPost, "/api/v1/prune", kAdminister, kSmall, kMetadata, prune_runs},
    {kGet, "/api/v1/audit", kAdminister, kNoBody, kMetadata, list_audit, false, "since until limit after"},
    {kGet, "/api/v1/audit/verification", kAdminister, kNoBody, kMetadata, verify_audit, false, "after"},
    {kGet, "/api/v1/tokens", kAdminister, kNoBody, kMetadata, list_tokens},
    {kPost, "/api/v1/tokens", kAdminister, kSmall, kMetadata, create_token},
    {kDelete, "/api/v1/tokens/{token}", kAdminister, kNoBody, kMetadata, revoke_token},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

std::string query_problem(const Route& route, const TextPairs& query) {
  if (route.by_secret || !route.pattern.starts_with("/api/")) return "";
  std::istringstream words{std::string(route.query)};
  const std::vector<std::string> known{std::istream_iterator<std::string>(words), {}};
  for (const auto& [name, value] : query) {
    if (std::ranges::find(known, name) != known.end()) continue;
    const std::string refusal = fmt::format("there is no query parameter '{}'", name);
    if (known.empty()) return refusal + ": this path takes none";
    const auto near = nearest(name, known);
    return refusal +
           (near ? fmt::format("; did you mean '{}'?", *near) : fmt::format("; known are {}", fmt::join(known, ", ")));
  }
  return "";
}

std::string_view openapi_description() { return {openapi, static_cast<std::size_t>(openapi_end - openapi)}; }

}  // namespace chappe::api

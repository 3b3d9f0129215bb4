#include "proto/metrics/metrics.h"

#include "scheduler/api/handlers.h"
#include "scheduler/api/render.h"
#include "scheduler/quarantine/quarantine.h"

namespace chappe::api {
namespace {

constexpr const char* kContentType = "text/plain; version=0.0.4; charset=utf-8";

double number(const Value& map, std::string_view name) {
  const Value* member = map.find(name);
  if (member == nullptr) return 0;
  if (const auto* whole = member->as_int()) return static_cast<double>(*whole);
  return member->as_float() == nullptr ? 0 : *member->as_float();
}

bool is_true(const Value& map, std::string_view name) {
  const Value* member = map.find(name);
  return member != nullptr && member->as_bool() != nullptr && *member->as_bool();
}

const ValueList& list(const Value& map, std::string_view name) {
  static const ValueList kNone;
  const Value* member = map.find(name);
  return member == nullptr || member->as_list() == nullptr ? kNone : *member->as_list();
}

void set_workers(metrics::Registry& registry, const ValueList& workers) {
  double connected = 0, draining = 0, silent = 0, cpus = 0, attempts = 0;
  for (const Value& worker : workers) {
    attempts += number(worker, "attempts");
    if (!is_true(worker, "connected")) {
      ++silent;
      continue;
    }
    ++(is_true(worker, "draining") ? draining : connected);
    cpus += number(worker, "cpus");
  }
  const auto set = [&](const char* state, double count) {
    registry
        .gauge("chappe_workers", "Workers, by what they are up to; a silent one still holds attempts.",
               {{"state", state}})
        .set(count);
  };
  set("ready", connected);
  set("draining", draining);
  set("silent", silent);
  registry.gauge("chappe_worker_cpus", "Processors that connected workers offer.").set(cpus);
  registry.gauge("chappe_attempts_leased", "Attempts that workers hold.").set(attempts);
}

void set_pools(metrics::Registry& registry, const ValueList& pools) {
  for (const Value& pool : pools) {
    const Value* name = pool.find("pool");
    const metrics::Labels labels{{"pool", name == nullptr ? "" : to_text(*name)}};
    registry.gauge("chappe_pool_slots", "Slots of a pool; 0: it has no bound.", labels).set(number(pool, "slots"));
    registry.gauge("chappe_pool_slots_taken", "Slots of a pool that attempts hold.", labels).set(number(pool, "taken"));
    registry.gauge("chappe_pool_tasks_ready", "Tasks of a pool that are ready and wait.", labels)
        .set(number(pool, "ready"));
  }
}

/// How things stand, as the engine tells it.
void set_load(metrics::Registry& registry, const Value& load) {
  set_workers(registry, list(load, "items"));
  set_pools(registry, list(load, "pools"));
  if (const Value* waiting = load.find("tasks_waiting"); waiting != nullptr && waiting->as_map() != nullptr) {
    for (const auto& [reason, count] : *waiting->as_map()) {
      registry
          .gauge("chappe_tasks_waiting", "Tasks that could go on but for one thing, by that thing.",
                 {{"reason", reason}})
          .set(static_cast<double>(*count.as_int()));
    }
  }
  registry.gauge("chappe_worker_cpus_wanted", "Processors that attempts on workers have, and waiting tasks ask for.")
      .set(number(load, "cpus_wanted"));
  registry
      .gauge("chappe_objects_refused", "Objects that nobody refers to any more, and that their store does not let go.")
      .set(number(load, "objects_refused"));
  for (const char* state : {"queued", "running"}) {
    registry.gauge("chappe_runs", "Runs that are not over.", {{"state", state}})
        .set(number(load, std::string("runs_") + state));
  }
}

}  // namespace

void show_metrics(Context& context, const Request&, Respond respond) {
  context.backend.workers([&backend = context.backend, respond = std::move(respond)](const Result<Value>& load) {
    if (!load) return respond(problem(load.error()));
    set_load(backend.metrics(), *load);
    backend.metrics()
        .gauge("chappe_left_alone", "Runs, DAGs and DAG files that are left alone, as they brought the scheduler down.")
        .set(static_cast<double>(quarantine::count()));
    respond({.content_type = kContentType, .body = backend.metrics().text()});
  });
}

}  // namespace chappe::api

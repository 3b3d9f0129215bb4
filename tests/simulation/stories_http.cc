// Tasks that send a request in place of a program. Drawn apart from the rest of a story, so that the other seeds tell
// what they always told.
#include <fmt/format.h>

#include "engine/model/http_spec.h"
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {
namespace {

/// The task's program becomes a request.
void make_request(Task& task) {
  HttpSpec http{.method = "POST", .redirects_max = 1};
  http.url.push_back({expr::Template::literal("http://example.org/"), "", HttpPiece::Form::kPlain});
  http.headers.emplace_back("authorization", HttpText{{{}, "KEY", HttpPiece::Form::kPlain}});
  WorkSpec work = *task.work;
  work.kind = task.kind = TaskKind::kHttp;
  work.http = std::make_shared<const HttpSpec>(std::move(http));
  task.work = std::make_shared<const WorkSpec>(std::move(work));
}

}  // namespace

void add_requests(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return;
  for (Task& task : dag.tasks) {
    const bool fits = task.kind == TaskKind::kRun && !task.cache && task.work->inputs.empty();
    if (!fits || !chance.one_in(3)) continue;
    make_request(task);
  }
}

/// Short programs wait behind one another, where there are more of them than a worker has room for: so do requests.
void add_short_requests(std::uint64_t seed, Dag& dag) {
  constexpr std::uint32_t kTasks = 12;
  support::Chance chance(seed);
  if (!chance.one_in(2) || dag.handlers > 0 || !dag.hooks.empty()) return;
  for (std::uint32_t number = 0; number < kTasks; ++number) {
    Task& task = dag.tasks.emplace_back();
    task.id = fmt::format("short{}", number);
    task.kind = TaskKind::kRun;
    task.work =
        std::make_shared<const WorkSpec>(WorkSpec{.kind = TaskKind::kRun, .script = expr::Template::literal("short")});
    if (chance.one_in(3)) make_request(task);
  }
  dag.index_tasks();
}

}  // namespace chappe::simulation

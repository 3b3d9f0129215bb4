// Tasks that send a request in place of a program. Drawn apart from the rest of a story, so that the other seeds tell
// what they always told.
#include "engine/model/http_spec.h"
#include "tests/simulation/stories.h"
#include "tests/support/random_dag.h"

namespace chappe::simulation {

void add_requests(std::uint64_t seed, Dag& dag) {
  support::Chance chance(seed);
  if (!chance.one_in(3)) return;
  for (Task& task : dag.tasks) {
    const bool fits = task.kind == TaskKind::kRun && !task.cache && task.work->inputs.empty();
    if (!fits || !chance.one_in(3)) continue;
    HttpSpec http{.method = "POST", .redirects_max = 1};
    http.url.push_back({expr::Template::literal("http://example.org/"), "", HttpPiece::Form::kPlain});
    http.headers.emplace_back("authorization", HttpText{{{}, "KEY", HttpPiece::Form::kPlain}});
    WorkSpec work = *task.work;
    work.kind = task.kind = TaskKind::kHttp;
    work.http = std::make_shared<const HttpSpec>(std::move(http));
    task.work = std::make_shared<const WorkSpec>(std::move(work));
  }
}

}  // namespace chappe::simulation

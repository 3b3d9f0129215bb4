#include "scheduler/app/loop_backend.h"

#include "scheduler/app/loop.h"
#include "storage/digest/digest.h"
#include "storage/sqlite/sqlite_meta_store.h"

namespace chappe {
namespace {

void refuse(const api::Backend::Done& done) {
  done(fail(ErrorCode::kUnavailable, "the scheduler has too many requests waiting; try again in a moment"));
}

}  // namespace

void LoopBackend::request(Event event, Done done) {
  Mail mail = Request{std::move(event), std::move(done)};
  if (!mailbox_.post(std::move(mail))) refuse(std::get<Request>(mail).done);
}

void LoopBackend::query(std::function<Result<Value>(const Engine&, Now)> ask, Done done) {
  Query query = [ask = std::move(ask), done](const Engine& engine, Now now) { done(ask(engine, now)); };
  if (!mailbox_.post(Mail(std::move(query)))) refuse(done);
}

void LoopBackend::explain(const RunId& run, std::string task, std::size_t limit, Done done) {
  query([run, task = std::move(task), limit](const Engine& engine,
                                             Now now) { return engine.explain(run, task, limit, now); },
        std::move(done));
}

void LoopBackend::workers(Done done) {
  query([](const Engine& engine, Now now) -> Result<Value> { return engine.workers(now); }, std::move(done));
}

void LoopBackend::questions(std::size_t limit, Done done) {
  query([limit](const Engine& engine, Now) -> Result<Value> { return engine.questions(limit); }, std::move(done));
}

Result<std::unique_ptr<MetaReader>> LoopBackend::open_reader() { return SqliteMetaStore::open_reader(database_); }

std::vector<api::DagComplaint> LoopBackend::dag_complaints() {
  return folder_ == nullptr ? std::vector<api::DagComplaint>() : folder_->complaints();
}

RunId LoopBackend::new_run_id() {
  std::array<std::uint8_t, 10> random{};
  random_bytes(random);
  return RunId::make(read_clocks().wall, random);
}

}  // namespace chappe

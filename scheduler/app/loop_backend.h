/// \file
/// The API's way to the loop: requests and questions go through the mailbox, reads past it to the store.
#pragma once

#include <filesystem>
#include <string>

#include "scheduler/api/backend.h"
#include "scheduler/app/dag_folder.h"
#include "scheduler/app/mailbox.h"

namespace chappe {

class LoopBackend final : public api::Backend {
 public:
  LoopBackend(Mailbox& mailbox, std::filesystem::path database, ObjectStore& objects, metrics::Registry& metrics)
      : mailbox_(mailbox), database_(std::move(database)), objects_(objects), metrics_(metrics) {}

  void request(Event event, Done done) override;
  void explain(const RunId& run, std::string task, std::size_t limit, Done done) override;
  void workers(Done done) override;
  void questions(std::size_t limit, Done done) override;
  Result<std::unique_ptr<MetaReader>> open_reader() override;
  ObjectStore& objects() override { return objects_; }
  metrics::Registry& metrics() override { return metrics_; }
  RunId new_run_id() override;
  std::vector<api::DagComplaint> dag_complaints() override;
  /// Whose complaints to tell; call before anybody asks. It must outlive the API's server.
  void watch(const DagFolderWatch* folder) { folder_ = folder; }

 private:
  /// `ask` on the loop's thread; its answer to `done`.
  void query(std::function<Result<Value>(const Engine&, Now)> ask, Done done);

  Mailbox& mailbox_;
  std::filesystem::path database_;
  ObjectStore& objects_;
  metrics::Registry& metrics_;
  const DagFolderWatch* folder_ = nullptr;
};

}  // namespace chappe

/// \file
/// What each part of a Persist does to the tables. Statements are prepared once.
#pragma once

#include "storage/sqlite/audit_chain.h"
#include "storage/sqlite/connection.h"
#include "storage/sqlite/run_eraser.h"

namespace chappe::sqlite {

class Writer {
 public:
  explicit Writer(const Connection& connection);

  /// Within a transaction of the caller's. Throws Failed: kConflict names the row whose guard did not hold.
  void write(const Persist& changes);

 private:
  void write(const DagVersionRow& row);
  void write(const RunChange& change);
  void write(const WorkerRow& row);
  void write(const TaskChange& change);
  void write(const AssetVersion& row);
  void write(const AssetPublished& published);
  void write(const ArtifactCollected& collected);
  void write(const TokenChange& change);
  void write(const DeploymentRow& row);
  void write(const TriggerEventTaken& taken);
  void write(const SightingChange& change);
  void write(const StateRow& row);
  void write(const BackfillRow& row);
  void write(const AuditRow& row);
  void write_cache(const Persist& changes);
  void write_notifications(const Persist& changes);
  [[noreturn]] void conflict(const TaskChange& change);
  [[noreturn]] void conflict(const RunChange& change);

  const Connection& connection_;
  Statement dag_version_;
  Statement run_;
  Statement run_change_;
  Statement worker_;
  Statement task_;
  Statement task_change_;
  Statement attempt_;
  Statement keep_attempt_;
  Statement attempt_image_;
  Statement input_;
  Statement dataset_;
  Statement fan_out_;
  Statement asset_version_;
  Statement artifact_;
  Statement collected_;
  Statement doomed_;
  Statement removed_;
  Statement value_;
  Statement published_;
  Statement newest_;
  Statement alias_;
  Statement token_;
  Statement revoke_;
  Statement deployment_;
  Statement event_;
  Statement take_event_;
  Statement give_up_event_;
  Statement sighting_;
  Statement sighting_change_;
  Statement sighting_gone_;
  Statement sightings_gone_;
  Statement state_;
  Statement state_change_;
  Statement backfill_;
  Statement notification_;
  Statement notification_change_;
  Statement notification_trim_;
  Statement cache_use_;
  Statement cache_forget_;
  Statement cache_drop_;
  Statement cache_entry_;
  Statement cache_count_;
  Statement cache_trim_;
  Statement audit_;
  Statement task_now_;
  Statement run_now_;
  AuditEnd audit_end_;
  RunEraser eraser_;
};

}  // namespace chappe::sqlite

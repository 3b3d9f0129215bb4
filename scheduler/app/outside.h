/// \file
/// Looks at things outside that tasks wait for and triggers listen to: objects, files of this host, answers of web
/// servers.
///
/// A task may wait for any object of the store, and for `s3://BUCKET/KEY` with the daemon's own credentials. Files only
/// beneath directories that the operator allowed, symbolic links followed. Of a URL only the status and the ETag are
/// told, and no address is asked that serves a machine's metadata.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/ports/object_store.h"
#include "engine/run/events.h"
#include "proto/http/client.h"
#include "storage/open/named_objects.h"

namespace chappe {

class Outside {
 public:
  /// `objects` must outlive this. `file_roots`: absolute.
  Outside(ObjectStore& objects, std::vector<std::filesystem::path> file_roots);

  /// One look. Blocks for as long as it takes, bounded by each kind's own time-outs. Thread: any, concurrently.
  LookReported look(const LookTarget& target);

 private:
  LookReported look_at_object(const LookTarget& target);
  LookReported list_objects(const LookTarget& target);
  LookReported list_once(const LookTarget& target);
  LookReported look_at_file(const LookTarget& target) const;
  LookReported look_at_url(const LookTarget& target);

  NamedObjects objects_;
  std::vector<std::filesystem::path> file_roots_;
  http::Client http_;
};

}  // namespace chappe

/// \file
/// What handlers work with.
#pragma once

#include "engine/ports/meta_reader.h"
#include "scheduler/api/backend.h"
#include "scheduler/api/log_hub.h"
#include "scheduler/api/run_views.h"
#include "scheduler/api/token_book.h"
#include "scheduler/api/watch.h"
#include "scheduler/api/webhook_secrets.h"

namespace chappe::api {

struct Context {
  Backend& backend;
  LogHub& logs;
  RunViews& views;
  WatchBoard& watches;
  std::shared_ptr<TokenBook> tokens;
  MetaReader& reader;  ///< Of this thread.
  const WebhookSecrets& webhooks;
};

}  // namespace chappe::api

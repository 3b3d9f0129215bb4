/// \file
/// What handlers work with.
#pragma once

#include <functional>

#include "engine/ports/meta_reader.h"
#include "scheduler/api/backend.h"
#include "scheduler/api/log_hub.h"
#include "scheduler/api/run_views.h"
#include "scheduler/api/token_book.h"
#include "scheduler/api/watch.h"
#include "scheduler/api/webhook_secrets.h"

namespace chappe::api {

struct Context;
/// Runs it once on a reader thread, with a context of that thread; null: they have too much to do. Thread: any. It does
/// nothing once the server is gone.
using Later = std::function<void(std::function<void(Context*)>)>;

struct Context {
  Backend& backend;
  LogHub& logs;
  RunViews& views;
  WatchBoard& watches;
  std::shared_ptr<TokenBook> tokens;
  MetaReader& reader;  ///< Of this thread.
  const WebhookSecrets& webhooks;
  Later later = {};  ///< For deferred handlers that read again when the engine has answered; else empty.
};

}  // namespace chappe::api

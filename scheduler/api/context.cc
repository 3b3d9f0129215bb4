#include "scheduler/api/context.h"

#include <utility>

#include "scheduler/api/reader_pool.h"
#include "scheduler/api/session.h"

namespace chappe::api {

Context context_of(Shared& shared, MetaReader& reader) {
  Context context{shared.backend, shared.logs, shared.views, shared.watches, shared.tokens, reader, shared.webhooks};
  context.later = [&shared, mailbox = shared.mailbox](std::function<void(Context*)> work) {
    mailbox->post([&shared, work = std::move(work)] {
      const bool taken = shared.metadata->submit([&shared, work](MetaReader* later) {
        if (later == nullptr) return work(nullptr);
        Context anew = context_of(shared, *later);
        work(&anew);
      });
      if (!taken) work(nullptr);
    });
  };
  return context;
}

}  // namespace chappe::api

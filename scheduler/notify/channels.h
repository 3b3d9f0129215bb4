/// \file
/// Sends one letter the way that its channel says: to a web hook, by e-mail, or through a program of the operator's.
///
/// What a DAG's author writes must not reach further than the operator allows: programs by the names that the operator
/// gave them, secrets from a directory of the operator's, no addresses that serve a machine's metadata. No error names
/// an address.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/model/notify.h"
#include "proto/http/client.h"
#include "proto/http/mail.h"
#include "scheduler/notify/outbox.h"

namespace chappe::notify {

struct ChannelConfig {
  std::filesystem::path secrets;                ///< A directory: `secrets.NAME` is what the file NAME holds. "": none.
  http::MailServer mail;                        ///< Without a `url` no e-mail is sent.
  std::map<std::string, std::string> commands;  ///< Programs (absolute paths) by name.
  std::vector<NotifyChannel> by_default;        ///< Of DAGs that do not say who is told.
};

/// What is posted, and what a program reads: {"text": ..., "notice", "dag", "run", "task", "id", "others"}.
std::string body_of(const Letter& letter);
/// For people: one line, and of a summary one line each.
std::string text_of(const Letter& letter);

class Channels {
 public:
  explicit Channels(ChannelConfig config);

  /// Blocks, for half a minute at most. Thread: any, concurrently.
  /// Errors: kUnavailable: another try may go better; others: it may not.
  Result<void> send(const NotifyChannel& channel, const Letter& letter);

 private:
  Result<std::string> address_of(const NotifyChannel& channel) const;
  Result<void> post(const NotifyChannel& channel, const Letter& letter);
  Result<void> mail(const NotifyChannel& channel, const Letter& letter) const;
  Result<void> run(const NotifyChannel& channel, const Letter& letter) const;

  ChannelConfig config_;
  http::Client http_;
};

}  // namespace chappe::notify

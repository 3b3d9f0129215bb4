/// \file
/// One e-mail by SMTP, blocking.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "engine/base/result.h"

namespace chappe::http {

struct MailServer {
  std::string url;   ///< "smtp://HOST[:PORT]" (STARTTLS where the server offers it) or "smtps://HOST[:PORT]".
  std::string user;  ///< "": without a login; with one only over TLS.
  std::string password;
  std::string from;     ///< An address.
  std::string ca_file;  ///< Who signs for the server, in PEM; with it only over TLS. "": whom the machine trusts.
  std::chrono::milliseconds timeout{20'000};  ///< For the whole exchange.
};

struct Mail {
  std::vector<std::string> to;  ///< Addresses.
  std::string subject;          ///< Any text; sent as one line.
  std::string body;             ///< UTF-8.
  std::string message_id;       ///< Of the message and of each repetition of it: "ID@HOST".
};

/// Errors: kUnavailable: another try may go better; kInvalidInput: it may not (an address or the login is refused).
Result<void> send_mail(const MailServer& server, const Mail& mail);

}  // namespace chappe::http

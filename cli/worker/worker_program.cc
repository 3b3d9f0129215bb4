// `chappe-worker`: a worker that brings all it needs, to be linked statically and put into any image.
#include <nss.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/worker/log_to_stderr.h"
#include "cli/worker/worker_options.h"

namespace chappe::cli {
namespace {

constexpr char kSystemCa[] = "/etc/ssl/certs/ca-certificates.crt";
constexpr char kCaName[] = "ca-certificates.crt";

/// For a container whose image has nothing of ours: this program in a directory that both see, and beside it who signs
/// for servers, which such an image may not know either.
int copy_this_program(const std::string& to) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::copy_file("/proc/self/exe", to, fs::copy_options::overwrite_existing, error);
  if (!error) fs::permissions(to, fs::perms(0755), error);
  if (!error && fs::exists(kSystemCa)) {
    fs::copy_file(kSystemCa, fs::path(to).parent_path() / kCaName, fs::copy_options::overwrite_existing, error);
  }
  if (!error) return 0;
  std::fprintf(stderr, "chappe-worker: copy this program to %s: %s\n", to.c_str(), error.message().c_str());
  return 1;
}

/// Where the image has no certificates: those that came with this program.
void find_certificates() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path beside = program.parent_path() / kCaName;
  if (error || std::filesystem::exists(kSystemCa, error) || !std::filesystem::exists(beside, error)) return;
  for (const char* name : {"AWS_CA_BUNDLE", "VAULT_CACERT"}) ::setenv(name, beside.c_str(), 0);
}

/// glibc finds hosts through libraries that nsswitch.conf names and it loads, which a static program cannot do with
/// those of another glibc. Files and DNS are built in: only these are asked.
void resolve_without_plugins() { (void)::__nss_configure_lookup("hosts", "files dns"); }

}  // namespace

int run_worker_program(int argc, char** argv) {
  resolve_without_plugins();
  find_certificates();
  WorkerOptions options;
  std::string log_level = "info";
  CLI::App app("Runs tasks for a Chappe scheduler.", "chappe-worker");
  app.set_version_flag("--version", CHAPPE_VERSION);
  add_worker_options(&app, options);
  app.add_option("--object-store", options.object_store, "s3://BUCKET[/PREFIX] or file:///DIR")
      ->envname("CHAPPE_OBJECT_STORE");
  app.add_option("--log-level", log_level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->envname("CHAPPE_LOG_LEVEL");
  app.add_flag("--one-attempt", options.one_attempt, "Take one attempt and leave: how the scheduler runs it in a pod");
  app.add_option("--copy-to", options.copy_to, "Copy this program to FILE, and do no more");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (!options.copy_to.empty()) return copy_this_program(options.copy_to);
  log_to_stderr(log::parse_level(log_level).value_or(log::Level::kInfo));
  const auto config = worker_config(options);
  if (config) return run_worker(*config);
  std::fprintf(stderr, "chappe-worker: %s\n", config.error().message.c_str());
  return 2;
}

}  // namespace chappe::cli

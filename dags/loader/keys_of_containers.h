/// \file
/// Keys of what a task's container is, and of those beside it.
#pragma once

#include "dags/loader/keys.h"

namespace chappe::keys {

inline constexpr Word kContainerKnown[] = {"user", "network", "read_only", "pull"};
inline constexpr Foreign kContainerForeign[] = {{"image", "image (beside 'container')"},
                                                {"network_mode", "network"},
                                                {"run_as_user", "user"},
                                                {"readonly", "read_only"},
                                                {"image_pull_policy", "pull"},
                                                {"pull_policy", "pull"}};
inline constexpr KeySet kContainer{"'container'", kContainerKnown, {}, kContainerForeign};

inline constexpr Word kSidecarKnown[] = {"name",      "image",     "command", "args",  "env",
                                         "resources", "container", "port",    "ready", "ready_timeout"};
inline constexpr Foreign kSidecarForeign[] = {{"id", "name"},
                                              {"alias", "name"},
                                              {"entrypoint", "command"},
                                              {"environment", "env"},
                                              {"variables", "env"},
                                              {"user", "container: {user: ...}"},
                                              {"ports", "port"},
                                              {"readiness_probe", "ready"},
                                              {"readinessProbe", "ready"},
                                              {"startupProbe", "ready"},
                                              {"health", "ready"},
                                              {"timeout", "ready_timeout"}};
inline constexpr Foreign kSidecarElsewhere[] = {
    {"run", "its image has a shell perhaps, and perhaps not: 'command: [/bin/sh, -c, SCRIPT]'"},
    {"secrets", "those are the task's alone; what a sidecar must know stands in its 'env'"},
    {"volumes", "a sidecar shares the network of its task, and no files"}};
inline constexpr KeySet kSidecar{"a sidecar", kSidecarKnown, {}, kSidecarForeign, kSidecarElsewhere};
inline constexpr Word kSidecarReadyKnown[] = {"http"};
inline constexpr Foreign kSidecarReadyForeign[] = {{"httpGet", "http"}, {"url", "http"}, {"path", "http"}};
inline constexpr Foreign kSidecarReadyElsewhere[] = {
    {"port", "it stands beside 'ready': without 'ready' a sidecar is ready when something takes connections there"},
    {"file", "a sidecar shares no files: it is ready when its 'port' takes connections, or answers 'http: /PATH'"},
    {"command", "a sidecar is ready when its 'port' takes connections, or answers 'http: /PATH'"}};
inline constexpr KeySet kSidecarReady{"'ready'", kSidecarReadyKnown, {}, kSidecarReadyForeign, kSidecarReadyElsewhere};
inline constexpr Word kSidecarContainerKnown[] = {"user", "read_only", "pull"};
inline constexpr Foreign kSidecarContainerForeign[] = {
    {"run_as_user", "user"}, {"runAsUser", "user"}, {"readonly", "read_only"}, {"image_pull_policy", "pull"}};
inline constexpr Foreign kSidecarContainerElsewhere[] = {{"network", "a sidecar is in the network of its task"}};
inline constexpr KeySet kSidecarContainer{
    "'container' of a sidecar", kSidecarContainerKnown, {}, kSidecarContainerForeign, kSidecarContainerElsewhere};

}  // namespace chappe::keys

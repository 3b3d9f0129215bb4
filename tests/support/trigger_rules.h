/// \file
/// Trigger rules as dag-file.md describes them, read independently of engine/run. One letter stands for how an upstream
/// instance ended: s(uccess), f(ailed), u(pstream_failed), k (skipped); '-': it has not.
#pragma once

#include <string_view>

#include "engine/model/dag.h"
#include "engine/run/trigger.h"

namespace chappe::support {

/// How an instance that ended counts along an edge.
char upstream_letter(const Dependency& edge, TaskState state, bool allowed);
/// May the task run, given the ends so far?
bool rule_allows(TriggerRule rule, std::string_view ends);
/// What the rule says once all upstream instances have ended.
Verdict read_rule(TriggerRule rule, std::string_view ends);
/// May a handler run after a run that came to this?
bool concerns(Handler handler, RunState outcome);

/// By then all its upstream has come to an end: what it reads does not depend on who was quick.
bool waits_for_all(TriggerRule rule);

}  // namespace chappe::support

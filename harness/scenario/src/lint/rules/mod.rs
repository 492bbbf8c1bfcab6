//! Rules over whole scenarios: a file for each concern, a line for each rule.

mod bundle;
mod changes;
mod clusters;
mod examples;
mod expectation;
mod files;
mod instance;
mod judging;
mod manifests;
mod naming;
mod order;
mod own_rules;
mod parsing;
mod plain;
mod probing;
mod proof;
mod shape;
mod sync;
mod templates;
mod tenancy;
mod timing;
mod workload;

#[cfg(test)]
pub(super) use examples::INSTANCE;
pub use parsing::PARSE_RULES;

use super::ScenarioRule;

/// Every rule over whole scenarios. `F1xx`: what the file says; `F2xx`: steps, and their order; `F3xx`: objects of the fleet.
pub const SCENARIO_RULES: &[ScenarioRule] = &[
    shape::NO_PHASES,
    shape::EMPTY_PHASE,
    shape::REPEATED_PHASE,
    shape::NOTHING_SAMPLED,
    naming::NAME_OF_FILE,
    probing::NO_PROBES,
    probing::REPEATED_PROBE,
    probing::NODE_PORT,
    probing::NOWHERE,
    probing::AGENTS_UNASKED,
    probing::TIMEOUT,
    files::FLEET,
    files::STEP_FILE,
    files::REPLACED_FILE,
    files::MOVED_FILE,
    files::ARTIFACT_PATH,
    templates::TEMPLATE_FILE,
    expectation::NOTHING_JUDGED,
    expectation::UNKNOWN_RULE,
    expectation::UNJUDGED_RULE,
    timing::UNCOVERED,
    workload::SLOW,
    timing::UNUSED_BUDGET,
    timing::VACUOUS,
    workload::GOOD_ERROR,
    timing::NO_TIME,
    timing::ENDLESS,
    timing::UNUSED_TIMEOUT,
    plain::UNUSED_OPERATOR,
    plain::REPEATED,
    workload::PORT,
    workload::ABSENT,
    workload::BOOTSTRAP_PATH,
    plain::NO_WAY_BACK,
    plain::ANY_FAILURE,
    bundle::RELEASE,
    probing::MISSING_TARGET,
    probing::UNUSED_TARGET,
    probing::UNPUBLISHED,
    probing::IN_FLIGHT_BOUND,
    workload::UNSERVED,
    expectation::NEEDLESS_HOLDS,
    own_rules::NAME,
    own_rules::EXPRESSION,
    proof::NO_BASELINE,
    proof::UNPROVEN_PROBES,
    judging::CANARY,
    judging::NO_COMMIT,
    judging::NO_FAULT,
    changes::NOTHING_CHANGED,
    changes::UNSAID_CHANGE,
    clusters::FEW,
    clusters::UNKNOWN,
    order::TOO_SOON,
    order::UNAWAITED_COMMIT,
    order::UNAWAITED_INSTANCE,
    order::NO_OPERATOR,
    order::EARLY_CLEAN_UP,
    order::HARD_DELETE,
    order::ORPHANED_INSTANCE,
    order::TWO_OWNERS,
    order::OWN_OUTAGE,
    order::PRUNED,
    order::DELETED_FILE,
    order::MOVED_PATH,
    manifests::MALFORMED,
    manifests::APPLIED,
    instance::NAME,
    instance::COMPONENTS,
    sync::PATH,
    sync::PATCHES,
    sync::DECRYPTION,
    manifests::ENCRYPTED,
    instance::DOWNGRADE,
    instance::FLOATING,
    instance::ARTIFACT,
    sync::NAME,
    sync::KIND,
    sync::URL,
    sync::REF,
    sync::SECRET,
    instance::REGISTRY,
    bundle::INSTANCE_RELEASE,
    bundle::IMAGE,
    tenancy::HELM_RELEASE,
    tenancy::TENANT,
    tenancy::CROSS_NAMESPACE,
    tenancy::REMOTE_BASE,
    manifests::REMOVED_API,
    manifests::CANARY,
    manifests::TOO_EARLY,
    instance::PATCH_TARGET,
    instance::WORKLOAD_IDENTITY,
    manifests::MISSING_RESOURCE,
    manifests::SYNC_FOLDER,
    manifests::UNKNOWN_SOURCE,
    manifests::UNKNOWN_DEPENDENCY,
    workload::ABRUPT,
    manifests::LATE_RETRY,
    instance::STORAGE,
];

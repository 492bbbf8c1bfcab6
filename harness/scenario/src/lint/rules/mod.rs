//! Rules over whole scenarios: a file for each concern, a line for each rule.

mod expectation;
mod files;
mod naming;
mod probing;
mod shape;

use super::ScenarioRule;

/// Every rule over whole scenarios. `F1xx`; rules of steps are `F2xx`.
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
    probing::TIMEOUT,
    files::FLEET,
    files::STEP_FILE,
    files::REPLACED_FILE,
    files::MOVED_FILE,
    files::ARTIFACT_PATH,
    expectation::NOTHING_JUDGED,
    expectation::UNKNOWN_RULE,
    expectation::UNJUDGED_RULE,
];

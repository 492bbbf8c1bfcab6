//! What the probes' word is worth.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::span::Spanned;
use crate::text::HumanDuration;

/// How a run proves its probes, and what it compares the migration with. All of it happens by itself, around the phases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Proof {
    /// Whether probes prove themselves on a workload of their own before they are trusted: a rolling restart must lose nothing,
    /// and a short outage must be seen where it was. Default: true.
    pub self_proof: Spanned<bool>,
    /// How long nothing is done after the first phase: the baseline that `latency` compares with. 0s switches it off. Default: 10s.
    pub quiet: Spanned<HumanDuration>,
    /// How long nothing more is done after the last phase, so that what comes late is still seen. 0s switches it off. Default: 10s.
    pub soak: Spanned<HumanDuration>,
}

impl Default for Proof {
    fn default() -> Proof {
        let ten_seconds = Spanned { value: HumanDuration::from_secs(10), span: Default::default() };
        let self_proof = Spanned { value: true, span: Default::default() };
        Proof { self_proof, quiet: ten_seconds.clone(), soak: ten_seconds }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let around = [("quiet before", &self.quiet), ("soak after", &self.soak)];
        let around = around.into_iter().filter(|(_, time)| !time.get().is_zero());
        let mut parts: Vec<String> = around.map(|(what, time)| format!("{time} of {what}")).collect();
        if self.self_proof.value {
            parts.insert(0, "the probes' own".into());
        }
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::tests::example;

    #[test]
    fn what_is_not_written_has_its_default() {
        let shown = |section: &str| crate::parse("f", &example(section)).unwrap().proof.to_string();
        let sections = [
            "",
            "proof: {}",
            "proof: {quiet: 1m}",
            "proof: {self-proof: false, soak: 0s}",
            "proof: {self-proof: false, quiet: 0s, soak: 0s}",
        ];
        insta::assert_snapshot!(sections.map(shown).join("\n"), @r"
        the probes' own, 10s of quiet before, 10s of soak after
        the probes' own, 10s of quiet before, 10s of soak after
        the probes' own, 1m of quiet before, 10s of soak after
        10s of quiet before
        none
        ");
    }
}

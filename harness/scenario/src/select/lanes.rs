//! `lanes:` of a suite: the places that CI runs it in, beside what its scenarios say themselves.
//!
//! ```yaml
//! nightly:
//!   summary: Every night
//!   filter: not tag(unproven)
//!   lanes:
//!     - {kubernetes: ["1.33", "1.34"], provider: [kind, k3s]}         # four lanes
//!     - {vars: {from: [2.9.2], to: [2.9.2, 2.9.4]}}                    # two, of scenarios that have both variables
//!     - {kubernetes: [newest], provider: [kind], floating: true}       # whatever upstream has today
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::cell::PROVIDERS;
use crate::diagnostic::{Diagnostic, codes};
use crate::names;
use crate::parse::Sets;
use crate::span::{Source, Span, Spanned};
use crate::text::{Name, VarName};

use super::kubernetes::minor_release;

/// Instead of a release: the newest minor release of Kubernetes that there is for the lane's provider.
pub const NEWEST: &str = "newest";

/// A place that a suite runs in. What it does not say is as each scenario says.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane {
    /// Values of dimensions and variables, as `--set` takes them.
    pub sets: Sets,
    /// Whether images are what upstream's tags name today, instead of what the bundle pins.
    pub floating: bool,
}

impl Lane {
    /// The release of Kubernetes that it sets, or [`NEWEST`].
    pub fn kubernetes(&self) -> Option<&str> {
        self.sets.get("kubernetes").map(String::as_str)
    }

    /// The provider that it sets.
    pub fn provider(&self) -> Option<&str> {
        self.sets.get("provider").map(String::as_str)
    }
}

/// `k8s 1.34, kind, from 2.9.2`.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let built_in = [self.kubernetes().map(|release| format!("k8s {release}")), self.provider().map(str::to_owned)];
        let others = self.sets.iter().filter(|(name, _)| !crate::cell::BUILT_IN.contains(&name.as_str()));
        let others = others.map(|(name, value)| format!("{name} {value}"));
        let floating = self.floating.then(|| "floating".to_owned());
        let words: Vec<String> = built_in.into_iter().flatten().chain(others).chain(floating).collect();
        f.write_str(if words.is_empty() { "as written" } else { "" })?;
        f.write_str(&words.join(", "))
    }
}

/// Some lanes, as they are written: one for each combination of values.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct LanesFile {
    /// Minor releases of Kubernetes, or `newest`.
    kubernetes: Option<Spanned<Vec<Spanned<String>>>>,
    /// Who makes the clusters.
    provider: Option<Spanned<Vec<Spanned<String>>>>,
    /// Variables and their values. Scenarios that lack one of them are not in the lanes.
    #[serde(default)]
    vars: BTreeMap<Spanned<VarName>, Spanned<Vec<Spanned<String>>>>,
    /// Whether images are what tags name today.
    #[serde(default)]
    floating: bool,
}

/// The lanes of a suite, in the order of the file; what is wrong with them goes to `found`.
pub(super) fn read(
    suite: &Spanned<Name>,
    files: &[Spanned<LanesFile>],
    source: &Source,
    found: &mut Vec<Diagnostic>,
) -> Vec<Lane> {
    let mut lanes: Vec<Lane> = Vec::new();
    for file in files {
        for lane in combinations(file, source, found) {
            if lanes.contains(&lane) {
                let message = format!("the suite `{suite}` has the lane `{lane}` twice");
                let diagnostic = Diagnostic::error(codes::SUITE, source, file.span, message);
                found.push(diagnostic.labelled("makes it again").helped("take a value away"));
            } else {
                lanes.push(lane);
            }
        }
    }
    lanes
}

fn combinations(file: &Spanned<LanesFile>, source: &Source, found: &mut Vec<Diagnostic>) -> Vec<Lane> {
    let mut error = |span: Span, message: String, help: String| {
        found.push(Diagnostic::error(codes::SUITE, source, span, message).labelled("here").helped(help));
    };
    let built_in = [("kubernetes", &file.kubernetes), ("provider", &file.provider)];
    let built_in = built_in.into_iter().filter_map(|(name, values)| Some((name, values.as_ref()?)));
    let vars = file.vars.iter().map(|(name, values)| (name.value.as_str(), values));
    let mut lanes = vec![Lane { floating: file.floating, ..Lane::default() }];
    for (name, values) in built_in.chain(vars) {
        if values.is_empty() {
            let help = "name at least one, or take it away: then it is as each scenario says";
            error(values.span, format!("`{name}` has no values: these lanes would run nowhere"), help.into());
        }
        for value in &values.value {
            match name {
                "kubernetes" if value.value != NEWEST && minor_release(value).is_none() => error(
                    value.span,
                    format!("`{value}` is no minor release of Kubernetes"),
                    format!("write one in quotes, such as \"1.34\", or `{NEWEST}`"),
                ),
                "provider" if !PROVIDERS.contains(&value.as_str()) => {
                    let near = names::nearest(value, PROVIDERS);
                    let meant = near.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                    let help = format!("known: {}", names::list(&PROVIDERS));
                    error(value.span, format!("unknown provider `{value}`{meant}"), help);
                }
                _ => {}
            }
        }
        let with = |lane: &Lane, value: &Spanned<String>| {
            let mut lane = lane.clone();
            lane.sets.insert(name.to_owned(), value.value.clone());
            lane
        };
        lanes = lanes.iter().flat_map(|lane| values.iter().map(move |value| with(lane, value))).collect();
    }
    lanes
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::select::suites::load;

    fn lanes(text: &str) -> Result<Vec<String>, String> {
        let text = format!("nightly:\n  summary: Every night\n  filter: all()\n  lanes:\n{text}\n");
        let suites = load("suites.yaml", &text, &[]).map_err(|found| found.to_text())?;
        Ok(suites.all()[0].lanes.iter().map(ToString::to_string).collect())
    }

    #[rstest]
    #[case(
        "    - {provider: [kind, k3s], kubernetes: ['1.33', '1.34']}",
        &["k8s 1.33, kind", "k8s 1.33, k3s", "k8s 1.34, kind", "k8s 1.34, k3s"]
    )]
    #[case("    - {vars: {to: [2.9.4], from: ['2.9.2', '2.9.4']}}", &["from 2.9.2, to 2.9.4", "from 2.9.4, to 2.9.4"])]
    #[case("    - {kubernetes: [newest], floating: true}\n    - {}", &["k8s newest, floating", "as written"])]
    #[case("    - {provider: [kind]}\n    - {provider: [kind], floating: true}", &["kind", "kind, floating"])]
    fn a_lane_for_each_combination_in_the_order_of_the_file(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(lanes(text).unwrap(), expected);
    }

    #[rstest]
    #[case("    - {kubernetes: [1.34]}", "5:21: error[E007]: expected a text, found the number 1.34")]
    #[case("    - {kubernetes: ['1.34', v1.34]}", "`v1.34` is no minor release of Kubernetes (write one in quotes")]
    #[case("    - {kubernetes: [latest]}", "`latest` is no minor release of Kubernetes")]
    #[case("    - {provider: [kindd]}", "unknown provider `kindd`; did you mean `kind`? (known: `kind` and `k3s`)")]
    #[case("    - {provider: []}", "`provider` has no values: these lanes would run nowhere")]
    #[case("    - {vars: {From: [a]}}", "`From` is no name for a variable")]
    #[case("    - {from: [2.9.2]}", "unknown key `from`")]
    #[case("    - {provider: [kind]}\n    - {provider: [k3s, kind]}", "the suite `nightly` has the lane `kind` twice")]
    fn what_authors_see(#[case] text: &str, #[case] expected: &str) {
        let said = lanes(text).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}

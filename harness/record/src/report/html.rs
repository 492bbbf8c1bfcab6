//! The run as one self-contained page: verdict first, then everything on one time axis, then the numbers.
//!
//! No script, no font, no address outside of itself. [`view`] decides what is shown, the template only how.

mod timeline;
mod view;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};

use super::ReportError;
use crate::fold::RunState;
use crate::verdict::Judgement;

const TEMPLATE: &str = include_str!("html/page.html");

/// The page as text. A record of any length makes a page of less than 3 MB: what is too fine for a screen is summed up.
///
/// # Errors
/// The template refuses the data.
pub fn page(run: &RunState, judgement: &Judgement) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(ReportError::Html)?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // The name's ending turns on HTML escaping.
    environment.add_template("page.html", TEMPLATE).map_err(ReportError::Html)?;
    let template = environment.get_template("page.html").map_err(ReportError::Html)?;
    template.render(Serde(view::View::new(run, judgement))).map_err(ReportError::Html)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, EventKind, Failure, Level, Outcome, SampleBlock};
    use crate::testing::{MS, PROBE, Record, SECOND};
    use crate::verdict::judge;

    fn page_of(run: &RunState) -> String {
        page(run, &judge(run)).unwrap()
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let evil = "<script>alert('x')</script>\"'";
        let record = Record::good()
            .outcome(Outcome::Failed { error: evil.into(), hint: Some(evil.into()) })
            .fail(200, Failure::Other(evil.into()))
            .with(1, EventKind::Fact { key: evil.into(), value: evil.into() })
            .with(2, EventKind::Log { level: Level::Warn, message: evil.into() })
            .with(3 * SECOND, EventKind::ActivityStarted { activity: evil.into() })
            .with(12 * SECOND, EventKind::NotYet { step: 2, reason: evil.into() });
        let page = page_of(&record.fold());
        assert!(!page.contains("<script"), "a script got through");
        assert!(page.matches("&lt;script&gt;").count() >= 7);
    }

    #[test]
    fn it_needs_nothing_from_outside() {
        let page = page_of(&Record::good().fail(200, Failure::Refused).fold());
        for loads in ["src=", "href=\"http", "url(http", "@import", "<link", "<script"] {
            assert!(!page.contains(loads), "{loads}");
        }
    }

    #[test]
    fn every_kind_of_run_has_a_page() {
        for record in [
            Record::good().without_samples(),
            Record::good().infra("engine"),
            Record::good().cancelled("SIGINT"),
            Record::good().without_end(),
            Record::good().sampler_outage(3_000, 4_000),
        ] {
            let run = record.fold();
            let judgement = judge(&run);
            let page = page(&run, &judgement).unwrap();
            assert!(page.contains(&judgement.findings[0].rule));
        }
        page_of(&RunState::default());
    }

    #[test]
    fn a_long_and_terrible_run_stays_below_3_mb() {
        let mut run = Record::good().fold();
        run.ended = false;
        for probe in 0..20 {
            for block in 0..100u64 {
                let n = 200u32;
                run.apply(&Event {
                    t: (21 + block) * SECOND,
                    kind: EventKind::Samples(SampleBlock {
                        probe: format!("{PROBE}/{probe}"),
                        start: (20 + block) * SECOND,
                        interval: 5 * MS,
                        latency: (0..n).map(|i| 500 + i * 991 % 40_000).collect(),
                        slip: vec![30; n as usize],
                        // Every other sample fails: 10,000 outages a probe.
                        failed: (0..n / 2).map(|i| (i * 2, Failure::Refused)).collect(),
                    }),
                });
            }
        }
        for i in 0..20_000 {
            let message = format!("line {i}: {}", "words ".repeat(40));
            run.apply(&Event { t: 600 * SECOND, kind: EventKind::Log { level: Level::Info, message } });
        }
        let page = page_of(&run);
        assert!(page.len() < 3_000_000, "{} bytes", page.len());
    }
}

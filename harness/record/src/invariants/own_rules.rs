//! A scenario's own rules: CEL over the record.
//!
//! ```yaml
//! invariants:
//!   - {name: fast-take-over, cel: "phases['take over'].seconds < 60.0"}
//! ```
//!
//! What an expression can look at is in [`VARIABLES`]. One that reads what is not there, or gives anything but true or false, is
//! inconclusive: a rule that cannot be judged has not held.

mod variables;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use cel::{Context, Env, ExecutionError, Program, Value as CelValue};
use serde_json::Value;

use super::each_cluster;
use crate::event::OwnRule;
use crate::fold::{RunState, View};
use crate::verdict::{Finding, Verdict};

pub use variables::{VARIABLES, Variable};

/// Longest text of an error; the library would show a whole object in it.
const MAX_ERROR: usize = 200;

/// Whether a text is an expression; what it looks at is only known after a run.
///
/// # Errors
/// The first thing that is wrong with its syntax.
pub fn check(cel: &str) -> Result<(), String> {
    compile(cel).map(|_| ())
}

/// Whether a rule of the scenario's own looks at what the watches saw.
pub(super) fn read_watches(run: &RunState) -> bool {
    run.started.iter().flat_map(|started| &started.rules).any(looks_at_watches)
}

fn looks_at_watches(rule: &OwnRule) -> bool {
    compile(&rule.cel)
        .is_ok_and(|(program, _)| variables::OF_WATCHES.iter().any(|name| program.references().has_variable(name)))
}

/// Judges a scenario's own rules.
pub(super) fn judge(run: &RunState, views: &[View<'_>], rules: &[OwnRule]) -> Vec<Finding> {
    let of_watches: Vec<bool> = rules.iter().map(looks_at_watches).collect();
    // What expressions look at is made once for all of them, for each cluster.
    let values: RefCell<Vec<HashMap<&str, Option<CelValue>>>> = RefCell::default();
    let judged = rules.iter().zip(of_watches).map(|(rule, each)| {
        let next = Cell::new(0);
        let one = |view: &RunState| {
            let (this, mut values) = (next.get(), values.borrow_mut());
            next.set(this + 1);
            let known = values.len().max(this + 1);
            values.resize_with(known, HashMap::new);
            judge_one(view, rule, &mut values[this])
        };
        if each { each_cluster::judge(views, one) } else { one(run) }
    });
    judged.collect()
}

/// Judges one; what it looks at is made once for all of them.
fn judge_one(run: &RunState, rule: &OwnRule, values: &mut HashMap<&'static str, Option<CelValue>>) -> Finding {
    let finding = |verdict, message: String| {
        let mut finding = Finding::new(&rule.name, verdict, message);
        finding.details.push(rule.cel.clone());
        finding
    };
    let (program, env) = match compile(&rule.cel) {
        Ok(compiled) => compiled,
        Err(error) => return finding(Verdict::Inconclusive, format!("the expression cannot be read: {error}")),
    };
    let mut context = Context::with_env(env);
    let references = program.references();
    for variable in VARIABLES.iter().filter(|variable| references.has_variable(variable.name)) {
        let value = values.entry(variable.name).or_insert_with(|| (variable.value)(run).as_ref().map(to_cel));
        if let Some(value) = value {
            context.add_variable_from_value(variable.name, value.clone());
        }
    }
    match program.execute(&context) {
        Ok(CelValue::Bool(true)) => finding(Verdict::Pass, "holds".into()),
        Ok(CelValue::Bool(false)) => finding(Verdict::Fail, "does not hold".into()),
        Ok(other) => finding(
            Verdict::Inconclusive,
            format!("the expression gives the type {}, not true or false", other.type_of()),
        ),
        Err(error) => finding(Verdict::Inconclusive, in_words(&error)),
    }
}

fn compile(text: &str) -> Result<(Program, Arc<Env>), String> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(text).map_err(|all| match all.errors.first() {
        Some(first) => bounded(&first.msg),
        None => bounded(&all.to_string()),
    })?;
    Ok((program, env))
}

fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::UndeclaredReference(name) => match VARIABLES.iter().find(|known| known.name == name.as_str()) {
            Some(variable) => format!("nothing is known of `{name}`: {}", variable.unknown),
            None => format!("there is no variable or function `{name}`"),
        },
        ExecutionError::NoSuchKey(key) => format!("there is no `{key}`"),
        error => format!("the expression cannot be evaluated: {}", bounded(&error.to_string())),
    }
}

fn bounded(text: &str) -> String {
    match text.char_indices().nth(MAX_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whole numbers are int, whatever their sign, as in asserts.
fn to_cel(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(value) => CelValue::Bool(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(int), _) => CelValue::Int(int),
            (None, Some(uint)) => CelValue::UInt(uint),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Object(entries) => {
            let entries: HashMap<String, CelValue> =
                entries.iter().map(|(key, value)| (key.clone(), to_cel(value))).collect();
            entries.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Failure;
    use crate::testing::{Record, SECOND};
    use proptest::prelude::*;
    use rstest::rstest;

    fn judged(record: Record, cel: &str) -> (Verdict, String) {
        let run = record.rule("mine", cel).fold();
        let rules = run.started.as_ref().unwrap().rules.clone();
        let [finding] = &judge(&run, &run.views(), &rules)[..] else { panic!("one rule, one finding") };
        assert_eq!((finding.rule.as_str(), &finding.details[..]), ("mine", &[cel.to_owned()][..]));
        (finding.verdict, finding.message.clone())
    }

    #[rstest]
    #[case::holds("probes['web/outside/new'].failed == 0", Verdict::Pass, "holds")]
    #[case::does_not("probes['web/outside/new'].taken > 400", Verdict::Fail, "does not hold")]
    #[case::compares_with_whole_numbers("phases['take over'].seconds < 60", Verdict::Pass, "holds")]
    #[case::no_such_probe("probes['web'].failed == 0", Verdict::Inconclusive, "there is no `web`")]
    #[case::no_such_field("probes['web/outside/new'].lost == 0", Verdict::Inconclusive, "there is no `lost`")]
    #[case::no_such_variable(
        "probe['web'].failed == 0",
        Verdict::Inconclusive,
        "there is no variable or function `probe`"
    )]
    #[case::no_such_function("sized(outages) == 0", Verdict::Inconclusive, "there is no variable or function `sized`")]
    #[case::no_condition(
        "probes['web/outside/new'].failed",
        Verdict::Inconclusive,
        "the expression gives the type int, not true or false"
    )]
    #[case::no_expression("probes[", Verdict::Inconclusive, "the expression cannot be read: …")]
    fn judges(#[case] cel: &str, #[case] verdict: Verdict, #[case] message: &str) {
        let (found, text) = judged(Record::good(), cel);
        assert_eq!(found, verdict, "{text}");
        match message.strip_suffix('…') {
            Some(start) => assert!(text.starts_with(start), "{text}"),
            None => assert_eq!(text, message),
        }
    }

    #[test]
    fn what_nobody_looked_at_holds_for_nothing() {
        for cel in ["outages.all(o, o.ms < 100)", "probes.all(p, probes[p].failed == 0)"] {
            let (verdict, message) = judged(Record::good().without_samples(), cel);
            assert_eq!(verdict, Verdict::Inconclusive, "{cel}");
            assert!(message.starts_with("nothing is known of"), "{message}");
        }
        let failed = Record::good().fail(200, Failure::Refused);
        assert_eq!(judged(failed, "outages.all(o, o.ms < 100 && o.phase == 'take over')").0, Verdict::Pass);
    }

    #[test]
    fn they_are_judged_unasked_and_may_be_expected_to_hold() {
        let rules = |record: Record| crate::invariants::judge(&record.fold()).into_iter().map(|f| f.rule).collect();
        let names: Vec<String> = rules(Record::good().invariants(&["mine"]).rule("mine", "true"));
        assert_eq!(names, ["steps", "evidence", "mine"]);
    }

    /// Who looks at objects needs watches without a gap.
    #[test]
    fn objects_are_compared_with_what_they_were() {
        let cel = "objects['deployment/apps/web'].uid == objects['deployment/apps/web'].baseline.uid";
        assert_eq!(judged(Record::good(), cel).1, "nothing is known of `objects`: the cluster was not watched");
        let there = Record::good().watched().object(4 * SECOND, "deployment/apps/web", |_| {});
        assert_eq!(judged(there.clone(), cel).0, Verdict::Pass);
        let again = there.gone(12 * SECOND, "deployment/apps/web").object(13 * SECOND, "deployment/apps/web", |_| {});
        assert_eq!(judged(again.clone(), cel).0, Verdict::Fail);
        let late = Record::good().watched().object(12 * SECOND, "deployment/apps/web", |_| {});
        assert_eq!(judged(late, cel), (Verdict::Inconclusive, "there is no `baseline`".into()));

        let rules = crate::invariants::judge(&again.rule("mine", cel).fold());
        assert!(rules.iter().any(|finding| finding.rule == "watches"));
    }

    #[rstest]
    #[case("probes['web'].failed == 0", true)]
    #[case("probes['web'", false)]
    #[case("", false)]
    fn checks_syntax(#[case] cel: &str, #[case] fine: bool) {
        assert_eq!(check(cel).is_ok(), fine);
    }

    proptest! {
        #[test]
        fn never_panics(text in r#"(run|phases|probes|[a-z]{1,3}|[0-9]{1,2}|[ .,:?!<>=&|+*/%()\[\]{}'"\\-]|==|&&|has\(){0,30}"#) {
            let _ = judged(Record::good(), &text);
        }
    }
}

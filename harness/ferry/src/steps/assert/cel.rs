//! An expression over live objects.

use ferry_scenario::cel::{EvaluationError, Expression};
use ferry_scenario::steps::Cel;
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::cluster::diff;
use crate::cluster::watch::{self, Named};
use crate::steps::{Context, StepError};
use crate::wait::Check;

pub(super) fn stream<'a>(wanted: &'a Cel, cx: &'a Context<'_>) -> Result<BoxStream<'a, Check>, StepError> {
    // A compiled expression does not cross threads: it is compiled again for each look, which costs less than the request.
    compiled(&wanted.expression)?;
    let objects = wanted.objects.iter().map(|(name, object)| (name.as_str(), &object.value));
    Ok(watch::objects(cx.cluster, objects, |all| match compiled(&wanted.expression) {
        Ok(expression) => holds(&expression, all),
        Err(error) => Check::Never(error.to_string()),
    })
    .boxed())
}

fn compiled(text: &str) -> Result<Expression, StepError> {
    Expression::compile(text).map_err(|error| {
        let what = format!("the expression is not CEL: {error}, at {}:{}", error.at.0, error.at.1);
        StepError::mismatch(what, "`ferry lint` shows the place".to_owned())
    })
}

fn holds(expression: &Expression, objects: &Named) -> Check {
    let seen = seen(expression, objects);
    match expression.holds(objects.iter().map(|(name, object)| (name.as_str(), object))) {
        Ok(true) => Check::Met(seen),
        Ok(false) => Check::NotYet(format!("it is false, with {seen}")),
        Err(error @ (EvaluationError::NotBoolean(_) | EvaluationError::Unknown(_))) => {
            Check::Never(format!("{error}, with {seen}"))
        }
        Err(error @ EvaluationError::NotWithThese(_)) => Check::NotYet(format!("{error}, with {seen}")),
    }
}

/// What the fields that the expression looks at are now.
fn seen(expression: &Expression, objects: &Named) -> String {
    let shown = expression.fields().into_iter().map(|field| {
        let (root, keys) = field.split_first()?;
        let object = objects.get(*root)?;
        let text = match keys.iter().try_fold(object, |value, key| value.get(*key)) {
            _ if object.is_null() => return Some(format!("{root} absent")),
            // A whole object would fill the screen.
            _ if keys.is_empty() => return Some(format!("{root} there")),
            Some(value) => format!("{} = {}", field.join("."), diff::shortened(value)),
            None => format!("{} absent", field.join(".")),
        };
        Some(text)
    });
    let mut shown: Vec<String> = shown.flatten().collect();
    shown.dedup();
    if shown.is_empty() { "no object looked at".into() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case("web.spec.replicas == web.status.readyReplicas", Check::Met("web.spec.replicas = 2, web.status.readyReplicas = 2".into()))]
    #[case("web.spec.replicas == 3", Check::NotYet("it is false, with web.spec.replicas = 2".into()))]
    #[case("web.spec.paused == true", Check::NotYet("the expression cannot be evaluated yet: there is no `paused`, with web.spec.paused absent".into()))]
    #[case("has(web.spec.paused)", Check::NotYet("it is false, with web.spec.paused absent".into()))]
    #[case("web.spec.replicas", Check::Never("the expression gives the type int, not true or false, with web.spec.replicas = 2".into()))]
    #[case("gone == null && web != null", Check::Met("gone absent, web there".into()))]
    #[case("web.sepc == 1", Check::NotYet("the expression cannot be evaluated yet: there is no `sepc`, with web.sepc absent".into()))]
    #[case("siez(web) == 1", Check::Never("the expression cannot be evaluated: there is no variable or function `siez`, with web there".into()))]
    fn shows_what_it_looked_at(#[case] text: &str, #[case] expected: Check) {
        let web = json!({"spec": {"replicas": 2}, "status": {"readyReplicas": 2}});
        let objects = [("web".to_owned(), web), ("gone".to_owned(), json!(null))].into();
        assert_eq!(holds(&Expression::compile(text).unwrap(), &objects), expected);
    }
}

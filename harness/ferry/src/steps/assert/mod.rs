//! `assert`: a fact about live objects, watched until it holds. One file for each kind of fact; each judges JSON objects by a
//! pure function.

mod cel;
mod event;
mod field;
mod matches;
mod unchanged;

use ferry_scenario::steps::{Assert, Fact};
use futures::StreamExt;

use super::{Context, StepError};
use crate::cluster::watch;

pub(super) async fn execute(assert: &Assert, cx: &Context<'_>) -> Result<(), StepError> {
    let what = assert.fact.to_string();
    let checks = match &assert.fact {
        Fact::Field(field) => {
            let check = |found: Option<&_>| field::equals(found, &field.path, &field.equals);
            watch::of(cx.cluster, &field.object, check).boxed()
        }
        Fact::Matches(wanted) => {
            let check = |found: Option<&_>| matches::matches(found, &wanted.partial);
            watch::of(cx.cluster, &wanted.object, check).boxed()
        }
        Fact::Cel(wanted) => cel::stream(wanted, cx)?,
        Fact::Event(wanted) => event::stream(wanted, cx).await,
        Fact::Unchanged(wanted) => unchanged::stream(wanted, cx)?,
    };
    cx.until(what, checks).await?;
    Ok(())
}

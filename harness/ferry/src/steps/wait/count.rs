//! How many objects there are.

use ferry_scenario::steps::{Bounds, Count};
use futures::StreamExt;
use futures::stream::BoxStream;
use kube::runtime::watcher;

use super::Look;
use crate::cluster::watch::{self, Inventory};
use crate::wait::Check;

/// Names that a reason mentions; further ones are only counted.
const NAMED: usize = 5;

pub(super) fn stream<'a>(wanted: &'a Count, look: Look<'a>) -> BoxStream<'a, Check> {
    let everything = watcher::Config::default();
    let selection = match &wanted.labels {
        Some(labels) => everything.labels(labels.as_str()),
        None => everything,
    };
    let namespace = wanted.namespace.as_ref().map(|namespace| namespace.as_str());
    watch::selected(look.cluster, wanted.kind.as_str(), namespace, selection, |all| counted(all, &wanted.bounds))
        .boxed()
}

fn counted(all: &Inventory, wanted: &Bounds<u64>) -> Check {
    let names: Vec<&str> = all.keys().map(|(_, name)| name.as_str()).take(NAMED).collect();
    let more = if all.len() > NAMED { ", …" } else { "" };
    let seen = match all.len() {
        0 => "there are none".to_owned(),
        1 => format!("there is 1: {}", names.join("")),
        n => format!("there are {n}: {}{more}", names.join(", ")),
    };
    let is_met = u64::try_from(all.len()).is_ok_and(|n| wanted.hold(n));
    if is_met { Check::Met(seen) } else { Check::NotYet(format!("{seen}; wanted {wanted}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(0, Check::NotYet("there are none; wanted 2 to 6".into()))]
    #[case(1, Check::NotYet("there is 1: apps/web-0; wanted 2 to 6".into()))]
    #[case(2, Check::Met("there are 2: apps/web-0, apps/web-1".into()))]
    #[case(6, Check::Met("there are 6: apps/web-0, apps/web-1, apps/web-2, apps/web-3, apps/web-4, …".into()))]
    #[case(7, Check::NotYet("there are 7: apps/web-0, apps/web-1, apps/web-2, apps/web-3, apps/web-4, …; wanted 2 to 6".into()))]
    fn counts(#[case] number: usize, #[case] expected: Check) {
        let all = (0..number).map(|i| (("pod".to_owned(), format!("apps/web-{i}")), json!({}))).collect();
        assert_eq!(counted(&all, &Bounds { least: Some(2), most: Some(6) }), expected);
    }
}

//! May enough files be watched?

use crate::doctor::{Check, Context, Fix, Outcome};

/// What kind's list of known issues asks for ("Pod errors due to too many open files").
const LIMITS: [(&str, u64); 2] = [("fs.inotify.max_user_watches", 524_288), ("fs.inotify.max_user_instances", 512)];

/// See [`Check::why`].
#[derive(Debug)]
pub struct Inotify;

impl Check for Inotify {
    fn name(&self) -> &'static str {
        "inotify"
    }

    fn why(&self) -> &'static str {
        "every node watches many files; past the limit, pods fail with \"too many open files\", several nodes sooner than one"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        if !cx.needs.provider.runs_nodes() || !cx.engine_here() {
            return Outcome::skip("no node runs on this machine's kernel");
        }
        let now: Vec<_> = LIMITS.iter().map(|(key, least)| (*key, *least, cx.machine.number(&path(key)))).collect();
        let observed: Vec<_> = now.iter().map(|(key, _, value)| format!("{} {}", short(key), shown(*value))).collect();
        let low: Vec<_> = now.iter().filter(|(_, least, value)| value.is_some_and(|value| value < *least)).collect();
        if low.is_empty() {
            return Outcome::ok(observed.join(", "));
        }
        let settings: Vec<_> = low.iter().map(|(key, least, _)| format!("{key}={least}")).collect();
        let fixes = low.iter().map(|(key, least, _)| Fix::Sysctl((*key).into(), *least));
        Outcome::warn(observed.join(", "))
            .remedy_by("raise the limits", cx.machine.as_root(&format!("sysctl -w {}", settings.join(" "))))
            .fixes(fixes.filter(|_| cx.machine.provisionable()))
    }
}

/// Where the kernel keeps a sysctl.
pub(crate) fn path(key: &str) -> String {
    format!("/proc/sys/{}", key.replace('.', "/"))
}

fn short(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, name)| name)
}

fn shown(value: Option<u64>) -> String {
    value.map_or("unknown".into(), |value| value.to_string())
}

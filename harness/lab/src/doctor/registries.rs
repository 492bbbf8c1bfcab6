//! Can images be pulled?

use crate::doctor::{Check, Context, Images, Outcome};

/// See [`Check::why`].
#[derive(Debug)]
pub struct Registries;

impl Check for Registries {
    fn name(&self) -> &'static str {
        "registries"
    }

    fn why(&self) -> &'static str {
        "images are pulled from registries, or else built from source, which takes about 20 minutes the first time"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        match cx.needs.images {
            Images::Cached => return Outcome::skip("all images are in the cache"),
            Images::Source => return Outcome::skip("images are built from source"),
            Images::Registry | Images::Auto => {}
        }
        let said = |(host, answer): (&str, &Result<(), String>)| match answer {
            Ok(()) => format!("{host} answers"),
            Err(reason) => format!("{host} does not answer ({reason})"),
        };
        let observed: Vec<_> = cx.probes.registries.iter().map(|r| said((&r.host, &r.answer))).collect();
        let observed = if observed.is_empty() { "no registry was asked".into() } else { observed.join(", ") };
        match cx.needs.images {
            _ if cx.probes.registries_answer() => Outcome::ok(observed),
            Images::Registry => Outcome::fail(observed)
                .remedy("name one that can be reached with --mirror HOST, or build with --images source"),
            _ => Outcome::warn(observed)
                .remedy("none needed: images are built from source; to pull them, name a registry with --mirror HOST"),
        }
    }
}

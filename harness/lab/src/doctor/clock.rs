//! Does the clock tell the time?

use jiff::{SignedDuration, Timestamp};

use crate::doctor::{Check, Context, Outcome};

/// No run is older than the code that makes it.
const EARLIEST: &str = "2026-01-01T00:00:00Z";

/// How far the engine's clock may be off: a new cluster's certificates are valid from the moment they are made.
const SKEW: SignedDuration = SignedDuration::from_secs(30);

/// See [`Check::why`].
#[derive(Debug)]
pub struct Clock;

impl Check for Clock {
    fn name(&self) -> &'static str {
        "clock"
    }

    fn why(&self) -> &'static str {
        "certificates are only valid in their time, and evidence from two clocks has to be put on one axis"
    }

    fn look(&self, cx: &Context<'_>) -> Outcome {
        let now = cx.machine.now();
        let set = "set the clock";
        if EARLIEST.parse::<Timestamp>().is_ok_and(|earliest| now < earliest) {
            return Outcome::fail(format!("it is said to be {now}"))
                .remedy_by(set, cx.machine.as_root("timedatectl set-ntp true"));
        }
        let Some(theirs) = cx.engine().and_then(|engine| engine.system_time.parse::<Timestamp>().ok()) else {
            return Outcome::ok("plausible");
        };
        let skew = now.duration_since(theirs);
        if skew.abs() > SKEW {
            return Outcome::warn(format!("the engine's clock is {} s off", skew.as_secs()))
                .remedy("set both clocks by the same time server; a virtual machine's stops while its host sleeps");
        }
        Outcome::ok("agrees with the engine's")
    }
}

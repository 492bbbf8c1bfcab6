//! The thread that fills the spool, so that a slow disk does not hold up the sampler.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ferry_record::{Event, EventKind};
use tokio::sync::{oneshot, watch};

use super::spool::Spool;

/// What to write, or to do in its place between the events.
#[derive(Debug)]
pub(super) enum Note {
    Event(Event),
    /// From here on the ends of probes are left out: the next life goes on with them.
    Suspend,
    /// Answer when everything before is in the spool.
    Sync(oneshot::Sender<()>),
}

/// How far the spool is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct State {
    pub length: u64,
    /// Why it takes no more samples, if it does not.
    pub full: Option<String>,
}

/// Starts the thread. It ends when all senders are gone; the state's sender goes with it.
pub(super) fn start(mut spool: Spool) -> io::Result<(Sender<Note>, watch::Receiver<State>)> {
    let (notes, written) = channel();
    let (tell, state) = watch::channel(state(&spool));
    thread::Builder::new().name("ferry-spool".into()).spawn(move || write(&mut spool, &written, &tell))?;
    Ok((notes, state))
}

fn write(spool: &mut Spool, notes: &Receiver<Note>, tell: &watch::Sender<State>) {
    let mut suspended = false;
    for note in notes {
        match note {
            Note::Event(Event { kind: EventKind::ProbeStopped { .. }, .. }) if suspended => {}
            Note::Event(event) => {
                spool.append(&event);
                tell.send_replace(state(spool));
            }
            Note::Suspend => suspended = true,
            // Nobody may be waiting any more.
            Note::Sync(done) => drop(done.send(())),
        }
    }
}

fn state(spool: &Spool) -> State {
    State { length: spool.length(), full: spool.full().map(String::from) }
}

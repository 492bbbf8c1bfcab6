//! Where every event of a run goes: one thread that writes the record, folds the state and feeds the view.
//!
//! Reporting is synchronous and ordered by one channel, so a view never shows what the record does not hold.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use ferry_probe::Clock;
use ferry_record::codec::{RecordWriter, WriteError};
use ferry_record::redact::Redactor;
use ferry_record::{Event, EventKind, Judgement, RunState, verdict};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::edge::{self, Problem};
use crate::view::View;

/// How often a live view is drawn again when nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// A handle for whoever has something to say. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    clock: Clock,
    sender: mpsc::Sender<Message>,
    redactor: Redactor,
    /// The cluster that it speaks of, where that is not the run's first.
    cluster: Option<Arc<str>>,
}

enum Message {
    Event(Event),
    Question(Question),
    /// Judge what was noted so far, and note the verdict: nothing comes between.
    Judge(oneshot::Sender<Judgement>),
    Close,
}

/// Something that is asked of the state after everything noted before.
type Question = Box<dyn FnOnce(&RunState) + Send>;

/// The thread behind a [`Recorder`].
#[derive(Debug)]
pub struct Dispatcher {
    thread: JoinHandle<Closed>,
    sender: mpsc::Sender<Message>,
}

/// What is left when the record is closed.
#[derive(Debug)]
pub struct Closed {
    /// The state after the last event.
    pub state: RunState,
    /// Why the record on disk is not complete, if it is not.
    pub write_error: Option<WriteError>,
}

/// Starts the dispatcher. When the record can no longer be written (disk full), `cancel` ends the run.
pub fn start(
    clock: Clock,
    redactor: Redactor,
    mut record: RecordWriter<impl Write + Send + 'static>,
    mut view: Box<dyn View>,
    cancel: CancellationToken,
) -> std::io::Result<(Recorder, Dispatcher)> {
    let (sender, receiver) = mpsc::channel();
    let secrets = redactor.clone();
    let thread = std::thread::Builder::new().name("ferry-record".into()).spawn(move || {
        let mut closed = Closed { state: RunState::default(), write_error: None };
        let mut last = 0;
        let mut note = |mut event: Event, closed: &mut Closed, view: &mut dyn View| {
            // Senders stamp their events themselves; two threads may swap by microseconds on the way here.
            event.t = event.t.max(last);
            last = event.t;
            // What is shown and judged must be what the file will say.
            secrets.event(&mut event);
            if closed.write_error.is_none()
                && let Err(error) = record.append(&event)
            {
                closed.write_error = Some(error);
                cancel.cancel();
            }
            closed.state.apply(&event);
            view.event(&event, &closed.state);
            last
        };
        let mut now = 0;
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(Message::Event(event)) => now = note(event, &mut closed, &mut *view),
                Ok(Message::Question(question)) => question(&closed.state),
                Ok(Message::Judge(answer)) => {
                    let judgement = verdict::judge_live(&closed.state);
                    let kind = EventKind::Verdict(judgement.clone());
                    now = note(Event { t: clock.now(), kind }, &mut closed, &mut *view);
                    // Whoever asked may have given up meanwhile.
                    let _ = answer.send(judgement);
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => view.tick(now, &closed.state),
            }
        }
        view.close(&closed.state);
        closed
    })?;
    let recorder = Recorder { clock, sender: sender.clone(), redactor, cluster: None };
    Ok((recorder, Dispatcher { thread, sender }))
}

impl Recorder {
    /// Notes an event now. After the record is closed this does nothing.
    pub fn emit(&self, kind: EventKind) {
        let kind = match &self.cluster {
            Some(cluster) => kind.beside(cluster),
            None => kind,
        };
        let _ = self.sender.send(Message::Event(Event { t: self.clock.now(), kind }));
    }

    /// A handle for whoever speaks of a cluster beside the run's first.
    #[must_use]
    pub fn beside(&self, cluster: &str) -> Self {
        Self { cluster: Some(cluster.into()), ..self.clone() }
    }

    /// The run's clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Adds a secret that must not reach the record or the screen.
    pub fn conceal(&self, secret: &str) {
        self.redactor.add_secret(secret);
    }

    /// A text with every known secret blotted out.
    pub fn redact(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// Notes something that became known about the run.
    pub fn fact(&self, key: &str, value: &str) {
        self.emit(EventKind::Fact { key: key.into(), value: value.into() });
    }

    /// Notes that the lab broke.
    pub fn infra(&self, problem: &Problem) {
        let error = problem.source().map(edge::chain).unwrap_or_default();
        self.emit(EventKind::Infra { what: problem.to_string(), error, hint: problem.help_text() });
    }

    /// Notes how long something took, for the summary's time table.
    pub async fn activity<T, E: std::fmt::Display>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.emit(EventKind::ActivityStarted { activity: name.into() });
        let result = work.await;
        let error = result.as_ref().err().map(|e| self.redact(&e.to_string()));
        self.emit(EventKind::ActivityEnded { activity: name.into(), error });
        result
    }

    /// The judgement over everything noted so far, which is then noted too; none after the record is closed.
    pub async fn judge(&self) -> Option<Judgement> {
        let (sender, answer) = oneshot::channel();
        self.sender.send(Message::Judge(sender)).ok()?;
        answer.await.ok()
    }

    /// Asks something of the run's state after everything noted so far; none after the record is closed. The answer holds
    /// up the record while it is made: it must be quick.
    pub async fn ask<T: Send + 'static>(&self, question: impl FnOnce(&RunState) -> T + Send + 'static) -> Option<T> {
        let (sender, answer) = oneshot::channel();
        let question = Box::new(move |state: &RunState| {
            // Whoever asked may have given up meanwhile.
            let _ = sender.send(question(state));
        });
        self.sender.send(Message::Question(question)).ok()?;
        answer.await.ok()
    }
}

impl Dispatcher {
    /// Closes the record after what was noted before, and hands out the final state.
    pub fn close(self) -> Closed {
        let _ = self.sender.send(Message::Close);
        match self.thread.join() {
            Ok(closed) => closed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

//! Watches the engine while a run depends on it: when it dies, what follows says nothing about the migration.

use std::time::Duration;

use ferry_lab::engine::Engine;
use ferry_record::EventKind;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::recorder::Recorder;

/// How often the engine is asked for a sign of life.
const EVERY: Duration = Duration::from_secs(1);

/// How long one answer may take. A machine whose cores all boot a cluster has answered after 2 s.
const ANSWER: Duration = Duration::from_secs(10);

/// So many in a row without an answer, and the engine is given up.
const STRIKES: u32 = 3;

/// Ends the run as `infra` when the engine is gone; stops watching when dropped.
#[must_use]
pub(super) fn start(engine: Engine, recorder: Recorder, cancel: CancellationToken) -> DropGuard {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let mut strikes = 0;
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let error = match tokio::time::timeout(ANSWER, engine.docker.ping()).await {
                Ok(Ok(_)) => {
                    strikes = 0;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {ANSWER:?}"),
            };
            strikes += 1;
            if strikes == STRIKES {
                recorder.emit(EventKind::Infra {
                    what: format!("Docker Engine at {} stopped answering", engine.endpoint),
                    error,
                    hint: Some(
                        "see its log; `ferry doctor` says what it finds, `ferry gc` removes what was left".into(),
                    ),
                });
                cancel.cancel();
                return;
            }
        }
    });
    stop.drop_guard()
}

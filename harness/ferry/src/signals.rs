//! Ctrl-C and SIGTERM: the first asks the run to end in order, the second ends the process.

use ferry_record::EventKind;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::run::recorder::Recorder;

/// Exit code of a process that was asked to stop.
pub const CANCELLED: i32 = 130;

/// Cancels `token` at the first signal and says so in the record. A second signal leaves at once: what the run made is
/// then removed by its reaper.
pub fn listen(token: CancellationToken, recorder: Option<Recorder>) -> std::io::Result<tokio::task::JoinHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        let mut asked = false;
        loop {
            let name = tokio::select! {
                Some(()) = interrupt.recv() => "SIGINT",
                Some(()) = terminate.recv() => "SIGTERM",
                Some(()) = hangup.recv() => "SIGHUP",
                else => return,
            };
            if asked {
                std::process::exit(CANCELLED);
            }
            asked = true;
            if let Some(recorder) = &recorder {
                recorder.emit(EventKind::Cancelled { by: name.into() });
            }
            token.cancel();
        }
    }))
}

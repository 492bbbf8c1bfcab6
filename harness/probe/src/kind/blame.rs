//! From an error to what it says about the workload, or about this machine.

use std::error::Error;
use std::io::{self, ErrorKind};

use ferry_record::event::Failure;

use super::Miss;

/// POSIX numbers that [`ErrorKind`] has no name for, the same on Linux and macOS: no descriptor left in the system, none
/// left in the process.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// What an I/O error on a connection means.
pub(crate) fn io(error: &io::Error) -> Miss {
    if matches!(error.raw_os_error(), Some(ENFILE | EMFILE)) {
        return Miss::Local(error.to_string());
    }
    if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
        return Miss::Failed(Failure::Tls);
    }
    Miss::Failed(match error.kind() {
        // All local ports towards the target are in use.
        ErrorKind::AddrNotAvailable | ErrorKind::AddrInUse | ErrorKind::OutOfMemory => {
            return Miss::Local(error.to_string());
        }
        ErrorKind::ConnectionRefused => Failure::Refused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => Failure::Reset,
        ErrorKind::TimedOut => Failure::Timeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => Failure::Unreachable,
        _ => Failure::Other(error.to_string()),
    })
}

/// What an error of the HTTP exchange means. The I/O error at its root, if there is one, says most.
pub(crate) fn http(error: &hyper::Error) -> Miss {
    if let Some(root) = root::<io::Error>(error) {
        return io(root);
    }
    if let Some(h2) = root::<h2::Error>(error) {
        return http2(h2);
    }
    // Closed without, or in the middle of, an answer. `canceled`: closed under a question that was queued for it.
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Miss::Failed(Failure::Reset);
    }
    Miss::Failed(if error.is_timeout() { Failure::Timeout } else { Failure::Other(words(error)) })
}

/// What an error of HTTP/2 means.
fn http2(error: &h2::Error) -> Miss {
    match error.get_io() {
        Some(error) => io(error),
        None if error.is_remote() && (error.is_reset() || error.is_go_away()) => Miss::Failed(Failure::Reset),
        None => Miss::Failed(Failure::Other(words(error))),
    }
}

/// Whether the server said that it has not begun to work on the question, so that every client may ask again: the stream
/// was refused, or is beyond the last that a server which is about to close will answer (RFC 9113, 6.8 and 8.7).
pub(crate) fn unprocessed(error: &hyper::Error) -> bool {
    root::<h2::Error>(error).is_some_and(|error| {
        let graceful = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        error.is_remote() && (graceful || error.reason() == Some(h2::Reason::REFUSED_STREAM))
    })
}

/// All messages of the chain.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The first error of type `E` in the chain.
pub(crate) fn root<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref())
}

/// An error and its causes.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::refused(io::Error::from(ErrorKind::ConnectionRefused), Failure::Refused)]
    #[case::reset(io::Error::from(ErrorKind::ConnectionReset), Failure::Reset)]
    #[case::broken_pipe(io::Error::from(ErrorKind::BrokenPipe), Failure::Reset)]
    #[case::kernel_gave_up(io::Error::from(ErrorKind::TimedOut), Failure::Timeout)]
    #[case::no_route(io::Error::from(ErrorKind::HostUnreachable), Failure::Unreachable)]
    #[case::no_network(io::Error::from(ErrorKind::NetworkUnreachable), Failure::Unreachable)]
    #[case::tls(io::Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError), Failure::Tls)]
    #[case::firewall(io::Error::from(ErrorKind::PermissionDenied), Failure::Other("permission denied".into()))]
    fn blames_the_way_to_the_workload(#[case] error: io::Error, #[case] failure: Failure) {
        assert_eq!(io(&error), Miss::Failed(failure));
    }

    #[rstest]
    #[case::no_descriptor_in_the_process(io::Error::from_raw_os_error(EMFILE))]
    #[case::no_descriptor_in_the_system(io::Error::from_raw_os_error(ENFILE))]
    #[case::no_port(io::Error::from(ErrorKind::AddrNotAvailable))]
    #[case::no_memory(io::Error::from(ErrorKind::OutOfMemory))]
    fn blames_this_machine(#[case] error: io::Error) {
        assert_eq!(io(&error), Miss::Local(error.to_string()));
    }
}

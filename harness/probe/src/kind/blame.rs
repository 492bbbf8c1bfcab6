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
    // Closed without, or in the middle of, an answer. `canceled`: closed under a question that was queued for it.
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Miss::Failed(Failure::Reset);
    }
    Miss::Failed(if error.is_timeout() { Failure::Timeout } else { Failure::Other(words(error)) })
}

/// All messages of the chain.
fn words(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The first error of type `E` in the chain.
fn root<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
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

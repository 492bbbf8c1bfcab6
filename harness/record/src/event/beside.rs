//! Which events are of one cluster, where a run has several.

use super::EventKind;

impl EventKind {
    /// The event as one of a cluster beside the run's first. What is not of a cluster but of the run stays as it is.
    #[must_use]
    pub fn beside(self, cluster: &str) -> Self {
        match self {
            Self::WatchStarted { .. }
            | Self::WatchGap { .. }
            | Self::WatchEnded { .. }
            | Self::Object(_)
            | Self::ObjectGone { .. }
            | Self::Notice(_)
            | Self::ErrorLogged(_)
            | Self::LogRead { .. }
            | Self::Fault { .. } => Self::Beside { cluster: cluster.to_owned(), told: Box::new(self) },
            of_the_run => of_the_run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn what_is_of_a_cluster_is_told_with_its_name() {
        let kind = EventKind::WatchStarted { resource: "pods".into() }.beside("edge");
        let line = serde_json::to_string(&Event { t: 5, kind: kind.clone() }).unwrap();
        insta::assert_snapshot!(line, @r#"{"t":5,"event":"beside","cluster":"edge","told":{"event":"watch-started","resource":"pods"}}"#);
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap().kind, kind);
        assert_eq!(EventKind::RunEnded.beside("edge"), EventKind::RunEnded);
    }
}

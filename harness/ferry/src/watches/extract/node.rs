//! Nodes: whether they are ready. Their other conditions say nothing about a migration.

use ferry_record::cluster::Condition;

pub(super) fn matters(condition: &Condition) -> bool {
    condition.kind == "Ready"
}

#[cfg(test)]
mod tests {
    use super::super::testing::kept;

    #[test]
    fn only_readiness_is_kept() {
        let seen = kept(
            "
apiVersion: v1
kind: Node
metadata: {name: ferry-control-plane}
status:
  conditions:
  - {type: MemoryPressure, status: 'False', lastHeartbeatTime: '2026-01-01T00:00:00Z'}
  - {type: Ready, status: 'True', reason: KubeletReady, message: kubelet is posting ready status}
",
        );
        assert_eq!(seen.conditions.len(), 1);
        assert_eq!((seen.conditions[0].kind.as_str(), seen.conditions[0].reason.as_str()), ("Ready", "KubeletReady"));
    }
}

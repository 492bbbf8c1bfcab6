//! Objects with a phase: claims and namespaces.

use ferry_record::cluster::facts;
use kube::api::DynamicObject;

use super::Facts;

pub(super) fn claim(claim: &DynamicObject, found: &mut Facts) {
    found.text(facts::VOLUME, &claim.data, "/spec/volumeName");
    phase(claim, found);
}

pub(super) fn phase(object: &DynamicObject, found: &mut Facts) {
    found.text(facts::PHASE, &object.data, "/status/phase");
}

#[cfg(test)]
mod tests {
    use super::super::testing::facts_of;
    use rstest::rstest;

    #[rstest]
    #[case::claim(
        "kind: PersistentVolumeClaim, spec: {volumeName: pvc-1}, status: {phase: Bound}",
        "phase: Bound\nvolume: pvc-1"
    )]
    #[case::unbound("kind: PersistentVolumeClaim, spec: {}, status: {phase: Pending}", "phase: Pending")]
    #[case::namespace("kind: Namespace, status: {phase: Terminating}", "phase: Terminating")]
    fn phases(#[case] object: &str, #[case] expected: &str) {
        assert_eq!(facts_of(&format!("{{apiVersion: v1, metadata: {{name: a}}, {object}}}")), expected);
    }
}

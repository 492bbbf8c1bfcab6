//! `cut`: pods without a network, for a known time.

use ferry_scenario::steps::Cut;

use super::{Context, StepError};
use crate::faults::cut_off;

pub(super) async fn execute(cut: &Cut, cx: &Context<'_>) -> Result<(), StepError> {
    let ports: Vec<u16> = cut.ports.iter().map(|port| port.get()).collect();
    let (cluster, lab, clock) = (cx.cluster, cx.stage.cluster(), cx.recorder.clock());
    let fault = cut_off(cluster, lab, &cut.pods, &ports, cut.r#for.get(), clock).await?;
    cx.recorder.emit(fault);
    Ok(())
}

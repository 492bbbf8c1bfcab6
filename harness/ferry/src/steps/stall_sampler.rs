//! `stall-sampler`: the sampler sleeps through its samples, or the machine has no time for it.

use ferry_scenario::steps::{StallSampler, Starving};

use super::{Context, StepError};

pub(super) async fn execute(stall: &StallSampler, cx: &Context<'_>) -> Result<(), StepError> {
    let Some(probing) = cx.probing else {
        return Err(StepError::mismatch(
            "no sampler runs yet",
            "probing starts after the first phase: put the step into a later one".to_string(),
        ));
    };
    let time = stall.r#for.get();
    match stall.by {
        Starving::Itself => {
            probing.stall(time);
            tokio::time::sleep(time).await;
        }
        Starving::Cpu => cx.stage.starve(time).await?,
    }
    Ok(())
}

//! Latencies and slips of a sample block as one short text, the bulk of a record.
//!
//! Each sample is the change of its latency (zigzag) and its slip, both as LEB128 (7 bits a byte, the highest bit says that
//! more follow), all of it in base64. A sample takes 5 characters where two JSON arrays take 10, and is read several times
//! faster: a text is one value, an array as many as it has samples.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use crate::event::{Failure, Nanos, SampleBlock};

/// A text that is no packed samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// Characters that base64 does not have, or too few of them.
    #[error("packed samples are not base64")]
    Base64,
    /// It ends within a sample, or a value is beyond 32 bits.
    #[error("packed samples are damaged at byte {at}")]
    Damaged {
        /// Offset in the decoded bytes.
        at: usize,
    },
}

/// A sample block as it stands in a record.
#[derive(Debug, Deserialize)]
pub(crate) struct Stored {
    probe: String,
    start: Nanos,
    interval: Nanos,
    packed: Option<String>,
    // Records made before blocks were packed.
    #[serde(default)]
    latency: Vec<u32>,
    #[serde(default)]
    slip: Vec<u32>,
    #[serde(default)]
    failed: Vec<(u32, Failure)>,
}

impl TryFrom<Stored> for SampleBlock {
    type Error = UnpackError;

    fn try_from(stored: Stored) -> Result<Self, UnpackError> {
        let (latency, slip) = match &stored.packed {
            Some(text) => unpack(text)?,
            None => (stored.latency, stored.slip),
        };
        let Stored { probe, start, interval, failed, .. } = stored;
        Ok(Self { probe, start, interval, latency, slip, failed })
    }
}

impl Serialize for SampleBlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut block = serializer.serialize_struct("SampleBlock", 4 + usize::from(!self.failed.is_empty()))?;
        block.serialize_field("probe", &self.probe)?;
        block.serialize_field("start", &self.start)?;
        block.serialize_field("interval", &self.interval)?;
        block.serialize_field("packed", &pack(&self.latency, &self.slip))?;
        if !self.failed.is_empty() {
            block.serialize_field("failed", &self.failed)?;
        }
        block.end()
    }
}

/// Packs samples, as many as both lists have.
pub fn pack(latency: &[u32], slip: &[u32]) -> String {
    let mut bytes = Vec::with_capacity(latency.len() * 4);
    let mut last = 0;
    for (latency, slip) in latency.iter().zip(slip) {
        let change = i64::from(*latency) - last;
        last = i64::from(*latency);
        write(&mut bytes, ((change << 1) ^ (change >> 63)) as u64);
        write(&mut bytes, u64::from(*slip));
    }
    STANDARD_NO_PAD.encode(bytes)
}

/// Latencies and slips from their text.
///
/// # Errors
/// The text was not made by [`pack`].
pub fn unpack(text: &str) -> Result<(Vec<u32>, Vec<u32>), UnpackError> {
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| UnpackError::Base64)?;
    // Most samples take three or four bytes.
    let (mut latency, mut slip) = (Vec::with_capacity(bytes.len() / 3), Vec::with_capacity(bytes.len() / 3));
    let (mut at, mut last) = (0, 0i64);
    while at < bytes.len() {
        let damaged = UnpackError::Damaged { at };
        let change = read(&bytes, &mut at).ok_or_else(|| damaged.clone())?;
        last = last.wrapping_add((change >> 1) as i64 ^ -((change & 1) as i64));
        latency.push(u32::try_from(last).map_err(|_| damaged.clone())?);
        let value = read(&bytes, &mut at).and_then(|value| u32::try_from(value).ok());
        slip.push(value.ok_or(damaged)?);
    }
    Ok((latency, slip))
}

fn write(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn read(bytes: &[u8], at: &mut usize) -> Option<u64> {
    // A change of a 32-bit value has 33 bits: five bytes.
    let mut value = 0;
    for place in 0..5 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::none(&[], &[], "")]
    #[case::one(&[812], &[12], "2AwM")]
    #[case::falling(&[812, 800], &[12, 9], "2AwMFwk")]
    #[case::lists_differ(&[812, 1, 2], &[12], "2AwM")]
    fn looks_like_this(#[case] latency: &[u32], #[case] slip: &[u32], #[case] expected: &str) {
        assert_eq!(pack(latency, slip), expected);
    }

    #[rstest]
    #[case::foreign_sign("2A!M", UnpackError::Base64)]
    #[case::half_a_sample("2Aw", UnpackError::Damaged { at: 0 })]
    #[case::never_ends("gICAgICAgA", UnpackError::Damaged { at: 0 })]
    #[case::below_zero("AQE", UnpackError::Damaged { at: 0 })]
    fn what_is_damaged_says_so(#[case] text: &str, #[case] expected: UnpackError) {
        assert_eq!(unpack(text), Err(expected));
    }

    proptest! {
        #[test]
        fn reads_back_the_same(samples in prop::collection::vec((any::<u32>(), any::<u32>()), 0..100)) {
            let (latency, slip): (Vec<u32>, Vec<u32>) = samples.into_iter().unzip();
            prop_assert_eq!(unpack(&pack(&latency, &slip)), Ok((latency, slip)));
        }

        #[test]
        fn never_panics(text in "[A-Za-z0-9+/]{0,40}") {
            let _ = unpack(&text);
        }
    }
}

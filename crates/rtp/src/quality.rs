//! An estimate of how good a call sounds, from the figures in RTCP reports: the E-model (ITU-T G.107) with everything
//! but delay and loss at its defaults, as Asterisk 22 computes its "media experience score".
//!
//! That host adds jitter times its deviation to the delay, both in seconds. The product is negligible and left out
//! here.

/// Computes the score, 0 to 100, where a good call has more than 80. `round_trip` is the mean round trip in seconds,
/// `lost` the mean number of packets lost between two reports.
pub fn media_experience_score(round_trip: f64, lost: f64) -> f64 {
    let delay_in_ms = round_trip * 1000.0 + BUFFER_IN_MS;
    let delay_impairment = if delay_in_ms < 160.0 { delay_in_ms / 40.0 } else { (delay_in_ms - 120.0) / 10.0 };
    20.0 * mean_opinion_score(BEST_RATING - delay_impairment - 2.0 * lost)
}

/// Converts a rating into a mean opinion score, 1 to 4.5 (G.107 annex B).
fn mean_opinion_score(rating: f64) -> f64 {
    match rating {
        ..0.0 => 1.0,
        100.0.. => 4.5,
        _ => 1.0 + 0.035 * rating + 7e-6 * rating * (rating - 60.0) * (100.0 - rating),
    }
}

/// The rating of a call without delay and loss, with G.107's defaults.
const BEST_RATING: f64 = 93.2;

/// The delay that codec and jitter buffer add, in milliseconds.
const BUFFER_IN_MS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g107_annex_b_from_best_to_worst() {
        let near = |score: f64, expected: f64| assert!((score - expected).abs() < 0.1, "{score} is not {expected}");
        near(media_experience_score(0.0, 0.0), 88.1);
        near(media_experience_score(0.3, 0.0), 75.7);
        near(media_experience_score(0.0, 10.0), 74.6);
        near(media_experience_score(2.0, 10.0), 20.0);
    }
}

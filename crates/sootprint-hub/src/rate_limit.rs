//! The wait that the Hub asks for when it limits the rate of requests.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

/// Longer waits are not believed.
const MAX_WAIT: u64 = 86_400;

/// The wait that the headers of a response ask for: `RateLimit` where no request is left, or `Retry-After`, whichever is
/// longer. `None` if neither asks for one.
///
/// `RateLimit` is a list such as `"api";r=0;t=55` (r requests left, a new window in t seconds), sent with each response.
/// <https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-09>
pub(crate) fn requested_wait(headers: &HeaderMap) -> Option<Duration> {
    let texts = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let window = texts("ratelimit").flat_map(split_list).filter_map(exhausted_window).max();
    let retry_after = texts(RETRY_AFTER.as_str()).filter_map(|text| text.trim().parse::<u64>().ok()).max();
    let seconds = window.max(retry_after).filter(|seconds| *seconds <= MAX_WAIT)?;
    // The Hub rounds down.
    Some(Duration::from_secs(seconds + u64::from(window == Some(seconds))))
}

/// Splits at commas outside of quotes.
fn split_list(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    })
}

/// The seconds until a window without remaining requests ends.
fn exhausted_window(item: &str) -> Option<u64> {
    let (_, parameters) = item.trim().strip_prefix('"')?.split_once('"')?;
    let parameter = |name: &str| {
        let mut pairs = parameters.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(found, _)| found.trim() == name)?.1.trim().parse::<u64>().ok()
    };
    if parameter("r")? == 0 { parameter("t") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_requested_wait_counts() {
        for (rate_limit, retry_after, expected) in [
            (&[r#""api";r=0;t=55"#][..], None, Some(56)),
            (&[r#""api";r=3;t=55"#], None, None),
            (&[r#""api";r=3;t=55"#], Some("7"), Some(7)),
            (&[r#""api";r=0;t=55"#], Some("7"), Some(56)),
            (&[r#""api";r=0;t=5"#], Some("70"), Some(70)),
            (&[r#""a,b";r=0;t=1, "pages"; t=9 ;r=0"#], None, Some(10)),
            (&[r#""api";r=0;t=5"#, r#""x";r=0;t=8"#], None, Some(9)),
            (&["api;r=0;t=5", r#""api";r=0"#, r#""api";r=-1;t=5"#, r#""api"#, ""], None, None),
            (&[r#""api";r=0;t=99999999999"#], None, None),
            (&[], Some("Wed, 21 Oct 2026 07:28:00 GMT"), None),
        ] {
            let mut headers = HeaderMap::new();
            for value in rate_limit {
                headers.append("ratelimit", value.parse().unwrap());
            }
            if let Some(value) = retry_after {
                headers.append(RETRY_AFTER, value.parse().unwrap());
            }
            let wait = requested_wait(&headers).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{headers:?}");
        }
    }
}
